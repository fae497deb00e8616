// The endpoint of HTTP jobs: a process of its own, so that its CPU is nobody's. Reads the body,
// answers 200 `{}`. POST /wait/<ms> answers after that long; GET /count says how many POSTs ended.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

let finished = 0;

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(String(finished));
    return;
  }
  request.resume();
  request.on('end', () => {
    const wait = /^\/wait\/(\d+)/.exec(request.url ?? '')?.[1];
    if (wait === undefined) answer();
    else void sleep(Number(wait)).then(answer);
  });
  function answer() {
    finished += 1;
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 });
    response.end('{}');
  }
});
server.keepAliveTimeout = 60_000;

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.send?.({ port: address.port });
});
process.on('disconnect', () => process.exit(0));
