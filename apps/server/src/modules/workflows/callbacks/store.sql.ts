// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface ListStepEndingsParams {
  readonly limit: number;
}

export interface ListStepEndingsRow {
  readonly ending_id: number;
  readonly workflow_run_id: string | null;
  readonly project_id: string | null;
  readonly step_ref: string | null;
  readonly is_child: boolean;
}

const listStepEndingsText = `select e.ending_id, s.workflow_run_id as "workflow_run_id", r.project_id as "project_id", s.step_ref as "step_ref",
       exists (select from workflow_map_children c where c.job_run_id = e.run_id) as "is_child"
  from step_endings e left join workflow_step_runs s on s.id = e.workflow_step_run_id
  left join workflow_runs r on r.id = s.workflow_run_id
 where e.due_at <= strait_now() order by e.due_at, e.ending_id limit $1::int`;

/**
 * across projects: a loop serves every project.
 * Ends of job runs, oldest first; `workflow_run_id` null: the run is gone. Whose run it was never changes.
 */
export function listStepEndings(db: Queryable, params: ListStepEndingsParams): Promise<ListStepEndingsRow[]> {
  return many<ListStepEndingsRow>(db, {
    text: listStepEndingsText,
    values: [params.limit],
    name: 'workflows_callbacks_listStepEndings_a7e33c21',
  });
}

export interface TryToRingParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface TryToRingRow {
  readonly mine: boolean;
}

const tryToRingText = `select pg_try_advisory_xact_lock(hashtextextended('timer ' || $1 || ' ' || $2, 0)) as "mine"`;

/** As tryToTell: one process rings for a run, the others go on with the next. */
export function tryToRing(db: Queryable, params: TryToRingParams): Promise<TryToRingRow> {
  return one<TryToRingRow>(db, {
    text: tryToRingText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
    name: 'workflows_callbacks_tryToRing_8f428811',
  });
}

export interface TryToTellParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface TryToTellRow {
  readonly mine: boolean;
}

const tryToTellText = `select pg_try_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0)) as "mine"`;

/** One process tells a run of ends at a time; the others do not queue up behind its lock. */
export function tryToTell(db: Queryable, params: TryToTellParams): Promise<TryToTellRow> {
  return one<TryToTellRow>(db, {
    text: tryToTellText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
    name: 'workflows_callbacks_tryToTell_e328bde2',
  });
}

