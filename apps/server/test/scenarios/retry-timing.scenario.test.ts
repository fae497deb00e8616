// When an endpoint sees the next attempt: each strategy's delays, Retry-After, and how late due runs are dispatched.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, untilAllEnded } from './accounts.ts';
import { full, report, startCluster } from './cluster.ts';
import type { Answer, Dispatch, Endpoint } from './endpoint.ts';

const RUNS = full ? 50 : 10;
const JITTER = 0.2;
/**
 * What settling, the timer, the claim and the request may add; only the long form, alone on its machine, is held to it.
 * Beside other tests a busy machine adds what it likes, so there the delay that was chosen is judged, not the one seen.
 */
const LATE_MS = 250;

interface Case {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Between attempts, in s: exact, or the range the reply allows. */
  readonly delays: readonly (number | readonly [min: number, max: number])[];
  readonly answer?: (dispatch: Dispatch) => Answer;
  /** Of the runs, over the job's settings. No trigger sets them yet, so the test writes them while the runs are delayed. */
  readonly overrides?: {
    readonly max_attempts: number;
    readonly backoff: string;
    readonly initial: number;
    readonly max: number | null;
  };
}

const failing = (status: number, headers?: Answer['headers']) => (): Answer => ({
  status,
  ...(headers && { headers }),
  body: { error: 'no' },
});
/** Fails once in a way of its own, then in the plain one: what the first reply asked for must not stay. */
const once =
  (first: () => Answer) =>
  ({ attempt }: Dispatch): Answer =>
    attempt === 1 ? first() : failing(500)();

const CASES: readonly Case[] = [
  {
    name: 'exponential',
    settings: { retry_strategy: 'exponential', max_attempts: 4 },
    delays: [1, 2, 4],
  },
  { name: 'linear', settings: { retry_strategy: 'linear', max_attempts: 4 }, delays: [1, 2, 3] },
  { name: 'fixed', settings: { retry_strategy: 'fixed', max_attempts: 5 }, delays: [1, 1, 1, 1] },
  {
    name: 'custom',
    settings: { retry_strategy: 'custom', retry_delays_secs: [2, 1, 3], max_attempts: 4 },
    delays: [2, 1, 3],
  },
  {
    name: 'custom, the last delay repeats',
    settings: { retry_strategy: 'custom', retry_delays_secs: [2, 1], max_attempts: 5 },
    delays: [2, 1, 1, 1],
  },
  { name: 'default', settings: { max_attempts: 2 }, delays: [1] },
  {
    name: '429, Retry-After in seconds',
    settings: { retry_strategy: 'fixed', max_attempts: 3 },
    delays: [[3, 3.3], 1],
    answer: once(failing(429, { 'retry-after': '3' })),
  },
  {
    name: '503, Retry-After as a date',
    settings: { retry_strategy: 'fixed', max_attempts: 3 },
    delays: [[3, 4.4], 1],
    // A date has whole seconds: 4 s ahead says between 3 and 4.
    answer: once(() =>
      failing(503, { 'retry-after': new Date(Date.now() + 4_000).toUTCString() })(),
    ),
  },
  {
    name: 'Retry-After shorter than the strategy',
    settings: { retry_strategy: 'custom', retry_delays_secs: [3], max_attempts: 2 },
    delays: [3],
    answer: failing(429, { 'retry-after': '1' }),
  },
  {
    name: 'Retry-After on a 500 says nothing',
    settings: { retry_strategy: 'fixed', max_attempts: 3 },
    delays: [1, 1],
    answer: failing(500, { 'retry-after': '30' }),
  },
  {
    name: 'a broken connection',
    settings: { retry_strategy: 'fixed', max_attempts: 2 },
    delays: [1],
    answer: () => ({ hang_up: true }),
  },
  {
    name: 'run overrides, exponential',
    settings: { retry_strategy: 'fixed', max_attempts: 9 },
    delays: [2, 3],
    overrides: { max_attempts: 3, backoff: 'exponential', initial: 2, max: 3 },
  },
  {
    name: 'run overrides, fixed',
    settings: { retry_strategy: 'exponential', max_attempts: 1 },
    delays: [2, 2],
    overrides: { max_attempts: 3, backoff: 'fixed', initial: 2, max: null },
  },
];

