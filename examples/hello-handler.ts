// A job handler: any HTTP server that answers the POST of a run. `npm start` runs this one for its sample job;
// by hand: `npx node examples/hello-handler.ts 3000`.

import { createServer, type Server } from 'node:http';

/** Listens on 127.0.0.1; resolves with the server and the URL of the handler. */
export function startHelloHandler(port = 0): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const payload = readPayload(Buffer.concat(chunks).toString());
      const attempt = Number(request.headers['x-attempt']);
      // The sample asks for one failure, to show a retry.
      if (attempt < (payload.fail_until_attempt ?? 1)) {
        response.writeHead(503, { 'content-type': 'text/plain' }).end('not yet');
        return;
      }
      const result = {
        greeting: `Hello, ${payload.name ?? 'world'}!`,
        run: request.headers['x-run-id'],
        attempt,
      };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result));
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') return reject(new Error('no address'));
      resolve({ server, url: `http://127.0.0.1:${address.port}/hello` });
    });
  });
}

/** A payload is any JSON, also null or none. */
function readPayload(text: string): { name?: string; fail_until_attempt?: number } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

if (import.meta.main) {
  const { url } = await startHelloHandler(Number(process.argv[2] ?? 3000));
  console.log(`handler at ${url}`);
}
