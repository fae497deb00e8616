// Generated from store.sql by `npm run generate`. Do not edit.
import { many, one, type Queryable } from '../../platform/db/query.ts';

export interface RecountDepthsRow {
  readonly jobs: number;
}

const recountDepthsText = `with live as materialized (
  select project_id, job_id, sum(ready)::int as ready, sum(waiting)::int as waiting, sum(delayed)::int as delayed,
         sum(running)::int as running, min(ready_at) filter (where ready_at <= strait_now()) as oldest_ready_at
    from (select p.project_id, p.job_id, p.ready, p.waiting, 0 as delayed, 0 as running,
                 greatest(p.run_created_at, to_timestamp(p.rank / 1000.0),
                          case when p.attempt > 1 or p.rank + 1 < extract(epoch from p.run_created_at) * 1000
                               then (select greatest(r.scheduled_at, r.next_retry_at) from job_runs r
                                      where r.id = p.run_id and r.created_at = p.run_created_at) end) as ready_at
            from (select project_id, job_id, 1 as ready, 0 as waiting, rank, attempt, run_id, run_created_at from run_queue
                  union all select project_id, job_id, 0, 1, rank, attempt, run_id, run_created_at from run_parked) p
          union all select project_id, job_id, 0, 0, 1, 0, null from run_delayed
          union all select r.project_id, r.job_id, 0, 0, 0, 1, null
                      from run_active a join job_runs r on r.id = a.run_id and r.created_at = a.run_created_at) p
   group by project_id, job_id
), gone as (
  delete from queue_depths d where not exists (select from live l where l.project_id = d.project_id and l.job_id = d.job_id)
), written as (
  insert into queue_depths as d (project_id, job_id, ready, waiting, delayed, running, oldest_ready_at, counted_at)
  select project_id, job_id, ready, waiting, delayed, running, oldest_ready_at, strait_now() from live
  on conflict (project_id, job_id) do update
     set ready = excluded.ready, waiting = excluded.waiting, delayed = excluded.delayed, running = excluded.running,
         oldest_ready_at = excluded.oldest_ready_at, counted_at = excluded.counted_at
   where (d.ready, d.waiting, d.delayed, d.running, d.oldest_ready_at)
         is distinct from (excluded.ready, excluded.waiting, excluded.delayed, excluded.running, excluded.oldest_ready_at)
)
select count(*)::int as "jobs" from live`;

/**
 * across projects: one count serves everybody.
 * One pass over the live places; rows that would not change are left alone. A run is ready since it was made or since what its
 * rank was counted from, whichever is later; where priority hides that, or it is an attempt again, its row says when it was due.
 */
export function recountDepths(db: Queryable): Promise<RecountDepthsRow> {
  return one<RecountDepthsRow>(db, {
    text: recountDepthsText,
    values: [],
  });
}

export interface ProjectDepthParams {
  readonly project_id: string;
}

export interface ProjectDepthRow {
  readonly ready: number;
  readonly waiting: number;
  readonly delayed: number;
  readonly running: number;
  readonly oldest_ready_at: string | null;
}

const projectDepthText = `select coalesce(sum(ready), 0)::int as "ready", coalesce(sum(waiting), 0)::int as "waiting", coalesce(sum(delayed), 0)::int as "delayed",
       coalesce(sum(running), 0)::int as "running", min(oldest_ready_at) as "oldest_ready_at"
  from queue_depths where project_id = $1`;

export function projectDepth(db: Queryable, params: ProjectDepthParams): Promise<ProjectDepthRow> {
  return one<ProjectDepthRow>(db, {
    text: projectDepthText,
    values: [params.project_id],
  });
}

export interface ListJobDepthsParams {
  readonly project_id: string;
  readonly job: string | null;
  readonly limit: number;
}

export interface ListJobDepthsRow {
  readonly job_id: string;
  readonly slug: string;
  readonly ready: number;
  readonly waiting: number;
  readonly delayed: number;
  readonly running: number;
  readonly oldest_ready_at: string | null;
}

const listJobDepthsText = `select d.job_id, j.slug, d.ready, d.waiting, d.delayed, d.running, d.oldest_ready_at
  from queue_depths d join jobs j on j.id = d.job_id
 where d.project_id = $1 and ($2::text is null or j.id = $2 or j.slug = $2)
 order by d.ready + d.waiting desc, d.job_id limit $3::int`;

/** The deepest first; a page is enough for anybody who looks. */
export function listJobDepths(db: Queryable, params: ListJobDepthsParams): Promise<ListJobDepthsRow[]> {
  return many<ListJobDepthsRow>(db, {
    text: listJobDepthsText,
    values: [
      params.project_id,
      params.job,
      params.limit,
    ],
  });
}

export interface ListKeyDepthsParams {
  readonly project_id: string;
  readonly job_id: string;
  readonly limit: number;
}

export interface ListKeyDepthsRow {
  readonly concurrency_key: string;
  readonly in_flight: number;
  readonly waiting: number;
}

const listKeyDepthsText = `select l.concurrency_key as "concurrency_key", l.in_flight,
       (select count(*)::int from (select from run_parked p where p.root_lane_id = l.root_lane_id and p.lane_id = l.lane_id limit 100) x) as "waiting"
  from lanes l
 where l.project_id = $1 and l.job_id = $2 and l.concurrency_key is not null
   and (l.in_flight > 0 or exists (select from run_parked p where p.root_lane_id = l.root_lane_id and p.lane_id = l.lane_id))
 order by l.in_flight desc, l.lane_id limit $3::int`;

/** Keys of a limited job with runs in flight or waiting, the busiest first. What waits is counted to a hundred. */
export function listKeyDepths(db: Queryable, params: ListKeyDepthsParams): Promise<ListKeyDepthsRow[]> {
  return many<ListKeyDepthsRow>(db, {
    text: listKeyDepthsText,
    values: [
      params.project_id,
      params.job_id,
      params.limit,
    ],
  });
}

export interface TotalDepthRow {
  readonly ready: number;
  readonly waiting: number;
  readonly delayed: number;
  readonly running: number;
  readonly oldest_secs: number;
}

const totalDepthText = `select coalesce(sum(ready), 0)::int as "ready", coalesce(sum(waiting), 0)::int as "waiting", coalesce(sum(delayed), 0)::int as "delayed",
       coalesce(sum(running), 0)::int as "running",
       coalesce(extract(epoch from strait_now() - min(oldest_ready_at)), 0)::float8 as "oldest_secs"
  from queue_depths`;

/** across projects: for the operator's metrics. */
export function totalDepth(db: Queryable): Promise<TotalDepthRow> {
  return one<TotalDepthRow>(db, {
    text: totalDepthText,
    values: [],
  });
}
