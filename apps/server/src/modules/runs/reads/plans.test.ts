import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { testDatabase, type TestDatabase } from '../../../../test/database.ts';
import type { Queryable, StatementCall } from '../../../platform/db/query.ts';
import { runStates } from '../../queue/index.ts';
import * as store from './store.sql.ts';

interface Plan {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly Plans?: readonly Plan[];
}

let database: TestDatabase;
let job_id: string;
const RUNS = 60_000;
const project = { project_id: 'big' } as const;
const filters = {
  ...project,
  limit: 51,
  before_created_at: null,
  before_id: null,
  from: null,
  to: null,
  triggered_by: null,
  error_class: null,
  execution_mode: null,
  tags: null,
  tag_key: null,
  metadata_key: null,
};
const found = {
  ...filters,
  statuses: runStates.states,
  batch_id: null,
  parent_run_id: null,
  metadata: null,
  payload_contains_json: null,
  job_id: null,
};

/** Runs the statement as a tenant's transaction would, and returns the plan with what every node really did. */
async function planOf(run: (db: Queryable) => Promise<unknown>, tenant = true): Promise<Plan[]> {
  let root: Plan | undefined;
  const explaining = (db: Queryable): Queryable => ({
    query: async (call: StatementCall) => {
      const text = `explain (analyze, timing off, format json) ${call.text}`;
      const { rows } = await db.query({ text, values: call.values });
      root = (rows[0] as { 'QUERY PLAN': { Plan: Plan }[] })['QUERY PLAN'][0]?.Plan;
      return { rows: [], rowCount: 0 };
    },
  });
  if (tenant) await database.db.tenant(project.project_id, (tx) => run(explaining(tx)));
  else await run(explaining(database.db));
  assert.ok(root);
  const flat = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(flat)];
  return flat(root);
}

/** No scan of a whole table and no node that handles more than a few pages of rows. */
function assertBounded(plan: readonly Plan[], rows = 3000): void {
  for (const node of plan) {
    const what = `${node['Node Type']} ${node['Index Name'] ?? node['Relation Name'] ?? ''}: ${node['Actual Rows']} rows`;
    assert.ok(node['Node Type'] !== 'Seq Scan' || node['Actual Rows'] <= 100, what);
    assert.ok(node['Actual Rows'] <= rows, what);
  }
}

const indexes = (plan: readonly Plan[]) => plan.map((node) => node['Index Name'] ?? '').join(' ');

before(async () => {
  database = await testDatabase();
  const { db } = database;
  const { rows } = await db.query({
    text: `insert into jobs (project_id, name, slug, endpoint_url) values ('big', 'j', 'j', 'http://x'), ('big', 'k', 'k', 'http://x') returning id`,
    values: [],
  });
  const [first, second] = rows as { id: string }[];
  job_id = first?.id ?? '';
  // Ended runs only; six of them share each value that is looked for.
  await db.query({
    text: `insert into job_runs (id, created_at, job_id, project_id, status, finished_at, metadata, payload)
           select i.id, strait_id_time(i.id), case when n % 3 = 0 then $1 else $2 end, 'big',
                  case n % 20 when 0 then 'failed' when 1 then 'canceled' else 'completed' end, now(),
                  jsonb_build_object('n', (n % 10000)::text), jsonb_build_object('n', n % 10000)
             from (select n, uuidv7(make_interval(secs => n)) ::text as id from generate_series(1, $3::int) n) i`,
    values: [job_id, second?.id, RUNS],
  });
  await db.query({ text: 'vacuum (analyze) job_runs', values: [] });
});
after(() => database.drop());

describe('lists of runs read about what they answer with', () => {
  test('of a project, whatever the states', async () => {
    const all = await planOf((db) =>
      store.listRunsByStatus(db, { ...filters, statuses: runStates.states }),
    );
    assertBounded(all);
    assert.match(indexes(all), /status/);
    assertBounded(
      await planOf((db) => store.listRunsByStatus(db, { ...filters, statuses: ['failed'] })),
    );
  });

  test('of a project, far from the beginning', async () => {
    const { rows } = await database.db.query({
      text: 'select created_at, id from job_runs order by created_at offset 20000 limit 1',
      values: [],
    });
    const [middle] = rows as { created_at: string; id: string }[];
    const position = {
      before_created_at: middle?.created_at ?? null,
      before_id: middle?.id ?? null,
    };
    assertBounded(
      await planOf((db) =>
        store.listRunsByStatus(db, { ...filters, ...position, statuses: runStates.states }),
      ),
    );
    assertBounded(
      await planOf((db) =>
        store.listRunsOfJob(db, { ...filters, ...position, job_id, statuses: runStates.states }),
      ),
    );
  });

  test('of a job', async () => {
    const plan = await planOf((db) =>
      store.listRunsOfJob(db, { ...filters, job_id, statuses: runStates.states }),
    );
    assertBounded(plan);
    assert.match(indexes(plan), /job/);
  });

  test('by metadata and by payload, through their GIN indexes', async () => {
    assertBounded(
      await planOf((db) => store.listRunsFound(db, { ...found, metadata: { n: '7' } }), false),
    );
    const plan = await planOf(
      (db) => store.listRunsFound(db, { ...found, payload_contains_json: '{"n":7}' }),
      false,
    );
    assertBounded(plan);
    assert.match(indexes(plan), /payload/);
  });

  test('counts per state are index scans up to the cap', async () => {
    const plan = await planOf((db) =>
      store.countRunsByStatus(db, { ...project, statuses: ['queued', 'failed'], cap: 1000 }),
    );
    assertBounded(plan, 1000);
  });
});
