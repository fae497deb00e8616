import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createScratchDatabase,
  openScratchServer,
  runScript,
} from '../../../../../scripts/scratch-database.ts';
import type { ScratchDatabase, ScratchServer } from '../../../../../scripts/scratch-database.ts';
import { createListener } from './listen.ts';

/** Waits until `get` returns what is expected, at most 5 s. */
async function until(get: () => unknown, expected: unknown): Promise<void> {
  for (const end = Date.now() + 5_000; Date.now() < end; await sleep(5)) {
    if (JSON.stringify(get()) === JSON.stringify(expected)) return;
  }
  assert.deepEqual(get(), expected);
}

describe('listener', () => {
  let server: ScratchServer;
  let scratch: ScratchDatabase;
  const errors: Error[] = [];
  const create = (url = scratch.url) =>
    createListener({ url, application_name: 'listener', onError: (error) => errors.push(error) });
  const send = (channel: string, payload: string) =>
    runScript(scratch.url, `select pg_notify('${channel}', '${payload}')`);
  const disconnectAll = () =>
    runScript(
      scratch.url,
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listener' and datname = current_database()`,
    );

  before(async () => {
    server = await openScratchServer();
    scratch = await createScratchDatabase(server);
  });
  after(async () => {
    await scratch.drop();
    await server.stop();
  });

  it('calls the handlers of a channel, first with an empty payload', async () => {
    const seen: string[] = [];
    const listener = create();
    listener.on('Odd "channel"', (payload) => seen.push(payload));
    await listener.start();
    assert.deepEqual(listener.health(), { connected: true });
    await send('Odd "channel"', 'one');
    await send('other', 'two');
    await until(() => seen, ['', 'one']);
    await listener.stop();
  });

  it('listens to channels that are added while it runs, and forgets those given up', async () => {
    const seen: string[] = [];
    const listener = create();
    await listener.start();
    const off = listener.on('late', (payload) => seen.push(payload));
    await until(() => seen, ['']);
    await send('late', 'one');
    await until(() => seen, ['', 'one']);
    off();
    await send('late', 'two');
    await sleep(50);
    assert.deepEqual(seen, ['', 'one']);
    await listener.stop();
  });

  it('comes back after a lost connection and tells the handlers to look', async () => {
    const seen: string[] = [];
    const listener = create();
    listener.on('wake', (payload) => seen.push(payload));
    await listener.start();
    errors.length = 0;
    await disconnectAll();
    await until(() => seen, ['', '']);
    await send('wake', 'again');
    await until(() => seen, ['', '', 'again']);
    assert.ok(errors.length > 0);
    await listener.stop();
  });

  it('reports a handler that throws and calls the others', async () => {
    const seen: string[] = [];
    const listener = create();
    errors.length = 0;
    listener.on('wake', () => {
      throw new Error('handler');
    });
    listener.on('wake', (payload) => seen.push(payload));
    await listener.start();
    await until(() => [seen, errors.map(({ message }) => message)], [[''], ['handler']]);
    await listener.stop();
  });

  it('stops while it still tries to connect, twice and before it started', async () => {
    const listener = create('postgres://nobody@127.0.0.1:1/none');
    const started = listener.start();
    await sleep(20);
    assert.equal(listener.health().connected, false);
    assert.match(listener.health().last_error ?? '', /ECONNREFUSED/);
    await listener.stop();
    await assert.rejects(started, /stopped/);
    await listener.stop();
    await create().stop();
  });
});
