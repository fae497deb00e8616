// The hot statements on large tables, with the hot pool's settings: every row is reached by an index, and
// what knows a run's id looks into one partition. Plans are generic, as the pool's are.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { createQueue, runTime } from '../src/modules/queue/index.ts';
import * as endpoints from '../src/modules/executor/endpoints/store.sql.ts';
import * as intake from '../src/modules/queue/intake/store.sql.ts';
import * as lease from '../src/modules/queue/lease/store.sql.ts';
import * as retention from '../src/modules/queue/retention/store.sql.ts';
import * as upkeep from '../src/modules/queue/upkeep/store.sql.ts';
import * as reads from '../src/modules/runs/reads/store.sql.ts';
import { createDatabase, type Database } from '../src/platform/db/database.ts';
import type { Queryable } from '../src/platform/db/query.ts';
import { testDatabase, type TestDatabase } from './database.ts';

const ENDED = 140_000;
const READY = 50_000;
const DELAYED = 8_000;
const LEASED = 2_000;
const PROJECTS = 8;

const settings = { aging_ms: 1000, default_ttl_secs: 3600, idempotency_retention_secs: 60 };
const project_id = 'big-3';
const big =
  /^(job_runs|run_queue|run_active|run_delayed|run_parked|run_waiting|run_events|job_run_idempotency)/;

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Node[];
}

let database: TestDatabase;
let hot: Database;
let job_id = '';
/** Bound to a live run of the job. */
let held_key = '';
/** Names of the partitions. */
let leaves: unknown[] = [];
/** Leased runs of one month. */
let leased: { id: string; created_at: string; claim_seq: number; started_at: string }[] = [];

before(async () => {
  database = await testDatabase();
  hot = createDatabase({ url: database.url, application_name: 'plans', max: 2, settings: 'hot' });
  await fill(database.db);
  const { rows } = await database.db.query({
    text: 'select run_id as id, run_created_at as created_at, claim_seq, started_at from run_active order by run_id desc limit 50',
    values: [],
  });
  leased = rows as typeof leased;
  const all = { text: 'select leaf from strait_run_partitions()', values: [] };
  leaves = (await database.db.query(all)).rows;
  const keys = await database.db.query({
    text: 'select idempotency_key from job_run_idempotency offset 1000 limit 1',
    values: [],
  });
  held_key = (keys.rows as { idempotency_key: string }[])[0]?.idempotency_key ?? '';
});
after(async () => {
  await hot.close();
  await database.drop();
});

