// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, one, type Queryable } from '../../../platform/db/query.ts';

export interface HasLiveRunsParams {
  readonly job_id: string;
  readonly project_id: string;
}

export interface HasLiveRunsRow {
  readonly live: boolean;
}

const hasLiveRunsText = `select exists (select from job_runs r where r.job_id = $1 and r.project_id = $2
                  and r.status in ('queued', 'dequeued', 'executing'))
    or exists (select from run_delayed d where d.job_id = $1 and d.project_id = $2)
    or exists (select from run_parked p where p.job_id = $1 and p.project_id = $2)
    or exists (select from run_waiting w join job_runs r on r.id = w.run_id and r.created_at = w.run_created_at
                where r.job_id = $1 and r.project_id = $2) as "live"`;

/** Delayed and waiting runs are found by their places: no index of job_runs holds them by job. */
export function hasLiveRuns(db: Queryable, params: HasLiveRunsParams): Promise<HasLiveRunsRow> {
  return one<HasLiveRunsRow>(db, {
    text: hasLiveRunsText,
    values: [
      params.job_id,
      params.project_id,
    ],
  });
}

export interface RemoveRunsParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly limit: number;
}

const removeRunsText = `with old as materialized (
  select id, created_at from job_runs
   where job_id = $1 and project_id = $2
     and (status <> all ('{delayed,queued,dequeued,executing,waiting}')) is true
   order by created_at desc, id desc limit $3::int
), told as (delete from run_events where run_id = any (array(select id from old))),
   freed as (delete from job_run_idempotency where job_id = $1 and run_id = any (array(select id from old)))
delete from job_runs r using old where r.id = old.id and r.created_at = old.created_at`;

/**
 * Newest first: a run goes before the run it continues. Events have no cascade on purpose and go first; everything
 * else that hangs off a run follows it. Live runs never go, whoever asks.
 */
export function removeRuns(db: Queryable, params: RemoveRunsParams): Promise<number> {
  return count(db, {
    text: removeRunsText,
    values: [
      params.job_id,
      params.project_id,
      params.limit,
    ],
  });
}

export interface CutContinuationsParams {
  readonly project_id: string;
  readonly job_id: string;
  readonly limit: number;
}

const cutContinuationsText = `update job_runs c set continuation_of = null
 where c.project_id = $1
   and c.continuation_of = any (array(select id from job_runs where job_id = $2 and project_id = $1
                                       order by created_at desc, id desc limit $3::int))`;

/** Runs of other jobs that continue one of this job's runs keep living without the link. */
export function cutContinuations(db: Queryable, params: CutContinuationsParams): Promise<number> {
  return count(db, {
    text: cutContinuationsText,
    values: [
      params.project_id,
      params.job_id,
      params.limit,
    ],
  });
}

export interface RemoveKeysParams {
  readonly job_id: string;
}

const removeKeysText = `delete from job_run_idempotency where job_id = $1`;

/** across projects: the caller has locked the job in its project. */
export function removeKeys(db: Queryable, params: RemoveKeysParams): Promise<number> {
  return count(db, {
    text: removeKeysText,
    values: [params.job_id],
  });
}

export interface RemoveLanesParams {
  readonly job_id: string;
  readonly project_id: string;
}

const removeLanesText = `delete from lanes where job_id = $1 and project_id = $2`;

export function removeLanes(db: Queryable, params: RemoveLanesParams): Promise<number> {
  return count(db, {
    text: removeLanesText,
    values: [
      params.job_id,
      params.project_id,
    ],
  });
}

export interface JobHealthParams {
  readonly window_secs: number;
  readonly job_id: string;
  readonly project_id: string;
}

export interface JobHealthRow {
  readonly since: string;
  readonly completed: number;
  readonly failed: number;
  readonly timed_out: number;
  readonly crashed: number;
  readonly system_failed: number;
  readonly canceled: number;
  readonly expired: number;
  readonly dead_letter: number;
  readonly avg_duration_secs: number;
  readonly p95_duration_secs: number;
}

const jobHealthText = `select (strait_now() - make_interval(secs => $1::int)) as "since",
       count(*) filter (where status = 'completed')::int as "completed",
       count(*) filter (where status = 'failed')::int as "failed",
       count(*) filter (where status = 'timed_out')::int as "timed_out",
       count(*) filter (where status = 'crashed')::int as "crashed",
       count(*) filter (where status = 'system_failed')::int as "system_failed",
       count(*) filter (where status = 'canceled')::int as "canceled",
       count(*) filter (where status = 'expired')::int as "expired",
       count(*) filter (where status = 'dead_letter')::int as "dead_letter",
       coalesce(avg(extract(epoch from finished_at - started_at)), 0)::float8 as "avg_duration_secs",
       coalesce(percentile_cont(0.95) within group (order by extract(epoch from finished_at - started_at)), 0)::float8 as "p95_duration_secs"
  from job_runs
 where job_id = $2 and project_id = $3
   and created_at > strait_now() - make_interval(secs => $1::int)`;

/** Ended runs of one job inside a window, by the time they were created. */
export function jobHealth(db: Queryable, params: JobHealthParams): Promise<JobHealthRow> {
  return one<JobHealthRow>(db, {
    text: jobHealthText,
    values: [
      params.window_secs,
      params.job_id,
      params.project_id,
    ],
  });
}

export interface CountByStateParams {
  readonly job_ids: readonly (string | null)[];
  readonly project_id: string;
  readonly limit: number;
}

export interface CountByStateRow {
  readonly status: string;
  readonly runs: number;
  readonly full: boolean;
}

const countByStateText = `with newest as materialized (
  select j.job_id, r.status from unnest($1::text[]) as j(job_id)
   cross join lateral (select x.status from job_runs x where x.job_id = j.job_id and x.project_id = $2
                        order by x.created_at desc, x.id desc limit $3::int) r
)
select status, count(*)::int as "runs",
       exists (select from newest group by job_id having count(*) >= $3::int) as "full"
  from newest group by status order by status`;

/** The newest runs of each of these jobs, at most :limit of one; `full`: one of them has as many. */
export function countByState(db: Queryable, params: CountByStateParams): Promise<CountByStateRow[]> {
  return many<CountByStateRow>(db, {
    text: countByStateText,
    values: [
      params.job_ids,
      params.project_id,
      params.limit,
    ],
  });
}
