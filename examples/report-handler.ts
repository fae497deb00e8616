// A handler for work that takes longer than a request should: it takes the run over at once, works page by page with
// checkpoints, and finishes through the in-run API. By hand: `STRAIT_URL=http://127.0.0.1:8080 node examples/report-handler.ts 3001`.

import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const strait = process.env['STRAIT_URL'] ?? 'http://127.0.0.1:8080';
const PAGES = 3;

createServer((request, response) => {
  const { headers } = request;
  request.resume().on('end', () => {
    // From here on the run is ours: nobody waits for this reply any more.
    response.writeHead(202, { 'x-strait-async': '1' }).end();
    const checkpoint = JSON.parse(String(headers['x-last-checkpoint'] ?? '{"page":0}')) as {
      page: number;
    };
    void writeReport(String(headers['x-run-id']), String(headers['x-run-token']), checkpoint.page);
  });
}).listen(Number(process.argv[2] ?? 3001), '127.0.0.1');

async function writeReport(run: string, token: string, done: number): Promise<void> {
  const call = async (what: string, body: object = {}): Promise<void> => {
    const answer = await fetch(`${strait}/sdk/v1/runs/${run}/${what}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    // 409: the run was canceled, or is another attempt's by now. Stop working on it.
    if (!answer.ok) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
  };
  const beating = setInterval(() => void call('heartbeat').catch(() => {}), 20_000);
  try {
    for (let page = done + 1; page <= PAGES; page++) {
      await sleep(50); // the work
      await call('checkpoint', { state: { page } });
      await call('progress', { percent: (100 * page) / PAGES, message: `page ${page}` });
    }
    await call('complete', { result: { pages: PAGES } });
  } catch (error) {
    console.error(error);
    await call('fail', { error: String(error), retryable: true }).catch(() => {});
  } finally {
    clearInterval(beating);
  }
}