describe('hot statements on large tables', () => {
  const queue = (db: Queryable) => createQueue({ db, settings });
  const facts = () => leased.map((run) => ({ ...run, result: '{"ok":true}' }));

  it('claim reads the head of the queue and one row per run', async () => {
    const [plan] = await plansOf((db) => queue(db).claim({ worker_id: 1, limit: 50, cursor: '' }));
    assertIndexed(plan, ['run_queue_ready', 'job_runs.*_pkey']);
    assertFew(plan, 'run_queue', 120);
    assert.equal(leavesRead(plan).length, 1);
  });

  for (const cursor of ['big-1', 'big-5', 'big-8']) {
    it(`claim costs the same after ${cursor}, wherever the round wraps`, async () => {
      const claim = { worker_id: 1, limit: 50, cursor };
      const [plan] = await plansOf((db) => queue(db).claim(claim));
      assertIndexed(plan, ['run_queue_ready']);
      assertFew(plan, 'run_queue', 120);
    });
  }

  it('enqueue, with and without idempotency keys', async () => {
    const run = { job_id, project_id, payload: '{}', priority: 0 };
    const [plan, holders] = await plansOf((db) =>
      queue(db).enqueueMany([run, { ...run, idempotency_key: held_key, payload_hash: 'x' }]),
    );
    assertIndexed(plan, ['jobs_pkey']);
    assertIndexed(holders, ['job_run_idempotency_pkey', 'job_runs.*_pkey']);
    assert.equal(leavesRead(holders).length, 1);
  });

  it('complete', async () => {
    const [plan] = await plansOf((db) => queue(db).complete(facts()));
    // Nobody follows these jobs: that is read from an index without entries.
    assertIndexed(plan, ['run_active_pkey', 'job_runs.*_pkey', 'idx_jobs_followed']);
    assertFew(plan, 'run_active', leased.length);
    assert.equal(leavesRead(plan).length, 1);
  });

  it('settle, with a retry and an end', async () => {
    const [plan] = await plansOf((db) =>
      queue(db).settle(
        facts().map((run, index) =>
          index % 2 === 0
            ? { ...run, to: 'queued', delay_ms: 1000, attempt: 2 }
            : { ...run, to: 'dead_letter', error: 'e', error_class: 'server' },
        ),
      ),
    );
    assertIndexed(plan, ['run_active_pkey', 'job_runs.*_pkey']);
    assert.equal(leavesRead(plan).length, 1);
  });

  it('mark executing', async () => {
    const [plan] = await plansOf((db) => queue(db).mark(leased));
    assertIndexed(plan, ['run_active_pkey', 'job_runs.*_pkey']);
    assert.equal(leavesRead(plan).length, 1);
  });

  it('move what is due, and ask when something is', async () => {
    const [move] = await plansOf((db) => upkeep.moveDue(db, { limit: 50 }));
    assertIndexed(move, ['run_delayed_due', 'job_runs.*_pkey']);
    assertFew(move, 'run_delayed', 50);
    assert.equal(leavesRead(move).length, 1);
    const [next] = await plansOf((db) => upkeep.nextDue(db));
    assertIndexed(next, ['run_delayed_due']);
    assertFew(next, 'run_delayed', 1);
  });

  it('expire', async () => {
    const limits = { limit: 50, idempotency_retention_secs: 60 };
    const [plan] = await plansOf((db) => upkeep.expireRuns(db, limits));
    assertIndexed(plan, ['expires_at', 'run_queue_run', 'run_parked_run', 'run_delayed_run']);
    for (const node of flat(plan)) assert.ok(node['Actual Rows'] <= 200, describeNode(node));
  });

  it('find the holder of an idempotency key', async () => {
    const keys = { job_ids: [job_id], idempotency_keys: [held_key] };
    const [plan] = await plansOf((db) => intake.findKeyHolders(db, keys));
    assertIndexed(plan, ['job_run_idempotency_pkey', 'job_runs.*_pkey']);
    assert.equal(leavesRead(plan).length, 1);
  });

  it('find dead letters beyond the caps, and remove some, whatever else is kept', async () => {
    const cap = 100;
    for (const from_oldest of [false, true]) {
      const caps = { per_project: cap, per_job: cap, from_oldest, recent_secs: 1e9 };
      const [plan] = await plansOf((db) => retention.listCrowded(db, caps));
      assertIndexed(plan, ['dead|project_id_finished_at', 'dead|job_id_finished_at']);
      // Per project and job a probe at the cap, one for the newest and one for the next; a leaf each has one row ready.
      assertRunsRead(plan, 2 * PROJECTS * (cap + 3 * leaves.length + 3));
    }
    const surplus = { of_project: project_id, of_job: null, run_id: 'f', limit: 50 };
    const finished_at = '2999-01-01T00:00:00Z';
    const [drop] = await plansOf((db) =>
      retention.dropDeadLetters(db, { ...surplus, finished_at }),
    );
    const [reject] = await plansOf((db) =>
      retention.rejectDeadLetters(db, { ...surplus, finished_at: '2000-01-01T00:00:00Z' }),
    );
    for (const plan of [drop, reject]) assertRunsRead(plan, 50 * (leaves.length + 3));
  });

  it('the checker looks for lost runs among those that live', async () => {
    for (const stale of [false, true]) {
      // As far as PostgreSQL knows then, the tables are empty.
      if (stale) await forgetStatistics(database.db);
      const plans = await plansOf(async (db) => {
        await upkeep.forbidHistoryScans(db);
        await upkeep.checkLost(db, { limit: 20 });
      }, database.db);
      assertRunsRead(plans[1], READY + LEASED + DELAYED + 10 * PROJECTS);
    }
  });

  it('count what waits in a project up to its limit, among what lives', async () => {
    const most = 1_000;
    const text = 'insert into project_quotas (project_id, max_queued_runs) values ($1, $2)';
    await database.db.query({ text, values: [project_id, most] });
    const [plan] = await plansOf((db) => intake.countRoom(db, { project_id }));
    for (const table of ['run_queue', 'run_delayed']) assertFew(plan, table, most);
    // The leases of everybody are looked at, and of runs those behind them: never what ended.
    assertRunsRead(plan, 2 * LEASED);
  });

  it('count what executes at an endpoint by its project and the leases of the last moment', async () => {
    const look = 100;
    const of = { project_id, endpoint: 'http://x' };
    const [load, executing] = await plansOf(async (db) => {
      await endpoints.findLoad(db, of);
      await endpoints.countExecuting(db, { ...of, look });
    });
    const names = flat(load).map((node) => node['Relation Name'] ?? '');
    assert.deepEqual(
      names.filter((name) => big.test(name)),
      [],
      'no run, no lease',
    );
    assertRunsRead(executing, look);
    assertFew(executing, 'run_active', look);
  });

  it('find one run, and the lease of a run token', async () => {
    const run_id = leased[0]?.id ?? '';
    const [run] = await plansOf((db) => reads.findRun(db, { run_id, project_id }));
    assertIndexed(run, ['job_runs.*_pkey']);
    assert.deepEqual(leavesRead(run), [leafOf(run_id)]);
    const [held] = await plansOf((db) =>
      lease.findLease(db, { run_id, attempt: 1, claim_seq: leased[0]?.claim_seq ?? 0 }),
    );
    assertIndexed(held, ['run_active_pkey', 'run_waiting_pkey', 'job_runs.*_pkey']);
    assert.deepEqual(leavesRead(held), [leafOf(run_id)]);
  });
});

