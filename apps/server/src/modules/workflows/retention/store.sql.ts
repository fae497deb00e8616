// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, type Queryable } from '../../../platform/db/query.ts';

export interface LockOldRunsParams {
  readonly statuses: readonly (string | null)[];
  readonly retention_secs: number;
  readonly limit: number;
}

export interface LockOldRunsRow {
  readonly id: string;
  readonly steps: number;
}

const lockOldRunsText = `with due as materialized (
  select o.id
    from unnest($1::text[]) as t(status)
   cross join lateral (
         select r.id, r.finished_at from workflow_runs r
          where r.status = t.status and r.finished_at < strait_now() - make_interval(secs => $2::float8)
            and not exists (select from workflow_runs p where p.id = r.parent_workflow_run_id)
            and not exists (select from workflow_runs c where c.parent_workflow_run_id = r.id
                               and c.status in ('pending', 'running', 'paused', 'compensating'))
          order by r.finished_at limit $3::int) o
   order by o.finished_at, o.id limit $3::int
)
select r.id, (select count(*) from workflow_step_runs s where s.workflow_run_id = r.id)::int as "steps"
  from workflow_runs r
 where r.id = any (array(select id from due)) and r.status = any ($1)
   and r.finished_at < strait_now() - make_interval(secs => $2)
 order by r.finished_at, r.id for update skip locked`;

/**
 * across projects: retention.
 * The oldest that may go, whatever they ended as. A child run stays as long as the run that started it, and a run as long
 * as one of its children lives. What somebody works on right now comes with a later round.
 */
export function lockOldRuns(db: Queryable, params: LockOldRunsParams): Promise<LockOldRunsRow[]> {
  return many<LockOldRunsRow>(db, {
    text: lockOldRunsText,
    values: [
      params.statuses,
      params.retention_secs,
      params.limit,
    ],
  });
}

export interface ListStepIdsParams {
  readonly run_ids: readonly (string | null)[];
}

export interface ListStepIdsRow {
  readonly id: string;
}

const listStepIdsText = `select s.id from workflow_step_runs s where s.workflow_run_id = any ($1::text[])`;

/** across projects: retention. */
export function listStepIds(db: Queryable, params: ListStepIdsParams): Promise<ListStepIdsRow[]> {
  return many<ListStepIdsRow>(db, {
    text: listStepIdsText,
    values: [params.run_ids],
  });
}

export interface DeleteRunsParams {
  readonly run_ids: readonly (string | null)[];
  readonly statuses: readonly (string | null)[];
}

const deleteRunsText = `delete from workflow_runs r where r.id = any ($1::text[]) and r.status = any ($2::text[])`;

/**
 * across projects: retention.
 * With their steps, decisions, approvals, labels, history, children of maps and compensations; the caller holds their locks.
 */
export function deleteRuns(db: Queryable, params: DeleteRunsParams): Promise<number> {
  return count(db, {
    text: deleteRunsText,
    values: [
      params.run_ids,
      params.statuses,
    ],
  });
}
