// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface LockRunParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface LockRunRow {
  readonly id: string;
  readonly project_id: string;
  readonly workflow_id: string;
  readonly status: string;
  readonly max_parallel_steps: number;
  readonly timeout_secs: number;
  readonly expires_at: number | null;
  readonly depth: number;
  readonly generation: number;
  readonly continued: boolean;
  readonly workflow_version: number;
  readonly step_overrides: JsonColumns['workflow_runs.step_overrides'];
  readonly parent_workflow_run_id: string | null;
  readonly parent_step_run_id: string | null;
  readonly first_run_id: string | null;
  readonly tags: JsonColumns['workflow_runs.tags'];
  readonly created_by: string | null;
  readonly trace_context: JsonColumns['workflow_runs.trace_context'] | null;
  readonly compensate_on_failure: boolean;
  readonly lineage_depth: number;
}

const lockRunText = `select r.id, r.project_id, r.workflow_id, r.status, r.max_parallel_steps, r.timeout_secs,
       (extract(epoch from r.expires_at) * 1000)::float8 as expires_at, r.depth, r.generation, r.continued, r.workflow_version,
       r.step_overrides, r.parent_workflow_run_id, r.parent_step_run_id, r.first_run_id, r.tags, r.created_by, r.trace_context,
       r.compensate_on_failure, r.lineage_depth
  from workflow_runs r where r.id = $1 and r.project_id = $2 for no key update`;

/** Whoever holds this is the only one who changes the run, its steps, their waits and the children of its maps. */
export function lockRun(db: Queryable, params: LockRunParams): Promise<LockRunRow | undefined> {
  return maybe<LockRunRow>(db, {
    text: lockRunText,
    values: [
      params.workflow_run_id,
      params.project_id,
    ],
    name: 'workflows_progression_lockRun_bc862eec',
  });
}

export interface ReadBoardParams {
  readonly workflow_run_id: string;
  readonly first_run_id: string;
  readonly parent_step_run_id: string | null;
  readonly project_id: string;
}

export interface ReadBoardRow {
  readonly now: number;
  readonly board: string;
  readonly parent_step_over: boolean;
  readonly project_id: string;
}

const readBoardText = `select (extract(epoch from strait_now()) * 1000)::float8 as "now",
       coalesce((select string_agg(s.state, '' order by s.step_ref collate "C") from workflow_step_runs s
                  where s.workflow_run_id = $1), '') as "board",
       coalesce((select case when c.status is not null then c.status <> 'open' else p.state = any ('{C,F,S,D,W,R}') end
                   from workflow_step_runs p
                   left join workflow_map_children c on c.child_run_id = $2 and c.step_run_id = p.id
                  where p.id = $3), false) as "parent_step_over",
       $4::text as "project_id"`;

/** A statement of its own: it has to see what the holder of the lock before this one wrote. */
export function readBoard(db: Queryable, params: ReadBoardParams): Promise<ReadBoardRow> {
  return one<ReadBoardRow>(db, {
    text: readBoardText,
    values: [
      params.workflow_run_id,
      params.first_run_id,
      params.parent_step_run_id,
      params.project_id,
    ],
    name: 'workflows_progression_readBoard_6c08cbfd',
  });
}

export interface ReadStepsParams {
  readonly output_refs: readonly (string | null)[];
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_refs: readonly (string | null)[];
}

export interface ReadStepsRow {
  readonly id: string;
  readonly step_ref: string;
  readonly attempt: number;
  readonly work_id: string | null;
  readonly wait_id: string | null;
  readonly started_at: number | null;
  readonly next_retry_at: number | null;
  readonly error: string | null;
  readonly gate_passed: boolean;
  readonly map: JsonColumns['workflow_step_runs.map'] | null;
  readonly output: unknown;
}

