// Random schedules: four claimers with promotions, ends, retries, crashes, hand-backs, cancels and pauses, really at the
// same time on a real database. Limits hold in every snapshot, what may start starts, every count is right in the end.
// The long form: STRAIT_SCENARIOS=full npm test queue/limits/schedules (10,000 schedules, half an hour).

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { seededRandom, type Random } from '../../../../test/contract/nasty.ts';
import { runActions } from '../../../../test/run-actions.ts';
import type { ClaimedRun } from '../queue.ts';
import { createLimits } from './limits.ts';

const seed = Number(process.env['STRAIT_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const FULL = process.env['STRAIT_SCENARIOS'] === 'full';
const CASES = FULL ? 10_000 : 40;
const ACTORS = 4;
const STEPS = 8;

let on: Awaited<ReturnType<typeof runActions>>;
let limits: ReturnType<typeof createLimits>;

before(async () => {
  on = await runActions();
  limits = createLimits({ db: on.app.composition.hot });
});
after(() => on.close());

interface Case {
  readonly project_id: string;
  readonly jobs: readonly string[];
  readonly worker_id: number;
  /** Leases that somebody works on. */
  readonly held: ClaimedRun[];
}

const claimOf = ({ id, created_at, claim_seq }: ClaimedRun) => ({ id, created_at, claim_seq });

async function setUp(random: Random, number: number): Promise<Case> {
  const project_id = `schedule-${number}`;
  const cap = (): number | null => random.pick([null, 1, 2, 3]);
  await on.app.sql('insert into projects (id, name) values ($1, $1)', project_id);
  const quota = cap();
  if (quota !== null)
    await on.app.sql(
      'insert into project_quotas (project_id, max_executing_runs) values ($1, $2)',
      project_id,
      quota,
    );
  const jobs: string[] = [];
  for (let n = 1 + random.below(2); n > 0; n--) {
    const [job] = await on.app.sql<{ id: string }>(
      `insert into jobs (project_id, name, slug, endpoint_url, max_concurrency, max_concurrency_per_key, max_attempts)
       values ($1, $2, $2, 'http://127.0.0.1:9/', $3, $4, 100) returning id`,
      project_id,
      `j${n}`,
      cap(),
      cap(),
    );
    if (!job) continue;
    jobs.push(job.id);
    if (random.below(2) > 0) continue;
    // Its keys share: one with limits of its own, and perhaps all others.
    await on.app.sql(
      `with made as (
         insert into job_key_limits (job_id, project_id, concurrency_key, min_concurrency, max_concurrency, weight)
         values ($1, $2, 'k0', 1, $3, 3), ($1, $2, $4, 0, $5, 1)
       )
       update jobs set has_key_limits = true where id = $1`,
      job.id,
      project_id,
      cap(),
      random.pick(['*', 'k1']),
      cap(),
    );
  }
  const worker_id = await on.queue.registerWorker({ hostname: 'schedules', pid: 1 });
  return { project_id, jobs, worker_id, held: [] };
}

const enqueue = ({ project_id, jobs }: Case, random: Random) =>
  on.queue.enqueue({
    project_id,
    job_id: random.pick(jobs),
    payload: '{}',
    priority: random.below(11),
    extra: random.below(3) > 0 ? { concurrency_key: `k${random.below(2)}` } : undefined,
  });

const rootOf = async ({ project_id }: Case): Promise<number | undefined> =>
  (
    await on.app.sql<{ lane_id: number }>(
      'select lane_id from lanes where project_id = $1 and job_id is null',
      project_id,
    )
  )[0]?.lane_id;

const promote = async (of: Case): Promise<void> => {
  const root = await rootOf(of);
  if (root !== undefined) await limits.promote(root);
};

const claim = async (of: Case, limit: number): Promise<void> => {
  const runs = await on.queue.claim({ worker_id: of.worker_id, limit, cursor: '' });
  const parked = runs.filter(({ verdict }) => verdict === 'park');
  if (parked.length > 0) await on.queue.park(parked.map(claimOf));
  of.held.push(...runs.filter(({ verdict }) => verdict === 'go'));
};

const pauseOne = ({ project_id, jobs }: Case, random: Random, paused: boolean) =>
  on.app.sql(
    'update jobs set paused = $1 where id = $2 and project_id = $3',
    paused,
    random.pick(jobs),
    project_id,
  );

/** One action of one actor. */
async function step(of: Case, random: Random): Promise<void> {
  const dice = random.below(20);
  if (dice < 5) return promote(of);
  if (dice < 9) return claim(of, 1 + random.below(4));
  if (dice < 11) return void (await enqueue(of, random));
  if (dice < 12) return void (await pauseOne(of, random, random.below(2) === 0));
  const run = of.held.splice(random.below(Math.max(of.held.length, 1)), 1)[0];
  if (!run) return;
  const lease = { ...claimOf(run), started_at: run.claimed_at };
  if (dice < 16) await on.queue.complete([lease]);
  else if (dice === 16)
    // A crash: the reaper finds the lease and the next attempt waits for nothing here.
    await on.queue.settle([{ ...lease, to: 'queued', attempt: run.attempt + 1, error: 'lost' }]);
  else if (dice === 17) await on.queue.settle([{ ...lease, to: 'queued', unstarted: true }]);
  else if (dice === 18) await on.queue.settle([{ ...lease, to: 'dead_letter', error: 'e' }]);
  else
    await on.app.db.transaction((tx) =>
      on.app.composition.modules.operator.cancel(tx, {
        project_id: of.project_id,
        run_ids: [run.id],
        reason: 'r',
        child_reason: 'c',
      }),
    );
}

/** Lanes with more slots than allowed, in one snapshot; the cached numbers must say the same. */
const overLimit = ({ project_id }: Case) =>
  on.app.sql(
    `with slots as (
       select k.lane_id, k.parent_lane_id, k.root_lane_id
         from (select lane_id from run_queue union all select lane_id from run_active) s join lanes k on k.lane_id = s.lane_id
        where k.project_id = $1
     )
     select r.lane_id, r.key_cap, r.job_cap, r.project_cap, l.in_flight, count(s.lane_id) as slots
       from lane_rooms r join lanes l on l.lane_id = r.lane_id
       left join slots s on r.lane_id in (s.lane_id, s.parent_lane_id, s.root_lane_id)
      where r.project_id = $1
      group by 1, 2, 3, 4, 5, r.concurrency_key, r.job_id
     having count(s.lane_id) <> l.in_flight
         or count(s.lane_id) > coalesce(case when r.concurrency_key is not null then r.key_cap
                                             when r.job_id is not null then r.job_cap else r.project_cap end, 1000000)`,
    project_id,
  );

const left = async ({ project_id }: Case): Promise<number> => {
  const [row] = await on.app.sql<{ left: number }>(
    `select (select count(*) from run_queue where project_id = $1)
          + (select count(*) from run_parked where project_id = $1)
          + (select count(*) from run_active a join job_runs r on r.id = a.run_id where r.project_id = $1) as left`,
    project_id,
  );
  return Number(row?.left);
};

/** A test without one of its own has that of the command line, whatever its suite has. */
const timeout = FULL ? 7_200_000 : 120_000;

describe('random schedules', { timeout }, () => {
  it(
    `keep every limit at every instant and leave nothing behind (seed ${seed})`,
    { timeout },
    async (test) => {
      const random = seededRandom(seed);
      let snapshots = 0;
      for (let number = 0; number < CASES; number++) {
        const of = await setUp(random, number);
        await Promise.all(Array.from({ length: 4 + random.below(8) }, () => enqueue(of, random)));
        let acting = true;
        const watching = (async () => {
          while (acting) {
            snapshots += 1;
            const found = await overLimit(of);
            assert.deepEqual(found, [], `case ${number}, seed ${seed}`);
          }
        })();
        await Promise.all(
          Array.from({ length: ACTORS }, async () => {
            for (let n = 0; n < STEPS; n++) await step(of, random);
          }),
        );
        acting = false;
        await watching;

        // Quiet: everything may start, and everything does.
        await on.app.sql('update jobs set paused = false where project_id = $1', of.project_id);
        for (let round = 0; (await left(of)) > 0; round++) {
          assert.ok(round < 100, `case ${number}, seed ${seed}: ${await left(of)} runs are stuck`);
          const ended = of.held.splice(0);
          if (ended.length > 0)
            await on.queue.complete(
              ended.map((run) => ({ ...claimOf(run), started_at: run.claimed_at })),
            );
          await promote(of);
          await claim(of, 50);
          assert.deepEqual(await overLimit(of), [], `case ${number}, seed ${seed}`);
        }
        const counts = await on.app.sql(
          'select lane_id from lanes where project_id = $1 and in_flight <> 0',
          of.project_id,
        );
        assert.deepEqual(counts, [], `case ${number}, seed ${seed}`);
        await on.queue.removeWorker(of.worker_id);
      }
      assert.deepEqual(await limits.mend(), []);
      test.diagnostic(`${CASES} schedules of ${ACTORS} × ${STEPS} steps, ${snapshots} snapshots`);
    },
  );
});