export interface FindMapChildrenParams {
  readonly step_run_ids: readonly (string | null)[];
  readonly job_run_ids: readonly (string | null)[];
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface FindMapChildrenRow {
  readonly id: string;
  readonly step_ref: string;
  readonly job_run_id: string;
  readonly map_attempt: number;
  readonly map_index: number;
  readonly open: boolean;
}

const findMapChildrenText = `select s.id, s.step_ref, e.job_run_id as "job_run_id", c.attempt as "map_attempt", c.index as "map_index", c.status = 'open' as "open"
  from unnest($1::text[], $2::text[]) as e(step_run_id, job_run_id)
  join workflow_step_runs s on s.id = e.step_run_id and s.workflow_run_id = $3
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $4
  join workflow_map_children c on c.job_run_id = e.job_run_id and c.step_run_id = s.id`;

/** Children of maps behind ends of job runs, under the lock of the run. */
export function findMapChildren(db: Queryable, params: FindMapChildrenParams): Promise<FindMapChildrenRow[]> {
  return many<FindMapChildrenRow>(db, {
    text: findMapChildrenText,
    values: [
      params.step_run_ids,
      params.job_run_ids,
      params.workflow_run_id,
      params.project_id,
    ],
    name: 'workflows_callbacks_findMapChildren_d5bdaea5',
  });
}

export interface NoteMapOutputsParams {
  readonly ends: unknown;
  readonly step_run_id: string;
  readonly project_id: string;
  readonly attempt: number;
}

const noteMapOutputsText = `update workflow_map_children c set output = e.output, error = e.error
  from jsonb_to_recordset($1::jsonb) as e(index int, output jsonb, error text), workflow_step_runs s, workflow_runs r
 where s.id = $2 and r.id = s.workflow_run_id and r.project_id = $3
   and c.step_run_id = s.id and c.attempt = $4 and c.index = e.index and c.status = 'open'`;

/** What the children gave; their status is the engine's to decide. */
export function noteMapOutputs(db: Queryable, params: NoteMapOutputsParams): Promise<number> {
  return count(db, {
    text: noteMapOutputsText,
    values: [
      JSON.stringify(params.ends),
      params.step_run_id,
      params.project_id,
      params.attempt,
    ],
    name: 'workflows_callbacks_noteMapOutputs_76e000cd',
  });
}

export interface ListNewsParams {
  readonly limit: number;
}

export interface ListNewsRow {
  readonly id: string;
  readonly project_id: string;
  readonly parent_run_id: string | null;
  readonly news_due_at: string | null;
}

const listNewsText = `select r.id, r.project_id, r.parent_workflow_run_id as "parent_run_id", r.news_due_at from workflow_runs r
 where r.news_due_at <= strait_now() order by r.news_due_at limit $1::int`;

/**
 * across projects: a loop serves every project.
 * Child runs that have ended and whose parents do not know yet.
 */
export function listNews(db: Queryable, params: ListNewsParams): Promise<ListNewsRow[]> {
  return many<ListNewsRow>(db, {
    text: listNewsText,
    values: [params.limit],
    name: 'workflows_callbacks_listNews_c2dfe2c6',
  });
}

export interface TakeNewsParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface TakeNewsRow {
  readonly status: string;
  readonly error: string | null;
  readonly first_run_id: string;
  readonly parent_step_run_id: string | null;
}

const takeNewsText = `update workflow_runs r set news_due_at = null
 where r.id = $1 and r.project_id = $2 and r.news_due_at is not null
   and r.status not in ('pending', 'running', 'paused')
returning coalesce(case when r.status <> 'canceled' then r.ended_as end, r.status) as "status", r.error, coalesce(r.first_run_id, r.id) as "first_run_id", r.parent_step_run_id as "parent_step_run_id"`;

/**
 * The caller holds the lock of the parent. No row: told already, or the child runs again. One that is undone has ended as it
 * did before: its parent does not wait for that.
 */
export function takeNews(db: Queryable, params: TakeNewsParams): Promise<TakeNewsRow | undefined> {
  return maybe<TakeNewsRow>(db, {
    text: takeNewsText,
    values: [
      params.workflow_run_id,
      params.project_id,
    ],
    name: 'workflows_callbacks_takeNews_277470d3',
  });
}

export interface ForgetNewsParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const forgetNewsText = `update workflow_runs r set news_due_at = null where r.id = $1 and r.project_id = $2 and r.news_due_at is not null`;

/** Its parent is gone. */
export function forgetNews(db: Queryable, params: ForgetNewsParams): Promise<number> {
  return count(db, {
    text: forgetNewsText,
    values: [
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface ForgetStaleNewsParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const forgetStaleNewsText = `update workflow_runs r set news_due_at = null
 where r.id = $1 and r.project_id = $2 and r.news_due_at is not null and r.status in ('pending', 'running', 'paused')`;

/** The child runs again. Guarded, because it may have ended anew meanwhile: that is news. */
export function forgetStaleNews(db: Queryable, params: ForgetStaleNewsParams): Promise<number> {
  return count(db, {
    text: forgetStaleNewsText,
    values: [
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface PostponeNewsParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const postponeNewsText = `update workflow_runs r
   set news_tries = r.news_tries + 1, news_due_at = strait_now() + make_interval(secs => least(power(2, least(r.news_tries, 20)), 300))
 where r.id = $1 and r.project_id = $2 and r.news_due_at is not null`;

export function postponeNews(db: Queryable, params: PostponeNewsParams): Promise<number> {
  return count(db, {
    text: postponeNewsText,
    values: [
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface SumOutputsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface SumOutputsRow {
  readonly bytes: number;
}

const sumOutputsText = `select coalesce(sum(octet_length(s.output::text)), 0)::float8 as "bytes"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2`;

/** How large they are together, before they are read. */
export function sumOutputs(db: Queryable, params: SumOutputsParams): Promise<SumOutputsRow> {
  return one<SumOutputsRow>(db, {
    text: sumOutputsText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
    name: 'workflows_callbacks_sumOutputs_fbdac53b',
  });
}

export interface OutputsOfParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface OutputsOfRow {
  readonly outputs: unknown;
}

const outputsOfText = `select coalesce(jsonb_object_agg(s.step_ref, s.output) filter (where s.output is not null), '{}') as "outputs"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2`;

export function outputsOf(db: Queryable, params: OutputsOfParams): Promise<OutputsOfRow> {
  return one<OutputsOfRow>(db, {
    text: outputsOfText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
    name: 'workflows_callbacks_outputsOf_ca523916',
  });
}

export interface ParentStepParams {
  readonly project_id: string;
  readonly child_run_id: string;
  readonly step_run_id: string;
  readonly workflow_run_id: string;
}

export interface ParentStepRow {
  readonly id: string;
  readonly step_ref: string;
  readonly map_attempt: number | null;
  readonly map_index: number | null;
  readonly open: boolean | null;
}

const parentStepText = `select s.id, s.step_ref, c.attempt as "map_attempt", c.index as "map_index", c.status = 'open' as "open"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
  left join workflow_map_children c on c.child_run_id = $2 and c.step_run_id = s.id
 where s.id = $3 and s.workflow_run_id = $4`;

export function parentStep(db: Queryable, params: ParentStepParams): Promise<ParentStepRow | undefined> {
  return maybe<ParentStepRow>(db, {
    text: parentStepText,
    values: [
      params.project_id,
      params.child_run_id,
      params.step_run_id,
      params.workflow_run_id,
    ],
    name: 'workflows_callbacks_parentStep_a9d8ce22',
  });
}

export interface ListDueTriggersParams {
  readonly except_runs: readonly (string | null)[];
  readonly limit: number;
}

export interface ListDueTriggersRow {
  readonly id: string;
  readonly project_id: string;
  readonly trigger_type: string;
  readonly workflow_run_id: string | null;
  readonly step_ref: string | null;
}

const listDueTriggersText = `select t.id, t.project_id, t.trigger_type, s.workflow_run_id as "workflow_run_id", s.step_ref as "step_ref" from event_triggers t
  left join workflow_step_runs s on s.id = t.workflow_step_run_id
 where t.status = 'waiting' and t.source_type = 'workflow_step' and t.expires_at <= strait_now()
   and (s.workflow_run_id = any ($1::text[])) is not true
 order by t.expires_at limit $2::int`;

/**
 * across projects: a loop serves every project.
 * Sleeps that are over and events that did not come. What these four leave out are runs that are left alone for a while.
 */
export function listDueTriggers(db: Queryable, params: ListDueTriggersParams): Promise<ListDueTriggersRow[]> {
  return many<ListDueTriggersRow>(db, {
    text: listDueTriggersText,
    values: [
      params.except_runs,
      params.limit,
    ],
  });
}

export interface ListDueApprovalsParams {
  readonly except_runs: readonly (string | null)[];
  readonly limit: number;
}

export interface ListDueApprovalsRow {
  readonly id: string;
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
}

const listDueApprovalsText = `select a.id, r.project_id, r.id as workflow_run_id, s.step_ref from workflow_step_approvals a
  join workflow_step_runs s on s.id = a.workflow_step_run_id join workflow_runs r on r.id = a.workflow_run_id
 where a.status = 'pending' and a.expires_at <= strait_now() and r.id <> all ($1::text[]) order by a.expires_at limit $2::int`;

/** across projects: a loop serves every project. */
export function listDueApprovals(db: Queryable, params: ListDueApprovalsParams): Promise<ListDueApprovalsRow[]> {
  return many<ListDueApprovalsRow>(db, {
    text: listDueApprovalsText,
    values: [
      params.except_runs,
      params.limit,
    ],
  });
}

export interface ListDueRetriesParams {
  readonly except_runs: readonly (string | null)[];
  readonly limit: number;
}

export interface ListDueRetriesRow {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
}

const listDueRetriesText = `select r.project_id, s.workflow_run_id, s.step_ref from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id
 where s.state = 't' and s.next_retry_at <= strait_now() and r.status = 'running' and r.id <> all ($1::text[])
 order by s.next_retry_at limit $2::int`;

/**
 * across projects: a loop serves every project.
 * Of paused runs too: nothing happens to those, so they are left out until they go on.
 */
export function listDueRetries(db: Queryable, params: ListDueRetriesParams): Promise<ListDueRetriesRow[]> {
  return many<ListDueRetriesRow>(db, {
    text: listDueRetriesText,
    values: [
      params.except_runs,
      params.limit,
    ],
  });
}

export interface ListDueRunsParams {
  readonly except_runs: readonly (string | null)[];
  readonly limit: number;
}

export interface ListDueRunsRow {
  readonly id: string;
  readonly project_id: string;
}

const listDueRunsText = `select r.id, r.project_id from workflow_runs r
 where r.status in ('running', 'paused') and r.expires_at <= strait_now() and r.id <> all ($1::text[])
 order by r.expires_at limit $2::int`;

/** across projects: a loop serves every project. */
export function listDueRuns(db: Queryable, params: ListDueRunsParams): Promise<ListDueRunsRow[]> {
  return many<ListDueRunsRow>(db, {
    text: listDueRunsText,
    values: [
      params.except_runs,
      params.limit,
    ],
  });
}

export interface ListUnbegunParams {
  readonly except_runs: readonly (string | null)[];
  readonly limit: number;
}

export interface ListUnbegunRow {
  readonly id: string;
  readonly project_id: string;
}

const listUnbegunText = `select r.id, r.project_id from workflow_runs r
 where r.status = 'pending' and r.id <> all ($1::text[]) order by r.id limit $2::int`;

/**
 * across projects: a loop serves every project.
 * Runs below others, left pending by a transaction that had begun many already.
 */
export function listUnbegun(db: Queryable, params: ListUnbegunParams): Promise<ListUnbegunRow[]> {
  return many<ListUnbegunRow>(db, {
    text: listUnbegunText,
    values: [
      params.except_runs,
      params.limit,
    ],
  });
}

export interface NextDueRow {
  readonly next_ms: number | null;
}

const nextDueText = `select (extract(epoch from least(
         (select min(t.expires_at) from event_triggers t where t.status = 'waiting' and t.source_type = 'workflow_step' and t.expires_at > strait_now()),
         (select min(a.expires_at) from workflow_step_approvals a where a.status = 'pending' and a.expires_at > strait_now()),
         (select min(s.next_retry_at) from workflow_step_runs s where s.state = 't' and s.next_retry_at > strait_now()),
         (select min(r.expires_at) from workflow_runs r where r.status in ('running', 'paused') and r.expires_at > strait_now())
       ) - strait_now()) * 1000)::float8 as "next_ms"`;

/**
 * across projects: a loop serves every project.
 * When the next timer of any kind is over, in milliseconds from now; null: none is set.
 */
export function nextDue(db: Queryable): Promise<NextDueRow> {
  return one<NextDueRow>(db, {
    text: nextDueText,
    values: [],
  });
}

export interface ListBlockedParams {
  readonly after_id: string;
  readonly limit: number;
}

export interface ListBlockedRow {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const listBlockedText = `select distinct s.workflow_run_id, r.project_id from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id
 where s.state = 'q' and r.status = 'running' and s.workflow_run_id > $1
 order by s.workflow_run_id limit $2::int`;

/**
 * across projects: a loop serves every project.
 * Runs with steps that wait for a quota: it may have room by now. In pages, as the next ones: those of a full project must
 * not be all that is ever looked at.
 */
export function listBlocked(db: Queryable, params: ListBlockedParams): Promise<ListBlockedRow[]> {
  return many<ListBlockedRow>(db, {
    text: listBlockedText,
    values: [
      params.after_id,
      params.limit,
    ],
  });
}

export interface ListUnstartedMapsParams {
  readonly after_id: string;
  readonly limit: number;
}

export interface ListUnstartedMapsRow {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const listUnstartedMapsText = `select s.workflow_run_id, r.project_id from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id
 where s.state = 'r' and r.status = 'running' and s.map is not null
   and (s.map ->> 'started')::int < (s.map ->> 'total')::int
   and (s.map ->> 'started')::int = (s.map ->> 'completed')::int + (s.map ->> 'failed')::int
   and s.workflow_run_id > $1
 order by s.workflow_run_id limit $2::int`;

/**
 * across projects: a loop serves every project.
 * Maps with children left to start and none in flight: their quota was full.
 */
export function listUnstartedMaps(db: Queryable, params: ListUnstartedMapsParams): Promise<ListUnstartedMapsRow[]> {
  return many<ListUnstartedMapsRow>(db, {
    text: listUnstartedMapsText,
    values: [
      params.after_id,
      params.limit,
    ],
  });
}

export interface LockRunsParams {
  readonly project_id: string;
  readonly workflow_run_ids: readonly (string | null)[];
}

export interface LockRunsRow {
  readonly id: string;
}

const lockRunsText = `select r.id from workflow_runs r where r.project_id = $1 and r.id = any ($2::text[]) order by r.id for no key update`;

/** Waits for whoever works on one of these, in the order in which everybody locks them. */
export function lockRuns(db: Queryable, params: LockRunsParams): Promise<LockRunsRow[]> {
  return many<LockRunsRow>(db, {
    text: lockRunsText,
    values: [
      params.project_id,
      params.workflow_run_ids,
    ],
  });
}

export interface FindStepRefParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_run_id: string;
}

export interface FindStepRefRow {
  readonly step_ref: string;
}

const findStepRefText = `select s.step_ref from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where s.workflow_run_id = $2 and s.id = $3`;

export function findStepRef(db: Queryable, params: FindStepRefParams): Promise<FindStepRefRow | undefined> {
  return maybe<FindStepRefRow>(db, {
    text: findStepRefText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_run_id,
    ],
  });
}

export interface ListForsakenWaitsParams {
  readonly limit: number;
}

export interface ListForsakenWaitsRow {
  readonly id: string;
  readonly project_id: string;
}

const listForsakenWaitsText = `select t.id, t.project_id from event_triggers t
 where t.status = 'waiting' and t.source_type = 'workflow_step'
   and not exists (select from workflow_step_runs s where s.id = t.workflow_step_run_id and s.wait_id = t.id and s.state in ('e', 's'))
 order by t.expires_at limit $1::int`;

/**
 * across projects: a loop serves every project.
 * A trigger of a step waits only together with the step: both are written in one transaction, so in one snapshot one whose step is
 * not parked on it is left over.
 */
export function listForsakenWaits(db: Queryable, params: ListForsakenWaitsParams): Promise<ListForsakenWaitsRow[]> {
  return many<ListForsakenWaitsRow>(db, {
    text: listForsakenWaitsText,
    values: [params.limit],
  });
}
