// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, type Queryable } from '../../../platform/db/query.ts';

export interface ListPageParams {
  readonly after_id: string;
  readonly limit: number;
}

export interface ListPageRow {
  readonly id: string;
}

const listPageText = `select r.id from workflow_runs r
 where r.id > $1 and r.status in ('running', 'paused', 'compensating') order by r.id limit $2::int`;

/** across projects: the reaper serves every project. */
export function listPage(db: Queryable, params: ListPageParams): Promise<ListPageRow[]> {
  return many<ListPageRow>(db, {
    text: listPageText,
    values: [
      params.after_id,
      params.limit,
    ],
  });
}

export interface ListOrphanStepsParams {
  readonly after_id: string;
  readonly to_id: string;
  readonly terminal: readonly (string | null)[];
  readonly grace_secs: number;
  readonly limit: number;
}

export interface ListOrphanStepsRow {
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly step_ref: string;
  readonly step_run_id: string;
  readonly job_run_id: string;
}

const listOrphanStepsText = `with work as materialized (
  select r.id as workflow_run_id, r.project_id, s.step_ref, s.id as step_run_id, s.job_run_id, s.started_at
    from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
   where r.id > $1 and r.id <= $2 and r.status in ('running', 'paused') and s.status = 'running' and s.job_run_id is not null
  union all
  select r.id, r.project_id, s.step_ref, s.id, c.job_run_id, s.started_at
    from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
    join workflow_map_children c on c.step_run_id = s.id and c.attempt = s.attempt
   where r.id > $1 and r.id <= $2 and r.status in ('running', 'paused') and s.status = 'running'
     and c.status = 'open' and c.job_run_id is not null
  union all
  select r.id, r.project_id, c.step_ref, c.step_run_id, c.job_run_id, c.started_at
    from workflow_runs r join compensation_runs c on c.workflow_run_id = r.id
   where r.id > $1 and r.id <= $2 and r.status = 'compensating' and c.status = 'running'
)
select w.workflow_run_id as "workflow_run_id", w.project_id as "project_id", w.step_ref as "step_ref", w.step_run_id as "step_run_id",
       w.job_run_id as "job_run_id"
  from work w left join job_runs j on j.id = w.job_run_id and j.created_at = strait_id_time(w.job_run_id)
 where case when j.id is null then w.started_at
            when j.status = any ($3::text[]) then j.finished_at end < strait_now() - make_interval(secs => $4::float8)
   and not exists (select from step_endings e where e.workflow_step_run_id = w.step_run_id and e.run_id = w.job_run_id)
 limit $5::int`;

/**
 * across projects: the reaper serves every project.
 * Steps, children of maps and compensations whose job run has ended or is gone, and nobody is going to tell them.
 */
export function listOrphanSteps(db: Queryable, params: ListOrphanStepsParams): Promise<ListOrphanStepsRow[]> {
  return many<ListOrphanStepsRow>(db, {
    text: listOrphanStepsText,
    values: [
      params.after_id,
      params.to_id,
      params.terminal,
      params.grace_secs,
      params.limit,
    ],
  });
}

export interface ListOrphanChildrenParams {
  readonly after_id: string;
  readonly to_id: string;
  readonly grace_secs: number;
  readonly limit: number;
}

export interface ListOrphanChildrenRow {
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly step_ref: string;
  readonly child_run_id: string;
}

const listOrphanChildrenText = `with work as materialized (
  select r.id as workflow_run_id, r.project_id, s.step_ref, s.id as step_run_id, s.child_run_id
    from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
   where r.id > $1 and r.id <= $2 and r.status in ('running', 'paused') and s.status = 'running' and s.child_run_id is not null
  union all
  select r.id, r.project_id, s.step_ref, s.id, c.child_run_id
    from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
    join workflow_map_children c on c.step_run_id = s.id and c.attempt = s.attempt
   where r.id > $1 and r.id <= $2 and r.status in ('running', 'paused') and s.status = 'running'
     and c.status = 'open' and c.child_run_id is not null
)
select w.workflow_run_id as "workflow_run_id", w.project_id as "project_id", w.step_ref as "step_ref", c.id as child_run_id
  from work w
  join workflow_runs c on c.parent_step_run_id = w.step_run_id and coalesce(c.first_run_id, c.id) = w.child_run_id
 where c.status not in ('pending', 'running', 'paused') and not c.continued and c.news_due_at is null
   and coalesce(c.finished_at, c.created_at) < strait_now() - make_interval(secs => $3::float8)
 limit $4::int`;

/**
 * across projects: the reaper serves every project.
 * Child runs that have ended, and neither does the step that started them know nor is it going to be told.
 */
export function listOrphanChildren(db: Queryable, params: ListOrphanChildrenParams): Promise<ListOrphanChildrenRow[]> {
  return many<ListOrphanChildrenRow>(db, {
    text: listOrphanChildrenText,
    values: [
      params.after_id,
      params.to_id,
      params.grace_secs,
      params.limit,
    ],
  });
}

