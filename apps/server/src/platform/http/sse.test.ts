import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { auth, serverWith } from '../../../test/http-things.ts';

/** Sends bytes as they are; reads one answer. */
async function exchange(url: string, bytes: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  try {
    const arrived = new Promise<string>((resolve) =>
      socket.once('data', (data) => resolve(String(data))),
    );
    socket.write(bytes);
    const [head = '', body = ''] = (await arrived).split('\r\n\r\n');
    const [first = '', ...lines] = head.split('\r\n');
    return {
      status: Number(first.split(' ')[1]),
      headers: Object.fromEntries(
        lines.map((line) => [line.split(':')[0]?.toLowerCase(), line.split(': ')[1]]),
      ) as Record<string, string | undefined>,
      body: JSON.parse(body) as Record<string, unknown>,
    };
  } finally {
    socket.destroy();
  }
}

describe('event streams', () => {
  it('stream events, report errors, take the token of the query and end when the server stops', async () => {
    const server = serverWith({ streams: { per_project: 2 } });
    await server.start();
    const open = (id: string) => fetch(`${server.url}/v1/things/${id}/stream?token=x`);
    const short = await open('short');
    assert.equal(short.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    assert.equal(await short.text(), 'id: 1\ndata: {"n":1}\n\n');
    assert.match(
      await (await open('broken')).text(),
      /event: error\ndata: {"error":"thing not found"}/,
    );
    assert.equal((await open('none')).status, 404);
    assert.equal((await fetch(`${server.url}/v1/things/short/stream`)).status, 401);

    const [first, second] = [await open('long'), await open('long')];
    assert.equal((await open('long')).status, 429);
    // A client that leaves makes room.
    await second.body?.cancel();
    for (let tries = 0; tries < 100; tries++) {
      const next = await open('short');
      await next.text();
      if (next.status === 200) break;
      await sleep(5);
    }
    const rest = first.text();
    const deadline = AbortSignal.timeout(2000);
    await server.stop(deadline);
    assert.equal(deadline.aborted, false);
    assert.match(await rest, /: the server is stopping\n\n$/);
    await assert.rejects(fetch(`${server.url}/health`));
  });

  it('finish the requests under way when stopping, and answer garbage politely', async () => {
    const server = serverWith({ request_timeout_ms: 200 });
    await server.start();
    for (const [sent, status, message] of [
      ['NOT HTTP\r\n\r\n', 400, 'the request is not valid HTTP'],
      ['GET /v1/things HTTP/1.1\r\n\r\n', 400, 'a Host header is required'],
      [
        `GET /v1/things?${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
        431,
        'the URL and the headers together are larger than 16384 bytes',
      ],
      [
        `GET /v1/things HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
        431,
        'the URL and the headers together are larger than 16384 bytes',
      ],
    ] as const) {
      const answer = await exchange(server.url, sent);
      assert.equal(answer.status, status, sent.slice(0, 40));
      assert.equal(answer.body['error'], message);
      assert.equal(answer.headers['x-request-id'], answer.body['request_id']);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    }
    const slow = fetch(`${server.url}/v1/things/x/act`, {
      method: 'POST',
      headers: auth,
      body: '{"kind":"slow"}',
    });
    await sleep(50);
    await server.stop(AbortSignal.timeout(2000));
    assert.equal((await slow).status, 504);
    await server.stop(AbortSignal.timeout(2000));
  });
});
