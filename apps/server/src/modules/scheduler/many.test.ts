// Many schedules: what is due is found by its index, and thousands due at once are shared by all schedulers.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { createDatabase, type Database } from '../../platform/db/database.ts';
import type { Queryable, StatementCall } from '../../platform/db/query.ts';
import { shiftClock, testDatabase, type TestDatabase } from '../../../test/database.ts';
import { busyJobs, cancelOthers, createOperatorVerbs, createQueue } from '../queue/index.ts';
import { createScheduler } from './index.ts';
import * as store from './store.sql.ts';

const SCHEDULES = 20_000;
const DUE = 3_000;
const settings = { aging_ms: 0, default_ttl_secs: 0, idempotency_retention_secs: 86_400 };

let database: TestDatabase;
let pools: Database[];
before(async () => {
  database = await testDatabase();
  const open = () =>
    createDatabase({ url: database.url, application_name: 'many', max: 2, settings: 'hot' });
  pools = [open(), open(), open()];
  // Ten minutes past the hour, so that no other hour begins while the test runs.
  const HOUR_MS = 3_600_000;
  await shiftClock(database.db, HOUR_MS / 6 - (Date.now() % HOUR_MS));
  const fill = async (text: string) => database.db.query({ text, values: [] });
  await fill(
    `insert into jobs (project_id, name, slug, endpoint_url, cron)
     select 'p' || n % 50, n::text, n::text, 'http://x', '0 * * * *' from generate_series(1, ${SCHEDULES}) n`,
  );
  await fill(
    `insert into job_runs (id, created_at, job_id, project_id, status)
     select i.id, strait_id_time(i.id), j.id, j.project_id, case when n <= 30 then 'delayed' else 'completed' end
       from (select n, uuidv7(make_interval(secs => -n * 0.001))::text as id from generate_series(1, 30000) n) i
       join jobs j on j.slug = case when n <= 20 then '101' else '1' end`,
  );
  // Due at the hour that has begun; the others at the next one.
  await fill(
    `insert into job_schedules (job_id, project_id, cron, timezone, overlap_policy, catchup, enabled, next_fire_at)
     select id, project_id, cron, 'UTC', case slug::int % 3 when 0 then 'skip' else 'allow' end, 'all', true,
            date_trunc('hour', strait_now()) + case when slug::int <= ${DUE} then interval '0' else interval '1 hour' end
       from jobs`,
  );
  await fill('analyze jobs, job_schedules');
});
after(async () => {
  await Promise.all(pools.map((pool) => pool.close()));
  await database.drop();
});

interface Plan {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Relation Name'?: string;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Plan[];
}

/** The scans of the statement, with what they really read. */
async function scansOf(run: (db: Queryable) => Promise<unknown>): Promise<Plan[]> {
  let root: Plan | undefined;
  const undone = new Error('nothing is kept');
  await pools[0]
    ?.transaction(async (tx) => {
      await run({
        query: async (call: StatementCall) => {
          const text = `explain (analyze, timing off, format json) ${call.text}`;
          const { rows } = await tx.query({ text, values: call.values });
          root = (rows[0] as { 'QUERY PLAN': { Plan: Plan }[] })['QUERY PLAN'][0]?.Plan;
          return { rows: [{}], rowCount: 1 };
        },
      });
      throw undone;
    })
    .catch((error: unknown) => assert.equal(error, undone));
  const flat = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(flat)];
  assert.ok(root);
  return flat(root).filter((plan) => plan['Node Type'].includes('Scan'));
}

it('what is due, and when the next is, is read from the head of an index', async () => {
  const none: readonly string[] = [];
  const scans = [
    ...(await scansOf((db) =>
      store.takeDueSchedules(db, {
        limit: 200,
        cancels: false,
        only_job_id: null,
        except_job_ids: none,
      }),
    )),
    ...(await scansOf((db) => store.nextDue(db, { except_job_ids: none }))),
  ];
  for (const scan of scans) {
    const read = scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0);
    assert.ok(read <= 201, JSON.stringify(scan));
  }
  const used = scans.flatMap((scan) => scan['Index Name'] ?? []);
  assert.deepEqual(used, ['job_schedules_due', 'job_schedules_due']);
});

it('whether a job runs is not read from its history', async () => {
  const { rows } = await database.db.query({
    text: `select id as job_id, project_id from jobs where slug = '1'`,
    values: [],
  });
  const [job] = rows as { job_id: string; project_id: string }[];
  assert.ok(job);
  const nobody = { cancel: async () => ({ canceled: [], descendants: [] }) };
  for (const ask of [
    (db: Queryable) => busyJobs(db, [job]),
    (db: Queryable) => cancelOthers(db, nobody, { ...job, run_id: '', reason: '' }),
  ]) {
    let read = 0;
    const scans = await scansOf(ask);
    for (const scan of scans)
      if (scan['Relation Name']?.startsWith('job_runs'))
        read +=
          (scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0)) * scan['Actual Loops'];
    assert.ok(read > 0 && read <= 60, `${read} rows read`);
  }
});

it('three schedulers share what is due at once; each fires once, and all move on', async (test) => {
  const counts = [0, 0, 0];
  const schedulers = pools.map((db, index) =>
    createScheduler({
      db,
      queue: createQueue({ db, settings }),
      operator: createOperatorVerbs(settings),
      settings: { misfire_grace_ms: 3_600_000 },
      onFires: (_outcome, fires) => (counts[index] = (counts[index] ?? 0) + fires),
      onTrouble: assert.fail,
    }),
  );
  const began = performance.now();
  const signal = AbortSignal.timeout(60_000);
  await Promise.all(schedulers.map((scheduler) => scheduler.round(signal)));
  const took = Math.round(performance.now() - began);
  const { rows } = await database.db.query({
    text: `select count(*)::int as runs, count(distinct job_id)::int as jobs,
                  (select count(*)::int from job_schedules where next_fire_at <= strait_now()) as due
             from job_runs where triggered_by = 'cron'`,
    values: [],
  });
  assert.deepEqual(rows, [{ runs: DUE, jobs: DUE, due: 0 }]);
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    DUE,
  );
  assert.ok(counts.filter((count) => count > 0).length > 1, 'the work is shared');
  test.diagnostic(`${DUE} fires in ${took} ms by three: ${counts.join(', ')}`);
});
