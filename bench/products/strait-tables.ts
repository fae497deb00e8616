// What the bench reads and writes in Strait's tables behind its back: the job, backlogs, and how far
// `job_runs.status` lags the lease.
import { hostname } from 'node:os';
import { createLimits, type Queue } from '../../apps/server/src/modules/queue/index.ts';
import type { Database } from '../../apps/server/src/platform/db/database.ts';
import type { Backlog, QueueProbe } from '../product.ts';

export const PROJECT = 'bench';
export const JOB = '01900000-0000-7000-8000-000000000000';
/** Backlogs are spread over this many more projects with a job each, so that the fair pick has a choice. */
const NEIGHBOURS = 8;

/** Project, and job, of tenant `n`. */
export const spreadName = (n: number): string => `spread-${n}`;

const ROWS_PER_INSERT = 250_000;

/** Makes project and job, or points the job elsewhere. */
export async function setUp(db: Database, target_url: string): Promise<void> {
  await db.query({
    text: `insert into projects (id, name) values ($1, 'Bench') on conflict do nothing`,
    values: [PROJECT],
  });
  await db.query({
    text: `insert into jobs (id, project_id, name, slug, endpoint_url) values ($1, $2, 'Bench', 'bench', $3)
           on conflict (id) do update set endpoint_url = excluded.endpoint_url`,
    values: [JOB, PROJECT, target_url],
  });
  await db.query({
    text: `insert into jobs (id, project_id, name, slug, endpoint_url)
           select 'neighbour-' || n, 'neighbour-' || n, 'Neighbour', 'neighbour', $1 from generate_series(0, $2::int) n
           on conflict do nothing`,
    values: [target_url, NEIGHBOURS],
  });
}

/** Every run that has not ended has a place row (queue-performance §3). */
export async function unfinished(db: Database): Promise<boolean> {
  const { rows } = await db.query({
    text: `select exists (select from run_queue) or exists (select from run_active) or exists (select from run_delayed)
               or exists (select from run_parked) as some`,
    values: [],
  });
  return (rows[0] as { some: boolean }).some;
}

export function straitProbe({
  queue,
  db,
  onKeys,
  onProjects,
}: {
  queue: Queue;
  db: Database;
  onKeys: (keys: number) => void;
  onProjects: (projects: number) => void;
}): QueueProbe {
  let worker_id: number | undefined;
  let cursor = '';
  return {
    fill: (backlog) => fill(db, backlog),

    async limit({ job, per_key, keys, project }) {
      onKeys(keys);
      await db.query({
        text: 'update jobs set max_concurrency = $1, max_concurrency_per_key = $2 where id = $3',
        values: [job, per_key, JOB],
      });
      await db.query({
        text: `insert into project_quotas (project_id, max_executing_runs) values ($1, $2)
               on conflict (project_id) do update set max_executing_runs = excluded.max_executing_runs`,
        values: [PROJECT, project],
      });
      await db.transaction((tx) =>
        createLimits({ db }).changed(tx, { project_id: PROJECT, job_id: JOB }),
      );
      // What the case before left behind is not this one's cost.
      for (const table of ['run_queue', 'run_parked', 'run_active', 'lanes'])
        await db.query({ text: `vacuum analyze ${table}`, values: [] });
    },

    async spread(projects) {
      if (projects > 1)
        await db.query({
          text: `with made as (insert into projects (id, name) select 'spread-' || n, 'Spread' from generate_series(0, $2::int - 1) n
                               on conflict do nothing)
                 insert into jobs (id, project_id, name, slug, endpoint_url)
                 select 'spread-' || n, 'spread-' || n, 'Spread', 'spread', $1 from generate_series(0, $2::int - 1) n
                 on conflict do nothing`,
          values: ['http://127.0.0.1:9/', projects],
        });
      onProjects(projects);
    },

    async claim(limit) {
      worker_id ??= await queue.registerWorker({ hostname: hostname(), pid: process.pid });
      const runs = await queue.claim({ worker_id, limit, cursor });
      cursor = runs[0]?.last_project_id ?? '';
      return runs.length;
    },

    async markLags() {
      const { rows } = await db.query({
        text: `select r.id, extract(epoch from pg_xact_commit_timestamp(r.xmin) - a.started_at)::float8 * 1000 as lag_ms
                 from run_active a
                 join job_runs r on r.id = a.run_id and r.created_at = a.run_created_at
                where r.status = 'executing'`,
        values: [],
      });
      return new Map(
        (rows as { id: string; lag_ms: number }[]).map(({ id, lag_ms }) => [id, lag_ms]),
      );
    },
  };
}