/** Runs what `use` sends as prepared statements with generic plans, and rolls back. One plan per statement. */
async function plansOf(
  use: (db: Queryable) => Promise<unknown>,
  pool: Database = hot,
): Promise<Node[]> {
  const plans: Node[] = [];
  const rollback = new Error('roll back');
  const run = pool.transaction(async (tx) => {
    await use({
      query: async ({ text, values }) => {
        await tx.query({ text: `prepare hot_statement as ${text}`, values: [] });
        const given = values.length === 0 ? '' : `(${values.map(literal).join(', ')})`;
        const { rows } = await tx.query({
          text: `explain (analyze, timing off, format json) execute hot_statement${given}`,
          values: [],
        });
        await tx.query({ text: 'deallocate hot_statement', values: [] });
        const [row] = rows as { 'QUERY PLAN': { Plan: Node }[] }[];
        const plan = row?.['QUERY PLAN'][0]?.Plan;
        if (plan) plans.push(plan);
        // One row for statements that must have one; its columns are never looked at.
        return {
          rows: /due_in_ms|set_config|max_in_flight|executing/.test(text) ? [{}] : [],
          rowCount: 0,
        };
      },
    });
    throw rollback;
  });
  await run.catch((error: unknown) => {
    if (error !== rollback) throw error;
  });
  assert.ok(plans.length > 0);
  return plans;
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (!Array.isArray(value)) return pg.escapeLiteral(String(value));
  const items = value.map((item: unknown) =>
    item === null ? 'null' : `"${String(item).replaceAll(/["\\]/g, '\\$&')}"`,
  );
  return pg.escapeLiteral(`{${items.join(',')}}`);
}

const flat = (node: Node | undefined): Node[] =>
  node ? [node, ...(node.Plans ?? []).flatMap(flat)] : [];

const describeNode = (node: Node) =>
  `${node['Node Type']} on ${node['Relation Name']} by ${node['Index Name']}: ${node['Actual Rows']} rows × ${node['Actual Loops']}`;

/** No large table is read from end to end, and these indexes are used. */
function assertIndexed(plan: Node | undefined, names: readonly string[]): void {
  const nodes = flat(plan);
  assert.ok(nodes.length > 0, 'there is no plan');
  for (const node of nodes) {
    const scans = node['Node Type'] === 'Seq Scan' && big.test(node['Relation Name'] ?? '');
    assert.ok(!scans, describeNode(node));
  }
  const used = nodes.flatMap((node) => node['Index Name'] ?? []);
  for (const name of names) {
    assert.ok(
      used.some((index) => new RegExp(name).test(index)),
      `${name} is not among ${[...new Set(used)].join(', ')}`,
    );
  }
}

/** No scan of a table reads more rows than this, whether it returns them or not. */
function assertFew(plan: Node | undefined, table: string, most: number): void {
  for (const node of flat(plan)) {
    if (node['Relation Name'] !== table || !node['Node Type'].includes('Scan')) continue;
    const read = node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0);
    assert.ok(read * node['Actual Loops'] <= most, describeNode(node));
  }
}

/** All scans of job_runs together read at most so many rows, returned or not. */
function assertRunsRead(plan: Node | undefined, most: number): void {
  const scans = flat(plan).filter((node) => (node['Relation Name'] ?? '').startsWith('job_runs'));
  assert.ok(scans.length > 0, 'the plan reads no runs');
  let read = 0;
  for (const node of scans.filter((one) => one['Node Type'].includes('Scan')))
    read += (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];
  assert.ok(
    read <= most,
    `${read} rows read: ${flat(plan)
      .filter((n) => n['Actual Rows'] * n['Actual Loops'] > 200)
      .map(describeNode)
      .join('; ')}`,
  );
}