test('delays between attempts are those of the strategy, and due runs are dispatched on time', async (t) => {
  // What fails on purpose must not be spared for it.
  const cluster = await startCluster(t, {
    database: 'shared',
    env: { ENDPOINT_BREAKER_FAILURES: '0', ENDPOINT_HEALTH: 'false' },
  });
  const product = await cluster.start('all');
  const endpoints = new Map<string, Endpoint>();
  const jobs = new Map<string, Case>();
  for (const each of CASES) {
    const endpoint = await cluster.endpoint(each.answer ?? failing(500));
    const job = await cluster.job(product, endpoint, each.settings);
    endpoints.set(each.name, endpoint);
    jobs.set(job, each);
  }
  const scheduled_at = new Date(Date.now() + 1_500).toISOString();
  await Promise.all(
    [...jobs].map(async ([job, { overrides }]) => {
      const items = Array.from({ length: RUNS }, (_, n) => ({
        payload: { n },
        ...(overrides && { scheduled_at }),
      }));
      assert.equal(
        (await cluster.call(product, 'POST', `/v1/jobs/${job}/trigger/bulk`, { items })).status,
        201,
      );
      if (!overrides) return;
      const { max_attempts, backoff, initial, max } = overrides;
      await cluster.rows(
        `update job_runs set max_attempts_override = $2, retry_backoff = $3, retry_initial_delay_secs = $4, retry_max_delay_secs = $5
        where job_id = $1 and status = 'delayed'`,
        [job, max_attempts, backoff, initial, max],
      );
    }),
  );
  assert.deepEqual(await untilAllEnded(cluster), { dead_letter: CASES.length * RUNS });

  const due = new Map(
    (
      await cluster.rows<{ attempt: string; due_ms: number; chosen_ms: number }>(
        `select run_id || ' ' || ((data ->> 'attempt')::int + 1) as attempt,
            (extract(epoch from created_at) * 1000 + (data ->> 'retry_in_ms')::float8)::float8 as due_ms,
            (data ->> 'retry_in_ms')::float8 as chosen_ms
       from run_events where type = 'state_change' and data ? 'retry_in_ms'`,
      )
    ).map(({ attempt, due_ms, chosen_ms }) => [attempt, { due_ms, chosen_ms }]),
  );
  const lateness: number[] = [];
  const wrong: string[] = [];
  const seen: Record<string, string[]> = {};
  for (const { name, delays, overrides } of CASES) {
    const endpoint = endpoints.get(name) as Endpoint;
    const byRun = Map.groupBy(endpoint.dispatches, ({ run_id }) => run_id);
    assert.equal(byRun.size, RUNS);
    for (const [run_id, dispatches] of byRun) {
      assert.deepEqual(
        dispatches.map(({ attempt }) => attempt),
        Array.from({ length: delays.length + 1 }, (_, index) => index + 1),
        name,
      );
      if (overrides) lateness.push((dispatches[0]?.started_at ?? NaN) - Date.parse(scheduled_at));
      for (const [index, delay] of delays.entries()) {
        const [ended, next] = [
          dispatches[index]?.ended_at ?? NaN,
          dispatches[index + 1]?.started_at ?? NaN,
        ];
        const [min, max] =
          typeof delay === 'number' ? [delay * (1 - JITTER), delay * (1 + JITTER)] : delay;
        const ms = next - ended;
        const { due_ms, chosen_ms } = due.get(`${run_id} ${index + 2}`) ?? {
          due_ms: NaN,
          chosen_ms: NaN,
        };
        // Clocks of whole milliseconds on both ends.
        if (!(ms >= min * 1000 - 2 && chosen_ms <= max * 1000))
          wrong.push(
            `${name}, delay ${index + 1}: ${chosen_ms} ms chosen, ${ms} ms seen, expected ${min}–${max} s`,
          );
        lateness.push(next - due_ms);
      }
    }
    seen[name] = delays.map((_, index) => {
      const all = [...byRun.values()].map(
        (run) => (run[index + 1]?.started_at ?? NaN) - (run[index]?.ended_at ?? NaN),
      );
      return `${(Math.min(...all) / 1000).toFixed(2)}–${(Math.max(...all) / 1000).toFixed(2)}`;
    });
  }
  lateness.sort((a, b) => a - b);
  const quantile = (share: number): number =>
    Math.round(lateness[Math.ceil(lateness.length * share) - 1] ?? NaN);
  const late = { p50: quantile(0.5), p99: quantile(0.99), max: quantile(1) };
  report({
    scenario: 'retry-timing',
    delays_secs: seen,
    late_ms: late,
    ...(await audit(cluster, endpointOf(endpoints))),
  });
  assert.deepEqual(wrong.slice(0, 10), [], 'every delay is its strategy’s');
  if (full) assert.ok(late.p99 <= LATE_MS, `due runs were dispatched ${late.p99} ms late (p99)`);
  assert.ok((lateness[0] ?? NaN) > -2, 'none was dispatched early');
});

/** All endpoints' dispatches as one. */
const endpointOf = (
  endpoints: ReadonlyMap<string, Endpoint>,
): Pick<Endpoint, 'dispatches' | 'malformed'> => ({
  dispatches: [...endpoints.values()].flatMap(({ dispatches }) => dispatches),
  malformed: [...endpoints.values()].flatMap(({ malformed }) => malformed),
});