const readStepsText = `select s.id, s.step_ref, s.attempt, coalesce(s.job_run_id, s.child_run_id) as "work_id", s.wait_id,
       (extract(epoch from s.started_at) * 1000)::float8 as "started_at",
       (extract(epoch from s.next_retry_at) * 1000)::float8 as "next_retry_at", s.error, s.gate_passed, s.map,
       case when s.step_ref = any ($1::text[]) then s.output end as "output"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $2
 where s.workflow_run_id = $3 and s.step_ref = any ($4::text[])`;

export function readSteps(db: Queryable, params: ReadStepsParams): Promise<ReadStepsRow[]> {
  return many<ReadStepsRow>(db, {
    text: readStepsText,
    values: [
      params.output_refs,
      params.project_id,
      params.workflow_run_id,
      params.step_refs,
    ],
    name: 'workflows_progression_readSteps_f5b8ec15',
  });
}

export interface SumOutputsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_refs: readonly (string | null)[];
}

export interface SumOutputsRow {
  readonly bytes: number;
}

const sumOutputsText = `select coalesce(sum(octet_length(s.output::text)), 0)::float8 as "bytes"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2 and s.step_ref = any ($3::text[])`;

/** How large these outputs are together, before they are read. */
export function sumOutputs(db: Queryable, params: SumOutputsParams): Promise<SumOutputsRow> {
  return one<SumOutputsRow>(db, {
    text: sumOutputsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_refs,
    ],
    name: 'workflows_progression_sumOutputs_22c823e5',
  });
}

export interface ReadPayloadParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface ReadPayloadRow {
  readonly payload: JsonColumns['workflow_runs.payload'] | null;
}

const readPayloadText = `select r.payload from workflow_runs r where r.id = $1 and r.project_id = $2`;

export function readPayload(db: Queryable, params: ReadPayloadParams): Promise<ReadPayloadRow> {
  return one<ReadPayloadRow>(db, {
    text: readPayloadText,
    values: [
      params.workflow_run_id,
      params.project_id,
    ],
    name: 'workflows_progression_readPayload_8994a3a0',
  });
}

export interface SumMapOutputsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
}

export interface SumMapOutputsRow {
  readonly bytes: number;
}

const sumMapOutputsText = `select coalesce(sum(octet_length(c.output::text)), 0)::float8 as "bytes"
  from workflow_map_children c
  join workflow_step_runs s on s.id = c.step_run_id and s.attempt = c.attempt
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2 and s.step_ref = $3`;

/** How large the outputs of a map are together, before they are read. */
export function sumMapOutputs(db: Queryable, params: SumMapOutputsParams): Promise<SumMapOutputsRow> {
  return one<SumMapOutputsRow>(db, {
    text: sumMapOutputsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_ref,
    ],
  });
}

export interface ReadMapOutputsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
}

export interface ReadMapOutputsRow {
  readonly output: JsonColumns['workflow_map_children.output'] | null;
}

const readMapOutputsText = `select c.output from workflow_map_children c
  join workflow_step_runs s on s.id = c.step_run_id and s.attempt = c.attempt
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2 and s.step_ref = $3
 order by c.index`;

export function readMapOutputs(db: Queryable, params: ReadMapOutputsParams): Promise<ReadMapOutputsRow[]> {
  return many<ReadMapOutputsRow>(db, {
    text: readMapOutputsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_ref,
    ],
  });
}

export interface ReadMapItemsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
  readonly attempt: number;
  readonly from: number;
  readonly count: number;
}

export interface ReadMapItemsRow {
  readonly index: number;
  readonly item: JsonColumns['workflow_map_children.item'];
}

const readMapItemsText = `select c.index, c.item from workflow_map_children c join workflow_step_runs s on s.id = c.step_run_id
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2 and s.step_ref = $3 and c.attempt = $4
   and c.index >= $5 and c.index < $5 + $6::int
 order by c.index`;

