import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { createMetrics } from '../telemetry/metrics.ts';
import { createLoopMetrics } from './loop-metrics.ts';
import { loop, type Loop, type LoopFailure, type LoopOptions } from './loop.ts';

const HOUR = 3_600_000;

/** A loop whose rounds are counted, stopped at the end of the test. */
function counted(
  t: TestContext,
  options: Partial<LoopOptions> = {},
): { loop: Loop; rounds: () => number } {
  let rounds = 0;
  const { run = async () => {}, ...rest } = options;
  const made = loop({
    name: 'test',
    every_ms: HOUR,
    ...rest,
    run(signal) {
      rounds += 1;
      return run(signal);
    },
  });
  t.after(() => made.stop(AbortSignal.abort()));
  return { loop: made, rounds: () => rounds };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never true: ${condition}`);
    await turn();
  }
}

test('a loop runs at once, then after its pause', async (t) => {
  const { loop: made, rounds } = counted(t, { every_ms: 5 });
  await made.start();
  await until(() => rounds() >= 3);
});

test('a round that knows when work falls due has the next one then, not after the whole pause', async (t) => {
  const began = performance.now();
  const { loop: made, rounds } = counted(t, { run: async () => ({ next_ms: 40 }) });
  await made.start();
  await until(() => rounds() === 3);
  const took = performance.now() - began;
  assert.ok(took >= 78, `two pauses took ${took} ms`);
});

test('a loop rests in proportion to its rounds, also to those that fail or have more to do', async (t) => {
  const pauses: number[] = [];
  const ends: number[] = [];
  const { loop: made, rounds } = counted(t, {
    every_ms: 1,
    jitter: 0,
    rest_ms: (took_ms) => (took_ms >= 0 ? 60 : 0),
    on_error: (_error, { retry_in_ms }) => void pauses.push(retry_in_ms),
    run: async () => {
      ends.push(performance.now());
      return { again: true };
    },
  });
  await made.start();
  await until(() => rounds() === 3);
  assert.ok((ends[2] ?? 0) - (ends[0] ?? 0) >= 110, String(ends));
  await made.stop(AbortSignal.abort());
  const failing = counted(t, {
    rest_ms: () => HOUR,
    on_error: (_error, { retry_in_ms }) => void pauses.push(retry_in_ms),
    run: () => Promise.reject(new Error('no')),
  });
  await failing.loop.start();
  await until(() => pauses.length > 0);
  assert.deepEqual(pauses, [HOUR]);
});

test('a wake-up starts a round early, and one during a round is not lost', async (t) => {
  let wake = () => {};
  let subscribed = false;
  const gate = Promise.withResolvers<void>();
  const { loop: made, rounds } = counted(t, {
    run: () => (rounds() === 1 ? gate.promise : Promise.resolve()),
    wake(given) {
      wake = given;
      subscribed = true;
      return () => {
        subscribed = false;
      };
    },
  });
  await made.start();
  await until(() => rounds() === 1);
  wake();
  wake();
  gate.resolve();
  await until(() => rounds() === 2);
  for (let n = 0; n < 10; n += 1) await turn();
  assert.equal(rounds(), 2);
  wake();
  await until(() => rounds() === 3);
  await made.stop(AbortSignal.abort());
  assert.equal(subscribed, false);
});

test('a round that left work behind is followed by another at once', async (t) => {
  const { loop: made, rounds } = counted(t, { run: async () => ({ again: rounds() < 5 }) });
  await made.start();
  await until(() => rounds() === 5);
});

test('failures are reported and backed off, also against wake-ups, and end with a success', async (t) => {
  const failures: LoopFailure[] = [];
  const { loop: made, rounds } = counted(t, {
    run: async () => {
      throw new Error('database is away');
    },
    on_error: (_, failure) => failures.push(failure),
  });
  await made.start();
  await until(() => failures.length === 1);
  made.wake();
  for (let n = 0; n < 10; n += 1) await turn();
  assert.equal(rounds(), 1);
  assert.deepEqual(failures, [{ loop: 'test', consecutive: 1, retry_in_ms: 500 }]);
  assert.equal(made.health().status, 'up');
});

test('rounds never overlap, whoever asks for them', async (t) => {
  let running = 0;
  const { loop: made, rounds } = counted(t, {
    every_ms: 0,
    run: async () => {
      running += 1;
      assert.equal(running, 1);
      await turn();
      running -= 1;
    },
  });
  await made.start();
  await Promise.all(Array.from({ length: 20 }, () => made.runOnce()));
  assert.ok(rounds() >= 20);
});

test('a round run by hand needs no start and passes its failure on', async (t) => {
  const fine = counted(t);
  await fine.loop.runOnce();
  assert.equal(fine.rounds(), 1);
  const broken = counted(t, { run: () => Promise.reject(new Error('broken')) });
  await assert.rejects(broken.loop.runOnce(), /broken/);
});

test('stopping tells the round under way and waits for it', async (t) => {
  let ended = false;
  const { loop: made, rounds } = counted(t, {
    run: async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await turn();
      ended = true;
    },
  });
  await made.start();
  await until(() => rounds() === 1);
  const deadline = new AbortController().signal;
  await Promise.all([made.stop(deadline), made.stop(deadline)]);
  assert.equal(ended, true);
  await made.start();
  await turn();
  assert.equal(rounds(), 1);
});

test('stopping before the start is fine', async (t) => {
  const { loop: made, rounds } = counted(t);
  await made.stop(AbortSignal.abort());
  await made.start();
  await turn();
  assert.equal(rounds(), 0);
});

test('rounds are measured by loop and outcome', async (t) => {
  const metrics = createMetrics();
  let fail = false;
  const { loop: made } = counted(t, {
    metrics: createLoopMetrics(metrics),
    run: async () => {
      if (fail) throw new Error('once');
    },
  });
  await made.runOnce();
  fail = true;
  await assert.rejects(made.runOnce());
  const text = await metrics.text();
  assert.match(text, /strait_loop_round_duration_seconds_count\{loop="test"\} 2/);
  assert.match(text, /strait_loop_round_failures_total\{loop="test"\} 1/);
});