/**
 * Writes runs and their places as the statements of the queue leave them; only their events are left out, as no
 * claim reads any. A large fill drops the indexes of job_runs and the foreign key checks meanwhile: 2.1 million
 * runs in under a minute instead of four.
 */
async function fill(db: Database, backlog: Backlog): Promise<void> {
  const total = backlog.ready + backlog.finished + backlog.delayed + backlog.blocked;
  await db.transaction(async (tx) => {
    const run = (text: string, values: readonly unknown[] = []) => tx.query({ text, values });
    await run(`set local statement_timeout = 0`);
    await run(`set local session_replication_role = replica`);
    await run(`set local synchronous_commit = off`);
    await run(`set local maintenance_work_mem = '512MB'`);
    const { rows } = await run(
      `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
         from pg_index where indrelid = 'job_runs'::regclass and not indisprimary`,
    );
    const indexes = total < ROWS_PER_INSERT ? [] : (rows as { name: string; definition: string }[]);
    for (const { name } of indexes) await run(`drop index ${name}`);

    for (const [state, count] of Object.entries(backlog)) {
      for (let from = 0; from < count; from += ROWS_PER_INSERT) {
        await run(FILL[state as keyof Backlog], [
          Math.min(ROWS_PER_INSERT, count - from),
          NEIGHBOURS,
        ]);
      }
    }
    for (const { definition } of indexes) await run(definition);
  });
}

/** Neighbour 0 has the used-up limit; the ready runs belong to the others. */
const runsOf = (
  status: string,
  neighbour: string,
  time?: { readonly column: string; readonly value: string },
) => `
  insert into job_runs (id, created_at, job_id, project_id, status, payload${time ? `, ${time.column}` : ''})
  select id, strait_id_time(id), owner, owner, '${status}', '{"n":1,"kind":"bench"}'${time ? `, ${time.value}` : ''}
    from (select uuidv7(interval '-10 min')::text as id, 'neighbour-' || (${neighbour}) as owner
            from generate_series(1, $1::int) n) new`;

const place = (table: string, rank: string, column = '', value = '') => `
  insert into ${table} (project_id, rank, run_id, run_created_at, job_id, attempt${column === '' ? '' : `, ${column}`})
  select project_id, ${rank}, id, created_at, job_id, attempt${value === '' ? '' : `, ${value}`} from runs`;

const READY = `(extract(epoch from created_at) * 1000)::bigint`;
const ANY_NEIGHBOUR = `1 + n % $2::int`;

const FILL: Readonly<Record<keyof Backlog, string>> = {
  ready: `with runs as (${runsOf('queued', ANY_NEIGHBOUR)} returning *) ${place('run_queue', READY)}`,
  finished: `with runs as (${runsOf('completed', ANY_NEIGHBOUR, { column: 'finished_at', value: 'strait_now()' })} returning id) select count(*) from runs`,
  delayed: `with runs as (${runsOf('delayed', ANY_NEIGHBOUR, { column: 'scheduled_at', value: `strait_now() + interval '1 h'` })} returning *)
            ${place('run_delayed', READY, 'due_at', 'scheduled_at')}`,
  blocked: `with lane as (
              insert into lanes (lane_id, root_lane_id, project_id, job_id, max_inflight)
              values (1000001, 1000001, 'neighbour-0', 'neighbour-0', 0) on conflict do nothing returning lane_id
            ), runs as (${runsOf('queued', `0 * $2::int`)} returning *)
            ${place('run_parked', `0`, 'lane_id, root_lane_id', '1000001, 1000001')}`,
};