export function readMapItems(db: Queryable, params: ReadMapItemsParams): Promise<ReadMapItemsRow[]> {
  return many<ReadMapItemsRow>(db, {
    text: readMapItemsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_ref,
      params.attempt,
      params.from,
      params.count,
    ],
    name: 'workflows_progression_readMapItems_a0708bab',
  });
}

export interface FindStepRowsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_refs: readonly (string | null)[];
}

export interface FindStepRowsRow {
  readonly step_ref: string;
  readonly id: string;
}

const findStepRowsText = `select s.step_ref, s.id from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where s.workflow_run_id = $2 and s.step_ref = any ($3::text[])`;

export function findStepRows(db: Queryable, params: FindStepRowsParams): Promise<FindStepRowsRow[]> {
  return many<FindStepRowsRow>(db, {
    text: findStepRowsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_refs,
    ],
  });
}

export interface EndApprovalsParams {
  readonly ends: unknown;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const endApprovalsText = `update workflow_step_approvals a
   set status = e.to_status, approved_by = e.actor, error = e.error,
       approved_at = case when e.to_status in ('approved', 'rejected') then strait_now() end
  from jsonb_to_recordset($1::jsonb) as e(step_ref text, to_status text, actor text, error text),
       workflow_step_runs s, workflow_runs r
 where r.id = $2 and r.project_id = $3 and s.workflow_run_id = r.id and s.step_ref = e.step_ref
   and a.id = s.wait_id and a.status = 'pending'`;

export function endApprovals(db: Queryable, params: EndApprovalsParams): Promise<number> {
  return count(db, {
    text: endApprovalsText,
    values: [
      JSON.stringify(params.ends),
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface FindWaitsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_refs: readonly (string | null)[];
}

export interface FindWaitsRow {
  readonly step_ref: string;
  readonly wait_id: string;
}

const findWaitsText = `select s.step_ref, s.wait_id as "wait_id" from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where s.workflow_run_id = $2 and s.step_ref = any ($3::text[]) and s.state in ('e', 's') and s.wait_id is not null`;

/** The triggers these steps are parked on. */
export function findWaits(db: Queryable, params: FindWaitsParams): Promise<FindWaitsRow[]> {
  return many<FindWaitsRow>(db, {
    text: findWaitsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_refs,
    ],
    name: 'workflows_progression_findWaits_951f1676',
  });
}

export interface EndMapChildrenParams {
  readonly ends: unknown;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const endMapChildrenText = `update workflow_map_children c
   set status = case when e.ok then 'completed' else 'failed' end
  from jsonb_to_recordset($1::jsonb) as e(step_ref text, attempt int, index int, ok boolean),
       workflow_step_runs s, workflow_runs r
 where r.id = $2 and r.project_id = $3 and s.workflow_run_id = r.id and s.step_ref = e.step_ref
   and c.step_run_id = s.id and c.attempt = e.attempt and c.index = e.index and c.status = 'open'`;

export function endMapChildren(db: Queryable, params: EndMapChildrenParams): Promise<number> {
  return count(db, {
    text: endMapChildrenText,
    values: [
      JSON.stringify(params.ends),
      params.workflow_run_id,
      params.project_id,
    ],
    name: 'workflows_progression_endMapChildren_363a2e8c',
  });
}

export interface FindWorkParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_refs: readonly (string | null)[] | null;
}

export interface FindWorkRow {
  readonly job_run_id: string | null;
  readonly child_run_id: string | null;
}

const findWorkText = `select s.job_run_id as "job_run_id", s.child_run_id as "child_run_id"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where s.workflow_run_id = $2 and s.state = 'r' and ($3::text[] is null or s.step_ref = any ($3))
   and (s.job_run_id is not null or s.child_run_id is not null)
union all
select c.job_run_id, c.child_run_id
  from workflow_map_children c join workflow_step_runs s on s.id = c.step_run_id
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where s.workflow_run_id = $2 and c.status = 'open' and ($3::text[] is null or s.step_ref = any ($3))
   and (c.job_run_id is not null or c.child_run_id is not null)`;

/** What these steps, or all when null, have in flight. */
export function findWork(db: Queryable, params: FindWorkParams): Promise<FindWorkRow[]> {
  return many<FindWorkRow>(db, {
    text: findWorkText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_refs,
    ],
    name: 'workflows_progression_findWork_592f9cd5',
  });
}

export interface CloseMapChildrenParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_refs: readonly (string | null)[] | null;
}

const closeMapChildrenText = `update workflow_map_children c set status = 'canceled'
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where s.workflow_run_id = $2 and ($3::text[] is null or s.step_ref = any ($3))
   and c.step_run_id = s.id and c.status = 'open'`;

export function closeMapChildren(db: Queryable, params: CloseMapChildrenParams): Promise<number> {
  return count(db, {
    text: closeMapChildrenText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_refs,
    ],
  });
}

