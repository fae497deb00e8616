import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import type { AddressPolicy } from './address-rules.ts';
import {
  createOutboundClient,
  type OutboundOptions,
  type OutboundReply,
  type OutboundRequest,
} from './client.ts';
import type { ResolveAll } from './guarded-connect.ts';

const policy: AddressPolicy = {
  allow_private: 'loopback',
  require_tls: false,
  forbidden_ports: [],
};

function clientFor(t: TestContext, options: Partial<OutboundOptions> = {}) {
  const client = createOutboundClient({ policy, connections_per_origin: 4, ...options });
  t.after(() => client.close());
  return client;
}

/** A server that speaks raw bytes; `respond` runs once per request head that arrives. */
async function scripted(
  t: TestContext,
  respond: (socket: Socket, request: string, connection: number) => void,
) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const connection = sockets.size;
    let seen = '';
    socket.on('error', () => {});
    socket.on('data', (data) => {
      seen += data.toString('latin1');
      const end = seen.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(seen)?.[1] ?? 0);
      if (seen.length < end + 4 + length) return;
      const request = seen;
      seen = '';
      respond(socket, request, connection);
    });
  });
  await listen(server);
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/run`, port, sockets };
}

async function listen(server: Server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

const post = (url: string, more: Partial<OutboundRequest> = {}): OutboundRequest => ({
  method: 'POST',
  url,
  headers: { 'content-type': 'application/json' },
  body: '{}',
  deadline_ms: 5_000,
  max_body_bytes: 1_000,
  ...more,
});
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi';

function failure(reply: OutboundReply) {
  assert.equal(reply.ok, false);
  return reply.ok ? undefined : reply;
}

test('a request arrives as it was given and its reply comes back with timings', async (t) => {
  let request = '';
  const server = await scripted(t, (socket, text) => {
    request = text;
    socket.write('HTTP/1.1 201 Created\r\nX-One: 1\r\ncontent-length: 5\r\n\r\nhello');
  });
  const client = clientFor(t);
  const reply = await client.send(
    post(server.url, { headers: { 'X-Run-ID': 'r1' }, body: '{"ü":1}' }),
  );
  assert.ok(reply.ok);
  assert.equal(reply.status, 201);
  assert.equal(reply.headers['x-one'], '1');
  assert.equal(reply.body.toString(), 'hello');
  assert.equal(reply.truncated, false);
  assert.ok(
    reply.timings.connect_ms > 0 && reply.timings.ttfb_ms > 0 && reply.timings.transfer_ms >= 0,
  );
  assert.match(request, /^POST \/run HTTP\/1.1\r\n/);
  assert.match(request, /\r\nX-Run-ID: r1\r\n/);
  assert.match(request, new RegExp(`host: 127.0.0.1:${server.port}\r\n`));
  assert.match(request, /content-length: 8\r\n/);
  assert.deepEqual(client.stats(), { origins: 1, in_flight: 0, sent: 1 });
});

test('connections are kept and reused', async (t) => {
  const server = await scripted(t, (socket) => socket.write(ok));
  const client = clientFor(t);
  for (let n = 0; n < 20; n += 1) assert.equal((await client.send(post(server.url))).ok, true);
  // A connection rests for one turn of the event loop after a reply, so a second one may be opened.
  assert.ok(server.sockets.size <= 2);
  await Promise.all(Array.from({ length: 50 }, () => client.send(post(server.url))));
  assert.equal(server.sockets.size, 4);
});

test('a body over the cap is cut, and the connection with it', async (t) => {
  const server = await scripted(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n');
    const timer = setInterval(() => socket.write('x'.repeat(700)), 1);
    socket.on('close', () => clearInterval(timer));
  });
  const reply = await clientFor(t).send(post(server.url));
  assert.ok(reply.ok);
  assert.equal(reply.truncated, true);
  assert.equal(reply.body.length, 1_000);
  const [socket] = server.sockets;
  if (socket && !socket.closed) await once(socket, 'close');
});

test('a body of exactly the cap is whole', async (t) => {
  const server = await scripted(t, (socket) =>
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n${'x'.repeat(1000)}`),
  );
  const reply = await clientFor(t).send(post(server.url));
  assert.ok(reply.ok && !reply.truncated && reply.body.length === 1_000);
});