export interface TellAgainParams {
  readonly child_run_id: string;
  readonly project_id: string;
}

const tellAgainText = `update workflow_runs c set news_due_at = strait_now(), news_tries = 0
 where c.id = $1 and c.project_id = $2 and c.news_due_at is null and not c.continued
   and c.status not in ('pending', 'running', 'paused')`;

/** A child run that has ended has news once more. */
export function tellAgain(db: Queryable, params: TellAgainParams): Promise<number> {
  return count(db, {
    text: tellAgainText,
    values: [
      params.child_run_id,
      params.project_id,
    ],
  });
}

export interface ListForgottenWaitsParams {
  readonly after_id: string;
  readonly to_id: string;
  readonly grace_secs: number;
  readonly limit: number;
}

export interface ListForgottenWaitsRow {
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly step_ref: string;
  readonly state: string;
  readonly trigger_id: string;
  readonly trigger_status: string | null;
  readonly response_payload: unknown;
  readonly sent_by: string;
}

const listForgottenWaitsText = `select r.id as workflow_run_id, r.project_id, s.step_ref, s.state, s.wait_id as "trigger_id", t.status as "trigger_status",
       t.response_payload as "response_payload", coalesce(t.sent_by, '') as "sent_by"
  from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
  left join event_triggers t on t.id = s.wait_id
 where r.id > $1 and r.id <= $2 and r.status in ('running', 'paused') and s.status = 'waiting' and s.state in ('e', 's')
   and s.wait_id is not null and (t.status <> 'waiting') is not false
   and coalesce(t.received_at, t.updated_at, s.started_at) < strait_now() - make_interval(secs => $3::float8)
 limit $4::int`;

/**
 * across projects: the reaper serves every project.
 * Steps whose trigger has ended or is gone, and they still wait.
 */
export function listForgottenWaits(db: Queryable, params: ListForgottenWaitsParams): Promise<ListForgottenWaitsRow[]> {
  return many<ListForgottenWaitsRow>(db, {
    text: listForgottenWaitsText,
    values: [
      params.after_id,
      params.to_id,
      params.grace_secs,
      params.limit,
    ],
  });
}

export interface ListStrayChildrenParams {
  readonly after_id: string;
  readonly to_id: string;
  readonly grace_secs: number;
  readonly limit: number;
}

export interface ListStrayChildrenRow {
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly parent_status: string;
}

const listStrayChildrenText = `select r.id as workflow_run_id, r.project_id, p.status as parent_status
  from workflow_runs r join workflow_runs p on p.id = r.parent_workflow_run_id
  join workflow_step_runs s on s.id = r.parent_step_run_id
  left join workflow_map_children c on c.child_run_id = coalesce(r.first_run_id, r.id) and c.step_run_id = s.id
 where r.id > $1 and r.id <= $2 and r.status in ('running', 'paused')
   and r.created_at < strait_now() - make_interval(secs => $3::float8)
   and coalesce(p.finished_at, s.finished_at, s.started_at, s.created_at) < strait_now() - make_interval(secs => $3::float8)
   and (p.status not in ('pending', 'running', 'paused')
        or case when c.status is not null then c.status <> 'open'
                else s.status <> 'running' or s.child_run_id is distinct from coalesce(r.first_run_id, r.id) end)
 limit $4::int`;

/**
 * across projects: the reaper serves every project.
 * Child runs that go on although their parent has ended, or the step that started them is over or runs another one.
 */
export function listStrayChildren(db: Queryable, params: ListStrayChildrenParams): Promise<ListStrayChildrenRow[]> {
  return many<ListStrayChildrenRow>(db, {
    text: listStrayChildrenText,
    values: [
      params.after_id,
      params.to_id,
      params.grace_secs,
      params.limit,
    ],
  });
}

export interface ListStalledParams {
  readonly after_id: string;
  readonly to_id: string;
  readonly threshold_secs: number;
  readonly limit: number;
}

export interface ListStalledRow {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const listStalledText = `select r.id as workflow_run_id, r.project_id
  from workflow_runs r
 where r.id > $1 and r.id <= $2 and r.status = 'running'
   and r.started_at < strait_now() - make_interval(secs => $3::float8)
   and not exists (select from workflow_step_runs s where s.workflow_run_id = r.id and s.status in ('running', 'waiting')
                      and s.state in ('r', 'a', 'g', 'e', 's', 't', 'q'))
   and coalesce((select e.created_at from workflow_run_events e where e.workflow_run_id = r.id order by e.id desc limit 1), r.started_at)
       < strait_now() - make_interval(secs => $3::float8)
 limit $4::int`;

/**
 * across projects: the reaper serves every project.
 * Nothing of them runs, waits for somebody or for a time, or for a quota; and nothing has happened for long.
 */
export function listStalled(db: Queryable, params: ListStalledParams): Promise<ListStalledRow[]> {
  return many<ListStalledRow>(db, {
    text: listStalledText,
    values: [
      params.after_id,
      params.to_id,
      params.threshold_secs,
      params.limit,
    ],
  });
}