export interface CancelApprovalsParams {
  readonly error: string;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const cancelApprovalsText = `update workflow_step_approvals a set status = 'canceled', error = $1
  from workflow_runs r
 where r.id = $2 and r.project_id = $3 and a.workflow_run_id = r.id and a.status = 'pending'`;

export function cancelApprovals(db: Queryable, params: CancelApprovalsParams): Promise<number> {
  return count(db, {
    text: cancelApprovalsText,
    values: [
      params.error,
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface WriteStepsParams {
  readonly changes: unknown;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface WriteStepsRow {
  readonly step_ref: string;
}

const writeStepsText = `update workflow_step_runs s
   set state = c.to_state, status = strait_step_status(c.to_state), wait_reason = strait_step_wait_reason(c.to_state),
       attempt = coalesce((c.patch ->> 'attempt')::int, s.attempt),
       output = case when c.patch ? 'output' then nullif(c.patch -> 'output', 'null') else s.output end,
       error = case when c.patch ? 'error' then c.patch ->> 'error' else s.error end,
       started_at = case when c.patch ? 'started_at' then to_timestamp((c.patch ->> 'started_at')::float8 / 1000) else s.started_at end,
       finished_at = case when c.patch ? 'finished_at' then to_timestamp((c.patch ->> 'finished_at')::float8 / 1000) else s.finished_at end,
       next_retry_at = case when c.patch ? 'next_retry_at' then to_timestamp((c.patch ->> 'next_retry_at')::float8 / 1000) else s.next_retry_at end,
       job_run_id = case when c.patch ? 'job_run_id' then c.patch ->> 'job_run_id' when c.patch ? 'work_id' then null else s.job_run_id end,
       child_run_id = case when c.patch ? 'child_run_id' then c.patch ->> 'child_run_id' when c.patch ? 'work_id' then null else s.child_run_id end,
       wait_id = case when c.patch ? 'wait_id' then c.patch ->> 'wait_id' else s.wait_id end,
       gate_passed = coalesce((c.patch ->> 'gate_passed')::boolean, s.gate_passed),
       map = case when c.patch ? 'map' then nullif(c.patch -> 'map', 'null') else s.map end
  from workflow_runs r
 cross join jsonb_to_recordset($1::jsonb) as c(step_ref text, from_state text, to_state text, patch jsonb)
 cross join lateral (select x.id from workflow_step_runs x where x.workflow_run_id = r.id and x.step_ref = c.step_ref offset 0) one
 where r.id = $2 and r.project_id = $3 and s.id = one.id and s.state = c.from_state
returning s.step_ref`;

/**
 * Guarded by the state each had. Members that a patch does not have keep their value; `work` and `wait` are new ids. Each
 * step is looked up by its name: joined to all steps of the run, a fan of 1,000 compares a million pairs.
 */
export function writeSteps(db: Queryable, params: WriteStepsParams): Promise<WriteStepsRow[]> {
  return many<WriteStepsRow>(db, {
    text: writeStepsText,
    values: [
      JSON.stringify(params.changes),
      params.workflow_run_id,
      params.project_id,
    ],
    name: 'workflows_progression_writeSteps_9bfa1e67',
  });
}

export interface InsertApprovalParams {
  readonly step_run_id: string;
  readonly approvers: readonly (string | null)[];
  readonly kind: string;
  readonly expires_at: number | null;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface InsertApprovalRow {
  readonly id: string;
}

const insertApprovalText = `insert into workflow_step_approvals (project_id, workflow_run_id, workflow_step_run_id, approvers, kind, requested_at, expires_at, remind_at)
select r.project_id, r.id, $1, $2::text[], $3, n.at, n.expires_at, n.at + (n.expires_at - n.at) / 2
  from workflow_runs r cross join (select strait_now() as at, to_timestamp($4::float8 / 1000) as expires_at) n
 where r.id = $5 and r.project_id = $6
returning id`;

/** Who decides is reminded once half of the time is over. */
export function insertApproval(db: Queryable, params: InsertApprovalParams): Promise<InsertApprovalRow> {
  return one<InsertApprovalRow>(db, {
    text: insertApprovalText,
    values: [
      params.step_run_id,
      params.approvers,
      params.kind,
      params.expires_at,
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface InsertMapChildrenParams {
  readonly attempt: number;
  readonly project_id: string;
  readonly items: unknown;
  readonly step_run_id: string;
}

const insertMapChildrenText = `insert into workflow_map_children (step_run_id, attempt, index, item)
select s.id, $1, (i.ordinality - 1)::int, i.value
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $2
 cross join jsonb_array_elements($3::jsonb) with ordinality i
 where s.id = $4`;

export function insertMapChildren(db: Queryable, params: InsertMapChildrenParams): Promise<number> {
  return count(db, {
    text: insertMapChildrenText,
    values: [
      params.attempt,
      params.project_id,
      JSON.stringify(params.items),
      params.step_run_id,
    ],
    name: 'workflows_progression_insertMapChildren_beb0cebb',
  });
}

export interface LinkMapChildrenParams {
  readonly links: unknown;
  readonly step_run_id: string;
  readonly project_id: string;
  readonly attempt: number;
}

const linkMapChildrenText = `update workflow_map_children c set job_run_id = l.job_run_id, child_run_id = l.child_run_id
  from jsonb_to_recordset($1::jsonb) as l(index int, job_run_id text, child_run_id text), workflow_step_runs s, workflow_runs r
 where s.id = $2 and r.id = s.workflow_run_id and r.project_id = $3
   and c.step_run_id = s.id and c.attempt = $4 and c.index = l.index and c.status = 'open'`;

export function linkMapChildren(db: Queryable, params: LinkMapChildrenParams): Promise<number> {
  return count(db, {
    text: linkMapChildrenText,
    values: [
      JSON.stringify(params.links),
      params.step_run_id,
      params.project_id,
      params.attempt,
    ],
    name: 'workflows_progression_linkMapChildren_4a909c74',
  });
}

export interface FailMapChildrenParams {
  readonly errors: unknown;
  readonly step_run_id: string;
  readonly project_id: string;
  readonly attempt: number;
}

const failMapChildrenText = `update workflow_map_children c set error = l.error
  from jsonb_to_recordset($1::jsonb) as l(index int, error text), workflow_step_runs s, workflow_runs r
 where s.id = $2 and r.id = s.workflow_run_id and r.project_id = $3
   and c.step_run_id = s.id and c.attempt = $4 and c.index = l.index and c.status = 'open'`;

/** Children that could not even be started. */
export function failMapChildren(db: Queryable, params: FailMapChildrenParams): Promise<number> {
  return count(db, {
    text: failMapChildrenText,
    values: [
      JSON.stringify(params.errors),
      params.step_run_id,
      params.project_id,
      params.attempt,
    ],
  });
}

export interface InsertDecisionsParams {
  readonly decisions: unknown;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const insertDecisionsText = `insert into workflow_step_decisions (workflow_run_id, step_run_id, step_ref, decision_type, decision, explanation, details)
select r.id, s.id, d.step_ref, d.decision_type, d.decision, d.explanation, d.details
  from rows from (jsonb_to_recordset($1::jsonb) as (step_ref text, decision_type text, decision text, explanation text, details jsonb))
       with ordinality as d(step_ref, decision_type, decision, explanation, details, n)
  join workflow_runs r on r.id = $2 and r.project_id = $3
  cross join lateral (select x.id from workflow_step_runs x where x.workflow_run_id = r.id and x.step_ref = d.step_ref offset 0) s
  left join lateral (select o.decision, o.details, o.decision_type from workflow_step_decisions o
                      where o.workflow_run_id = r.id and o.step_ref = d.step_ref
                      order by o.created_at desc, o.id desc limit 1) last on true
 where d.decision_type = 'operator'
    or last.decision_type is distinct from d.decision_type or last.decision is distinct from d.decision
    or last.details is distinct from d.details
 order by d.n`;

/**
 * Not when the last decision about the step says the same, unless it is what somebody did: that is no reason
 * found again, it happened again.
 */
export function insertDecisions(db: Queryable, params: InsertDecisionsParams): Promise<number> {
  return count(db, {
    text: insertDecisionsText,
    values: [
      JSON.stringify(params.decisions),
      params.workflow_run_id,
      params.project_id,
    ],
    name: 'workflows_progression_insertDecisions_efea8720',
  });
}

export interface WriteRunParams {
  readonly to_status: string;
  readonly error: string | null;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly sets_expiry: boolean;
  readonly expires_at: number | null;
  readonly continues: boolean;
  readonly has_news: boolean;
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly from_status: string;
}

export interface WriteRunRow {
  readonly parent_workflow_run_id: string | null;
  readonly has_news: boolean;
}

const writeRunText = `update workflow_runs r
   set status = $1, error = $2::text,
       started_at = case when $3::float8 is null then r.started_at else to_timestamp($3 / 1000) end,
       finished_at = to_timestamp($4::float8 / 1000),
       expires_at = case when $5::boolean then to_timestamp($6::float8 / 1000) else r.expires_at end,
       continued = r.continued or $7::boolean,
       news_due_at = case when $8::boolean and r.parent_step_run_id is not null and not $7 then strait_now() end,
       news_tries = 0
 where r.id = $9 and r.project_id = $10 and r.status = $11
returning r.parent_workflow_run_id, r.news_due_at is not null as "has_news"`;

/** A child that ends for good has news for the step that started it. No row: the run has another status. */
export function writeRun(db: Queryable, params: WriteRunParams): Promise<WriteRunRow | undefined> {
  return maybe<WriteRunRow>(db, {
    text: writeRunText,
    values: [
      params.to_status,
      params.error,
      params.started_at,
      params.finished_at,
      params.sets_expiry,
      params.expires_at,
      params.continues,
      params.has_news,
      params.workflow_run_id,
      params.project_id,
      params.from_status,
    ],
    name: 'workflows_progression_writeRun_96dce397',
  });
}

export interface InsertEventsParams {
  readonly events: unknown;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const insertEventsText = `with told as (
  insert into workflow_run_events (workflow_run_id, project_id, step_ref, from_status, to_status, attempt, reason)
  select r.id, r.project_id, e.step_ref, e.from_status, e.to_status, coalesce(e.attempt, s.attempt), coalesce(e.reason, '')
    from rows from (jsonb_to_recordset($1::jsonb) as (step_ref text, from_status text, to_status text, attempt int, reason text))
         with ordinality as e(step_ref, from_status, to_status, attempt, reason, n)
    join workflow_runs r on r.id = $2 and r.project_id = $3
    left join workflow_step_runs s on s.workflow_run_id = r.id and s.step_ref = e.step_ref
   order by e.n
  returning id
), woken as materialized (
  select pg_notify('workflow_live', $2) where exists (select from told)
)
select id from told where (select count(*) from woken) >= 0`;

/** The history of the run; whoever streams it is woken, and so is who tells parents. */
export function insertEvents(db: Queryable, params: InsertEventsParams): Promise<number> {
  return count(db, {
    text: insertEventsText,
    values: [
      JSON.stringify(params.events),
      params.workflow_run_id,
      params.project_id,
    ],
    name: 'workflows_progression_insertEvents_d3f2120d',
  });
}

export interface WakeLoopsParams {
  readonly what: readonly (string | null)[];
}

export interface WakeLoopsRow {
  readonly woken: number;
}

const wakeLoopsText = `select (select count(*) from (select pg_notify('workflow_due', w) from unnest($1::text[]) w) x)::int as "woken"`;

/** across projects: notifications name no data. */
export function wakeLoops(db: Queryable, params: WakeLoopsParams): Promise<WakeLoopsRow> {
  return one<WakeLoopsRow>(db, {
    text: wakeLoopsText,
    values: [params.what],
    name: 'workflows_progression_wakeLoops_72e68f3b',
  });
}

export interface ListChildRunsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly first_run_ids: readonly (string | null)[];
}

export interface ListChildRunsRow {
  readonly id: string;
}

const listChildRunsText = `select c.id from workflow_runs c
 where c.project_id = $1 and c.parent_workflow_run_id = $2
   and coalesce(c.first_run_id, c.id) = any ($3::text[]) and c.status in ('pending', 'running', 'paused')
 order by c.id`;

/**
 * Child runs under these first runs that have not ended: the first itself or the one that continues it. In the order in which
 * everybody locks them.
 */
export function listChildRuns(db: Queryable, params: ListChildRunsParams): Promise<ListChildRunsRow[]> {
  return many<ListChildRunsRow>(db, {
    text: listChildRunsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.first_run_ids,
    ],
  });
}

export interface FindAdmittedJobsParams {
  readonly project_id: string;
  readonly job_ids: readonly (string | null)[];
}

export interface FindAdmittedJobsRow {
  readonly id: string;
  readonly enabled: boolean;
  readonly takes_all: boolean;
  readonly counted: boolean;
}

const findAdmittedJobsText = `select j.id, j.enabled, j.payload_schema is null as "takes_all", exists (select from project_quotas q where q.project_id = j.project_id and q.max_queued_runs > 0) as "counted"
  from jobs j where j.project_id = $1 and j.id = any ($2::text[]) and j.deleting_at is null
 order by j.id for key share`;

/** Holds them against deletion until their runs are there. */
export function findAdmittedJobs(db: Queryable, params: FindAdmittedJobsParams): Promise<FindAdmittedJobsRow[]> {
  return many<FindAdmittedJobsRow>(db, {
    text: findAdmittedJobsText,
    values: [
      params.project_id,
      params.job_ids,
    ],
    name: 'workflows_progression_findAdmittedJobs_59fba5c6',
  });
}

export interface AverageCostParams {
  readonly project_id: string;
  readonly job_id: string;
}

export interface AverageCostRow {
  readonly average: number;
}

const averageCostText = `select coalesce(avg(u.cost), 0)::float8 as "average"
  from (select coalesce((select sum(x.cost_microusd) from run_usage x where x.run_id = r.id), 0) as cost
          from job_runs r where r.project_id = $1 and r.job_id = $2 and r.status = 'completed'
         order by r.created_at desc limit 50) u`;

/** Of the job's last completed runs. */
export function averageCost(db: Queryable, params: AverageCostParams): Promise<AverageCostRow> {
  return one<AverageCostRow>(db, {
    text: averageCostText,
    values: [
      params.project_id,
      params.job_id,
    ],
  });
}