async function forgetStatistics(db: Database): Promise<void> {
  const clear = 'select pg_clear_relation_stats(current_schema, leaf) from strait_run_partitions()';
  await db.query({ text: clear, values: [] });
}

/** Partitions of job_runs that were really looked into. */
function leavesRead(plan: Node | undefined): string[] {
  const leaves = flat(plan).flatMap((node) =>
    node['Actual Loops'] > 0 && node['Node Type'].includes('Scan')
      ? (/^job_runs_p\d{4}_\d\d/.exec(node['Relation Name'] ?? node['Index Name'] ?? '') ?? [])
      : [],
  );
  return [...new Set(leaves)];
}

const leafOf = (run_id: string) => `job_runs_p${runTime(run_id).slice(0, 7).replace('-', '_')}`;

/** Eight projects; ended runs over three months, live ones of the last minutes. */
async function fill(db: Database): Promise<void> {
  const query = async (text: string, ...values: unknown[]) =>
    (await db.query({ text, values })).rows;
  for (const months of [1, 2]) {
    await query('select strait_create_run_partition(now() - make_interval(months => $1))', months);
  }
  await query(
    `insert into jobs (project_id, name, slug, endpoint_url)
     select 'big-' || n, 'j', 'j', 'http://x' from generate_series(1, ${PROJECTS}) n`,
  );
  const jobs = (await query('select id from jobs where project_id = $1', project_id)) as {
    id: string;
  }[];
  job_id = jobs[0]?.id ?? '';
  const insert = (count: number, status: string, id: string) =>
    query(
      `insert into job_runs (id, created_at, job_id, project_id, status, finished_at, expires_at)
       select i.id, strait_id_time(i.id), j.id, j.project_id, ${status}, strait_id_time(i.id),
              case when i.n % 100 = 0 then now() - interval '1 s' else now() + interval '1 h' end
         from (select n, ${id}::text as id from generate_series(1, ${count}::int) n) i
         join jobs j on j.project_id = 'big-' || (1 + i.n % 8) and j.slug = 'j'`,
    );
  const recent = `uuidv7(make_interval(secs => -n * 0.001))`;
  await Promise.all([
    insert(
      ENDED,
      `case (i.n / 8) % 10 when 0 then 'failed' when 1 then 'dead_letter' else 'completed' end`,
      `uuidv7(make_interval(months => -(n % 3)) - interval '1 min' - make_interval(secs => n * 0.001))`,
    ),
    insert(
      READY + LEASED + DELAYED,
      `case when i.n > ${READY + LEASED} then 'delayed' else 'queued' end`,
      recent,
    ),
  ]);
  // Places follow from the runs' order, so that no run has two.
  const live = `(select *, row_number() over (order by id) as n from job_runs where status in ('queued', 'delayed')) r`;
  const place = 'r.project_id, r.id, r.created_at, r.job_id, 1';
  await query(
    `insert into run_delayed (due_at, rank, project_id, run_id, run_created_at, job_id, attempt)
     select case when r.n % 50 = 0 then now() - interval '1 s' else now() + interval '1 h' end, r.n, ${place} from ${live} where status = 'delayed'`,
  );
  await query(
    `insert into run_queue (rank, project_id, run_id, run_created_at, job_id, attempt)
     select r.n, ${place} from ${live} where status = 'queued' order by r.n offset ${LEASED}`,
  );
  await query(
    `insert into run_active (worker_id, run_id, run_created_at, attempt, claim_seq)
     select 1, r.id, r.created_at, 1, 1000000 + r.n from ${live}
      where status = 'queued' and not exists (select from run_queue q where q.run_id = r.id)`,
  );
  await query(
    `insert into job_run_idempotency (job_id, idempotency_key, run_id, payload_hash)
     select job_id, 'key ' || n, id, 'x' from ${live} where project_id = $1 and r.n <= 20000`,
    project_id,
  );
  await query(
    `insert into jobs (project_id, name, slug, endpoint_url)
     select $1, n::text, n::text, 'http://x' from generate_series(1, 2000) n`,
    project_id,
  );
  await query('analyze jobs, job_runs, run_queue, run_active, run_delayed, job_run_idempotency');
}
