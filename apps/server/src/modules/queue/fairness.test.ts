// Who waits for whom: a project with a huge backlog against small ones, and priority inside a project.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runActions } from '../../../test/run-actions.ts';

const BIG = 20_000;
const SMALL = 100;
const SMALL_PROJECTS = 10;

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(async () => {
  await on.app.sql('delete from run_queue');
  await on.app.sql('delete from run_active');
  await on.app.sql(`update job_runs set status = 'canceled', finished_at = now()`);
  await on.close();
});

/** Ready runs of a project, as enqueueing leaves them. */
const fill = (project_id: string, count: number) =>
  on.app.sql(
    `with job as (
       insert into jobs (project_id, name, slug, endpoint_url) values ($1, 'j', 'j', 'http://127.0.0.1:9/') returning id
     ), runs as (
       insert into job_runs (id, created_at, job_id, project_id, status)
       select i.id, strait_id_time(i.id), job.id, $1, 'queued'
         from job, (select uuidv7(make_interval(secs => -n * 0.001))::text as id from generate_series(1, $2::int) n) i
       returning id, created_at, job_id
     )
     insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
     select $1, (extract(epoch from created_at) * 1000)::bigint, id, created_at, job_id, 1 from runs`,
    project_id,
    count,
  );

/** Claims until the small projects are through; at which claimed run, counted over all, the p95 of theirs came. */
async function p95Turn(limit: number): Promise<number> {
  const worker_id = await on.queue.registerWorker({ hostname: 'fair', pid: 1 });
  const turns: number[] = [];
  let cursor = '';
  let claimed = 0;
  while (turns.length < SMALL * SMALL_PROJECTS) {
    const runs = await on.queue.claim({ worker_id, limit, cursor });
    assert.ok(runs.length > 0);
    cursor = runs[0]?.last_project_id ?? '';
    claimed += runs.length;
    for (const { project_id } of runs) if (project_id.startsWith('small')) turns.push(claimed);
  }
  await on.app.sql('delete from run_active where worker_id = $1', worker_id);
  return turns.toSorted((a, b) => a - b)[Math.floor(turns.length * 0.95)] ?? 0;
}

test('a project with a huge backlog delays small ones by no more than its own share', async () => {
  const small = async () => {
    for (let n = 0; n < SMALL_PROJECTS; n++) await fill(`small-${n}`, SMALL);
  };
  await small();
  const alone = await p95Turn(50);
  await on.app.sql(`delete from run_queue; `);
  await on.app.sql(`delete from job_runs where project_id like 'small-%'`);
  await on.app.sql(`delete from jobs where project_id like 'small-%'`);
  await fill('big', BIG);
  await small();
  const beside = await p95Turn(50);
  assert.ok(beside <= alone * 1.3, `p95 at run ${beside} beside the backlog, ${alone} without it`);
});
