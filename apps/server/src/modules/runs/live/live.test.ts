import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../../test/app.ts';
import { until } from '../../../../test/until.ts';

let app: TestApp;
let project: TestProject;
let worker_id: number;

interface Received {
  readonly id: string | undefined;
  readonly event: string | undefined;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into events of every shape
  readonly data: any;
}

interface OpenedStream {
  readonly status: number;
  readonly events: readonly Received[];
  /** True when the server ended it. */
  readonly over: () => boolean;
  readonly leave: () => void;
}

async function open(path: string, headers: Record<string, string> = {}): Promise<OpenedStream> {
  const left = new AbortController();
  const response = await fetch(`${app.composition.http.url}${path}`, {
    headers: { authorization: `Bearer ${project.api_key}`, ...headers },
    signal: left.signal,
  });
  const events: Received[] = [];
  let over = false;
  const read = async () => {
    let text = '';
    for await (const part of response.body ?? []) {
      text += Buffer.from(part).toString();
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const field = (name: string) =>
          block
            .split('\n')
            .find((line) => line.startsWith(`${name}: `))
            ?.slice(name.length + 2);
        const data = field('data');
        if (data !== undefined)
          events.push({ id: field('id'), event: field('event'), data: JSON.parse(data) });
      }
    }
    over = true;
  };
  read().catch(() => {});
  return { status: response.status, events, over: () => over, leave: () => left.abort() };
}

const call = (method: string, path: string, body?: unknown) =>
  app.call(method, path, { key: project.api_key, ...(body === undefined ? {} : { body }) });
const changes = (stream: OpenedStream) =>
  stream.events.filter(({ data }) => data.type === 'status_change').map(({ data }) => data.to);

async function run(): Promise<string> {
  const made = await call('POST', '/v1/jobs/watched/trigger', {});
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}

async function claim(id: string) {
  const found = (
    await app.composition.modules.queue.claim({ worker_id, limit: 100, cursor: '' })
  ).find((one) => one.id === id);
  assert.ok(found);
  return {
    id,
    created_at: found.created_at,
    claim_seq: found.claim_seq,
    started_at: new Date().toISOString(),
  };
}

const log = (id: string, message: string) =>
  app.sql(
    "insert into run_events (run_id, type, level, message, data) values ($1, 'log', 'info', $2, '{\"a\":1}')",
    id,
    message,
  );
const notify = (channel: string, payload = '') =>
  app.sql('select pg_notify($1, $2)', channel, payload);

before(async () => {
  app = await testApp({ start: true });
  project = await app.project();
  await call('POST', '/v1/jobs', {
    name: 'watched',
    slug: 'watched',
    endpoint_url: 'http://127.0.0.1:9/x',
  });
  worker_id = await app.composition.modules.queue.registerWorker({ hostname: 'test', pid: 1 });
});
after(() => app.close());

