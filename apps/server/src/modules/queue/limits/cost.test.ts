// What a limit of an endpoint costs where very many jobs call it: it is counted once per statement, not once per lane. As far
// as PostgreSQL knows the tables are empty, which is when plans are worst.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { testDatabase, type TestDatabase } from '../../../../test/database.ts';
import { createDatabase, type Database } from '../../../platform/db/database.ts';
import type { Queryable } from '../../../platform/db/query.ts';
import * as why from '../../why/store.sql.ts';
import * as upkeep from '../upkeep/store.sql.ts';
import * as store from './store.sql.ts';

const JOBS = 500;
const KEYS = 200;
const project_id = 'crowd';
/** Pages to count the endpoint once: of each job its row in an index and its lane. */
const ONCE = 10 * JOBS;

let database: TestDatabase;
let hot: Database;
let root_lane_id = 0;
let run_id = '';

before(async () => {
  database = await testDatabase();
  hot = createDatabase({ url: database.url, application_name: 'cost', max: 1, settings: 'hot' });
  await sql(
    `insert into jobs (project_id, name, slug, endpoint_url, max_concurrency, max_concurrency_per_key)
     select $1, 'j' || n, 'j' || n, 'http://127.0.0.1:9/x', 5, case when n = 1 then 5 end from generate_series(1, ${JOBS}) n`,
    project_id,
  );
  const [last] = await sql<{ root: number; id: string }>(
    `with input as materialized (
       select strait_run_id() as id, j.project_id, j.id as job_id, k.key
         from jobs j cross join lateral (select null union all select 'k' || n from generate_series(1, ${KEYS}) n where j.slug = 'j1') k(key)
        where j.project_id = $1
     ), placed as materialized (
       select *, strait_place(project_id, job_id, key) as place from input
     ), runs as (
       insert into job_runs (id, created_at, job_id, project_id, status, concurrency_key)
       select id, strait_id_time(id), job_id, project_id, 'queued', key from placed
     )
     insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
     select project_id, 1, id, strait_id_time(id), job_id, 1, place[1], place[2] from placed
     returning root_lane_id as root, run_id as id`,
    project_id,
  );
  root_lane_id = last?.root ?? 0;
  run_id = last?.id ?? '';
});
after(async () => {
  await hot.close();
  await database.drop();
});

async function sql<Row>(text: string, ...values: unknown[]): Promise<Row[]> {
  return (await database.db.query({ text, values })).rows as Row[];
}

interface Plan {
  readonly Plan: { readonly 'Shared Hit Blocks': number; readonly 'Shared Read Blocks': number };
}

/** Pages one statement looks at, of the hot pool's plan; nothing it does stays. */
async function pages(use: (db: Queryable) => Promise<unknown>): Promise<number> {
  let plan: Plan['Plan'] | undefined;
  const rollback = new Error('roll back');
  const done = hot.transaction(async (tx) => {
    await use({
      query: async ({ text, values }) => {
        const explain = `explain (analyze, buffers, timing off, format json) ${text}`;
        const { rows } = await tx.query({ text: explain, values });
        plan = (rows as { 'QUERY PLAN': Plan[] }[])[0]?.['QUERY PLAN'][0]?.Plan;
        return { rows: [], rowCount: 0 };
      },
    });
    throw rollback;
  });
  await done.catch((error: unknown) => {
    if (error !== rollback) throw error;
  });
  assert.ok(plan);
  return plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
}

const STATEMENTS: Record<string, (db: Queryable) => Promise<unknown>> = {
  promotion: (db) => store.promoteLanes(db, { root_lane_id, lanes: 100_000, page: 500, most: 500 }),
  'the room of a run': (db) => why.findRoom(db, { project_id, run_id }),
  'who competes with it': (db) =>
    why.listCompetitors(db, { project_id, root_lane_id, run_id, look: 0, limit: 5_000 }),
  'the checker': (db) => upkeep.checkIdleRoom(db, { limit: 5_000 }),
};

describe(`an endpoint that ${JOBS} jobs call, with runs in ${JOBS + KEYS} lanes`, () => {
  for (const [name, statement] of Object.entries(STATEMENTS))
    it(`${name} counts it once`, async (test) => {
      const free = await pages(statement);
      // Room for all, so that all are looked at in either case.
      await sql(
        `insert into endpoint_admission (project_id, endpoint, closed, probe_at, max_in_flight)
         select distinct project_id, endpoint, false, strait_now(), 10000 from jobs where project_id = $1`,
        project_id,
      );
      const limited = await pages(statement);
      await sql('delete from endpoint_admission');
      test.diagnostic(`${free} pages without a limit, ${limited} with one`);
      assert.ok(free > JOBS, 'every lane is looked at');
      assert.ok(limited <= 1.2 * free + ONCE, `${limited} pages, ${free} without a limit`);
    });
});