test('silence, dripping headers, dripping bodies and endless informational replies end at the deadline', async (t) => {
  const drips: readonly [head: string, drip: string][] = [
    ['', ''],
    ['HTTP/1.1 200 OK\r\n', 'x'],
    ['HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n', 'x'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
    ['', 'HTTP/1.1 102 Processing\r\n\r\n'],
  ];
  for (const [head, drip] of drips) {
    const server = await scripted(t, (socket) => {
      socket.write(head);
      const timer = setInterval(() => socket.write(drip), 5);
      socket.on('close', () => clearInterval(timer));
    });
    const began = performance.now();
    const reply = failure(await clientFor(t).send(post(server.url, { deadline_ms: 80 })));
    const took = performance.now() - began;
    assert.equal(reply?.kind, 'timeout', JSON.stringify([head, drip, reply]));
    assert.ok(took >= 75, `${took} ms`);
  }
});

test('a request that waits for a connection until its deadline does not close the one in use', async (t) => {
  const server = await scripted(t, (socket) => setTimeout(() => socket.write(ok), 150));
  const client = clientFor(t, { connections_per_origin: 1 });
  const [first, second] = await Promise.all([
    client.send(post(server.url)),
    client.send(post(server.url, { deadline_ms: 30 })),
  ]);
  assert.equal(first.ok, true);
  assert.equal(failure(second)?.kind, 'timeout');
  assert.equal((await client.send(post(server.url))).ok, true);
  assert.equal(server.sockets.size, 1);
  assert.equal(client.stats().in_flight, 0);
});

test('broken replies and refused connections are connection failures', async (t) => {
  const replies: readonly string[] = [
    'nonsense\r\n\r\n',
    'HTTP/1.1 abc OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
    `HTTP/1.1 200 OK\r\n${'x-flood: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(2_000)}\r\n`,
    `HTTP/1.1 200 OK\r\nx-long: ${'a'.repeat(100_000)}\r\n\r\n`,
  ];
  for (const text of replies) {
    const server = await scripted(t, (socket) => socket.write(text));
    const reply = failure(await clientFor(t).send(post(server.url, { deadline_ms: 2_000 })));
    assert.equal(reply?.kind, 'connection', JSON.stringify([text.slice(0, 60), reply]));
    assert.notEqual(reply?.message, '');
  }
  for (const partial of [
    '',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi',
  ]) {
    const server = await scripted(t, (socket) =>
      partial === '' ? socket.resetAndDestroy() : socket.end(partial),
    );
    assert.equal(failure(await clientFor(t).send(post(server.url)))?.kind, 'connection', partial);
  }
  const closed = createServer();
  await listen(closed);
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  const client = clientFor(t);
  for (const host of ['127.0.0.1', 'localhost']) {
    const reply = failure(await client.send(post(`http://${host}:${port}/`)));
    assert.equal(reply?.kind, 'connection');
    assert.match(String(reply?.message), /ECONNREFUSED/);
  }
});

test('informational replies are skipped and redirects are not followed', async (t) => {
  const server = await scripted(t, (socket) =>
    socket.write(
      'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n',
    ),
  );
  const reply = await clientFor(t).send(post(server.url));
  assert.ok(reply.ok);
  assert.equal(reply.status, 302);
  assert.equal(reply.headers['link'], undefined);
});

test('a reply without a length ends with its connection', async (t) => {
  const server = await scripted(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it'));
  const reply = await clientFor(t).send(post(server.url));
  assert.ok(reply.ok && reply.body.toString() === 'all of it');
});

test('the caller can abort before, while waiting and while reading', async (t) => {
  const server = await scripted(t, (socket) =>
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi'),
  );
  const client = clientFor(t);
  const before = await client.send(post(server.url, { signal: AbortSignal.abort() }));
  assert.equal(failure(before)?.kind, 'aborted');
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 30);
  const during = await client.send(post(server.url, { signal: controller.signal }));
  assert.equal(failure(during)?.kind, 'aborted');
  assert.equal(client.stats().in_flight, 0);
});

test('headers that HTTP cannot carry are refused, not sent', async (t) => {
  let arrived = 0;
  const server = await scripted(t, (socket) => {
    arrived += 1;
    socket.write(ok);
  });
  const client = clientFor(t);
  const unsendable: Record<string, string>[] = [
    { 'x-a': 'one\r\nx-b: two' },
    { 'x a': '1' },
    { 'x-a': 'nul\0' },
  ];
  for (const headers of unsendable) {
    assert.equal(failure(await client.send(post(server.url, { headers })))?.kind, 'forbidden');
  }
  assert.equal(arrived, 0);
});

test('a literal private address is refused although it is never looked up', async (t) => {
  let connected = 0;
  const server = await scripted(t, () => {
    connected += 1;
  });
  const client = clientFor(t, { policy: { ...policy, allow_private: 'none' } });
  const reply = failure(await client.send(post(server.url)));
  assert.equal(reply?.kind, 'forbidden');
  assert.equal(connected, 0);
  assert.equal(client.stats().sent, 0);
});

test('a name is refused when any of its addresses is forbidden, and when it has none', async (t) => {
  const answers: Record<string, readonly string[]> = {
    'bad.example.com': ['10.0.0.7'],
    'mixed.example.com': ['93.184.216.34', '169.254.169.254'],
    'mapped.example.com': ['::ffff:10.0.0.7'],
    'none.example.com': [],
  };
  const resolve: ResolveAll = (host, done) => {
    const addresses = (answers[host] ?? []).map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }));
    setImmediate(done, null, addresses);
  };
  const client = clientFor(t, { resolve });
  for (const [host, kind] of [
    ['bad', 'forbidden'],
    ['mixed', 'forbidden'],
    ['mapped', 'forbidden'],
    ['none', 'connection'],
  ] as const) {
    const reply = failure(await client.send(post(`http://${host}.example.com:8080/`)));
    assert.equal(reply?.kind, kind, host);
  }
});