describe('the stream of a run', () => {
  test('begins with where the run stands, brings every change and event, and ends with the run', async () => {
    const id = await run();
    const stream = await open(`/v1/runs/${id}/stream`);
    await until('the first event', () => stream.events.length === 1);
    const leased = await claim(id);
    await app.composition.modules.queue.mark([leased]);
    await log(id, 'working');
    await notify('run_live');
    await until('the log', () => stream.events.some(({ data }) => data.message === 'working'));
    await app.composition.modules.queue.complete([{ ...leased, result: '1' }]);
    await until('the end', stream.over);
    assert.deepEqual(changes(stream), ['queued', 'executing', 'completed']);
    const last = stream.events.at(-1)?.data;
    assert.deepEqual(
      [last.from, last.run_id, last.project_id, typeof last.job_id, typeof last.timestamp],
      ['executing', id, project.project_id, 'string', 'string'],
    );
    assert.deepEqual(stream.events.find(({ data }) => data.type === 'event')?.data, {
      type: 'event',
      event_type: 'log',
      run_id: id,
      level: 'info',
      message: 'working',
      data: { a: 1 },
      timestamp: stream.events[2]?.data.timestamp,
    });
    assert.equal(new Set(stream.events.map((event) => event.id)).size, stream.events.length);
    await until('nobody to be watched', () => app.composition.modules.runs.live.watched === 0);
  });

  test('brings an event with its notification, not with the next look of its own', async () => {
    const id = await run();
    const stream = await open(`/v1/runs/${id}/stream`);
    await until('the first event', () => stream.events.length === 1);
    const began = performance.now();
    for (let n = 2; n <= 13; n++) {
      await log(id, `line ${n}`);
      await notify('run_live');
      await until('the line', () => stream.events.length === n);
    }
    // The watcher looks once a second by itself: at least 11 s for what takes 1 s with notifications.
    assert.ok(performance.now() - began < 10_000);
    await call('DELETE', `/v1/runs/${id}`);
    await until('the end', stream.over);
  });

  test('of a run that has ended is 410, or its replay from any event on', async () => {
    const id = await run();
    await call('DELETE', `/v1/runs/${id}`);
    assert.equal((await open(`/v1/runs/${id}/stream`)).status, 410);
    const all = await open(`/v1/runs/${id}/stream`, { 'last-event-id': '0' });
    await until('the end', all.over);
    assert.deepEqual(changes(all), ['queued', 'canceled']);
    assert.equal(all.events[1]?.data.error, 'canceled by user');
    const rest = await open(`/v1/runs/${id}/stream`, { 'last-event-id': all.events[0]?.id ?? '' });
    await until('the end', rest.over);
    assert.deepEqual(rest.events, all.events.slice(1));
    const none = await open(`/v1/runs/${id}/stream`, { 'last-event-id': all.events[1]?.id ?? '' });
    await until('the end', none.over);
    assert.deepEqual(none.events, []);
  });

  test('goes on where it was left, with all that happened meanwhile', async () => {
    const id = await run();
    const first = await open(`/v1/runs/${id}/stream`);
    await until('the first event', () => first.events.length === 1);
    first.leave();
    for (let n = 0; n < 450; n++) await log(id, `line ${n}`);
    const second = await open(`/v1/runs/${id}/stream`, {
      'last-event-id': first.events[0]?.id ?? '',
    });
    await until('the history', () => second.events.length === 450);
    await log(id, 'live');
    await call('DELETE', `/v1/runs/${id}`);
    await until('the end', second.over);
    const lines = second.events
      .filter(({ data }) => data.type === 'event')
      .map(({ data }) => data.message);
    assert.deepEqual(lines, [...Array.from({ length: 450 }, (_, n) => `line ${n}`), 'live']);
    assert.deepEqual(changes(second), ['canceled']);
  });

  test('misses no event whose transaction committed late, or whose notification was lost', async () => {
    const id = await run();
    const stream = await open(`/v1/runs/${id}/stream`);
    await until('the first event', () => stream.events.length === 1);
    await app.db.transaction(async (tx) => {
      await tx.query({
        text: "insert into run_events (run_id, type, level, message) values ($1, 'log', 'info', 'early')",
        values: [id],
      });
      await log(id, 'late');
      await until('the later event', () => stream.events.length === 2);
    });
    await until('the earlier event', () => stream.events.length === 3);
    assert.deepEqual(
      stream.events.slice(1).map(({ data }) => data.message),
      ['late', 'early'],
    );
    await call('DELETE', `/v1/runs/${id}`);
    await until('the end', stream.over);
  });

  test('of a run that was replayed from the dead letters does not end at its first death', async () => {
    const id = await run();
    await app.composition.modules.queue.settle([
      { ...(await claim(id)), to: 'dead_letter', error: 'it broke' },
    ]);
    await call('POST', `/v1/runs/${id}/dlq-replay`);
    const stream = await open(`/v1/runs/${id}/stream`, { 'last-event-id': '0' });
    await until('the replay', () => changes(stream).length >= 4);
    assert.deepEqual(changes(stream), ['queued', 'executing', 'dead_letter', 'queued']);
    assert.equal(stream.over(), false);
    await call('DELETE', `/v1/runs/${id}`);
    await until('the end', stream.over);
  });

  test('is read once for many clients of one run, and each gets everything', async () => {
    const id = await run();
    const streams = await Promise.all(
      Array.from({ length: 10 }, () => open(`/v1/runs/${id}/stream`, { 'last-event-id': '0' })),
    );
    await until('all to begin', () => streams.every((stream) => stream.events.length === 1));
    assert.equal(app.composition.modules.runs.live.watched, 1);
    for (let n = 0; n < 20; n++) await log(id, `line ${n}`);
    await call('DELETE', `/v1/runs/${id}`);
    await until('all to end', () => streams.every((stream) => stream.over()));
    for (const stream of streams) assert.equal(stream.events.length, 22);
  });

  test('of a missing run is 404', async () => {
    for (const part of ['stream', 'stream/chunks']) {
      assert.equal((await open(`/v1/runs/nonsense/${part}`)).status, 404);
    }
  });
});

describe('the stream of chunks', () => {
  test('brings the chunks of its run while it is open and ends with the run', async () => {
    const [id, stranger] = [await run(), await run()];
    const stream = await open(`/v1/runs/${id}/stream/chunks`);
    const chunk = (run_id: string, text: string, done = false) =>
      notify(
        'run_chunks',
        JSON.stringify({
          run_id,
          type: 'stream_chunk',
          chunk: text,
          stream_id: 's',
          done,
          timestamp: '2026-01-01T00:00:00Z',
        }),
      );
    await until('the subscription', () => app.composition.modules.runs.live.watched === 1);
    await until('the first chunk', async () => (await chunk(id, 'a'), stream.events.length > 0));
    await chunk(stranger, 'x');
    await notify('run_chunks', 'no JSON');
    await chunk(id, 'b', true);
    await until('the last chunk', () => stream.events.some(({ data }) => data.done));
    assert.deepEqual([...new Set(stream.events.map(({ data }) => data.chunk))], ['a', 'b']);
    assert.deepEqual(stream.events.at(-1)?.data, {
      type: 'stream_chunk',
      chunk: 'b',
      stream_id: 's',
      done: true,
      timestamp: '2026-01-01T00:00:00Z',
    });
    await call('DELETE', `/v1/runs/${id}`);
    await until('the end', stream.over);
    await call('DELETE', `/v1/runs/${stranger}`);
    assert.equal((await open(`/v1/runs/${id}/stream/chunks`)).status, 410);
  });
});
