// Generated from store.sql by `npm run generate`. Do not edit.
import { many, type Queryable } from '../../../platform/db/query.ts';

export interface ListBusyJobsParams {
  readonly job_ids: readonly (string | null)[];
  readonly project_ids: readonly (string | null)[];
}

export interface ListBusyJobsRow {
  readonly job_id: string;
}

const listBusyJobsText = `select n.job_id as "job_id"
  from unnest($1::text[], $2::text[]) as n(job_id, project_id)
 where exists (select from job_runs r where r.job_id = n.job_id and r.project_id = n.project_id
                  and r.status in ('queued', 'dequeued', 'executing'))
    or exists (select from job_runs r where (r.job_id = n.job_id) is true and r.project_id = n.project_id
                  and r.status in ('delayed', 'waiting'))`;

/** across projects: schedules of many projects are due at once; each names its job with its project. */
export function listBusyJobs(db: Queryable, params: ListBusyJobsParams): Promise<ListBusyJobsRow[]> {
  return many<ListBusyJobsRow>(db, {
    text: listBusyJobsText,
    values: [
      params.job_ids,
      params.project_ids,
    ],
  });
}

export interface ListOtherRunsParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly run_id: string;
  readonly limit: number;
}

export interface ListOtherRunsRow {
  readonly id: string;
}

const listOtherRunsText = `select r.id as "id" from job_runs r
 where r.job_id = $1 and r.project_id = $2 and r.status in ('queued', 'dequeued', 'executing') and r.id <> $3
union all
select r.id as "id" from job_runs r
 where (r.job_id = $1) is true and r.project_id = $2 and r.status in ('delayed', 'waiting') and r.id <> $3
 limit $4::int`;

export function listOtherRuns(db: Queryable, params: ListOtherRunsParams): Promise<ListOtherRunsRow[]> {
  return many<ListOtherRunsRow>(db, {
    text: listOtherRunsText,
    values: [
      params.job_id,
      params.project_id,
      params.run_id,
      params.limit,
    ],
  });
}