test('a name that changes its answer after the check is still connected to the address that was checked', async (t) => {
  let request = '';
  const server = await scripted(t, (socket, text) => {
    request = text;
    socket.end(ok);
  });
  let asked = 0;
  const resolve: ResolveAll = (_, done) => {
    asked += 1;
    const address = asked === 1 ? '127.0.0.1' : '10.0.0.1';
    setImmediate(done, null, [{ address, family: 4 }]);
  };
  const client = clientFor(t, { resolve });
  const url = `http://rebinding.example.com:${server.port}/`;
  assert.equal((await client.send(post(url))).ok, true);
  assert.match(request, new RegExp(`host: rebinding.example.com:${server.port}`));
  assert.equal(asked, 1);
  // The connection is gone, the next one asks again and meets the new answer.
  const [socket] = server.sockets;
  if (socket && !socket.closed) await once(socket, 'close');
  assert.equal(failure(await client.send(post(url)))?.kind, 'forbidden');
});

test('origins beyond the bound are closed, the idle ones first', async (t) => {
  const client = clientFor(t, { max_origins: 2 });
  const slow = await scripted(t, (socket) => setTimeout(() => socket.write(ok), 100));
  const others = await Promise.all([1, 2, 3].map(() => scripted(t, (socket) => socket.write(ok))));
  const busy = client.send(post(slow.url));
  for (const { url } of others) assert.equal((await client.send(post(url))).ok, true);
  assert.equal(client.stats().origins, 2);
  assert.equal((await busy).ok, true);
});

test('closing aborts what is in flight and refuses what comes later', async (t) => {
  const server = await scripted(t, () => {});
  const client = clientFor(t, { connections_per_origin: 1 });
  const pending = [client.send(post(server.url)), client.send(post(server.url))];
  setTimeout(() => void client.close(), 30);
  for (const reply of await Promise.all(pending)) assert.equal(failure(reply)?.kind, 'aborted');
  assert.equal(failure(await client.send(post(server.url)))?.kind, 'aborted');
  await client.close();
});
