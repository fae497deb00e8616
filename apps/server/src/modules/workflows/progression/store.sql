-- One progression of a workflow run, in this order: lock, read the board, read what the engine asks for, write. Times travel
-- as milliseconds since 1970. Everybody locks the run before its steps, and a parent before its children.

-- name: lockRun :maybe prepared
-- Whoever holds this is the only one who changes the run, its steps, their waits and the children of its maps.
select r.id, r.project_id, r.workflow_id, r.status, r.max_parallel_steps, r.timeout_secs,
       (extract(epoch from r.expires_at) * 1000)::float8 as expires_at, r.depth, r.generation, r.continued, r.workflow_version,
       r.step_overrides, r.parent_workflow_run_id, r.parent_step_run_id, r.first_run_id, r.tags, r.created_by, r.trace_context,
       r.compensate_on_failure, r.lineage_depth
  from workflow_runs r where r.id = :workflow_run_id and r.project_id = :project_id for no key update;

-- name: readBoard :one prepared
-- A statement of its own: it has to see what the holder of the lock before this one wrote.
select (extract(epoch from strait_now()) * 1000)::float8 as "now!",
       coalesce((select string_agg(s.state, '' order by s.step_ref collate "C") from workflow_step_runs s
                  where s.workflow_run_id = :workflow_run_id), '') as "board!",
       coalesce((select case when c.status is not null then c.status <> 'open' else p.state = any ('{C,F,S,D,W,R}') end
                   from workflow_step_runs p
                   left join workflow_map_children c on c.child_run_id = :first_run_id and c.step_run_id = p.id
                  where p.id = :parent_step_run_id?), false) as "parent_step_over!",
       :project_id::text as "project_id!";

-- name: readSteps :many prepared
select s.id, s.step_ref, s.attempt, coalesce(s.job_run_id, s.child_run_id) as "work_id?", s.wait_id,
       (extract(epoch from s.started_at) * 1000)::float8 as "started_at?",
       (extract(epoch from s.next_retry_at) * 1000)::float8 as "next_retry_at?", s.error, s.gate_passed, s.map,
       case when s.step_ref = any (:output_refs::text[]) then s.output end as "output?"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where s.workflow_run_id = :workflow_run_id and s.step_ref = any (:step_refs::text[]);

-- name: sumOutputs :one prepared
-- How large these outputs are together, before they are read.
select coalesce(sum(octet_length(s.output::text)), 0)::float8 as "bytes!"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id and s.step_ref = any (:step_refs::text[]);

-- name: readPayload :one prepared
select r.payload from workflow_runs r where r.id = :workflow_run_id and r.project_id = :project_id;

-- name: sumMapOutputs :one
-- How large the outputs of a map are together, before they are read.
select coalesce(sum(octet_length(c.output::text)), 0)::float8 as "bytes!"
  from workflow_map_children c
  join workflow_step_runs s on s.id = c.step_run_id and s.attempt = c.attempt
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id and s.step_ref = :step_ref;

-- name: readMapOutputs :many
select c.output from workflow_map_children c
  join workflow_step_runs s on s.id = c.step_run_id and s.attempt = c.attempt
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id and s.step_ref = :step_ref
 order by c.index;

-- name: readMapItems :many prepared
select c.index, c.item from workflow_map_children c join workflow_step_runs s on s.id = c.step_run_id
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id and s.step_ref = :step_ref and c.attempt = :attempt
   and c.index >= :from and c.index < :from + :count::int
 order by c.index;

-- name: findStepRows :many
select s.step_ref, s.id from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where s.workflow_run_id = :workflow_run_id and s.step_ref = any (:step_refs::text[]);

-- name: endApprovals :count
update workflow_step_approvals a
   set status = e.to_status, approved_by = e.actor, error = e.error,
       approved_at = case when e.to_status in ('approved', 'rejected') then strait_now() end
  from jsonb_to_recordset(:ends::jsonb) as e(step_ref text, to_status text, actor text, error text),
       workflow_step_runs s, workflow_runs r
 where r.id = :workflow_run_id and r.project_id = :project_id and s.workflow_run_id = r.id and s.step_ref = e.step_ref
   and a.id = s.wait_id and a.status = 'pending';

-- name: findWaits :many prepared
-- The triggers these steps are parked on.
select s.step_ref, s.wait_id as "wait_id!" from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where s.workflow_run_id = :workflow_run_id and s.step_ref = any (:step_refs::text[]) and s.state in ('e', 's') and s.wait_id is not null;

-- name: endMapChildren :count prepared
update workflow_map_children c
   set status = case when e.ok then 'completed' else 'failed' end
  from jsonb_to_recordset(:ends::jsonb) as e(step_ref text, attempt int, index int, ok boolean),
       workflow_step_runs s, workflow_runs r
 where r.id = :workflow_run_id and r.project_id = :project_id and s.workflow_run_id = r.id and s.step_ref = e.step_ref
   and c.step_run_id = s.id and c.attempt = e.attempt and c.index = e.index and c.status = 'open';

-- name: findWork :many prepared
-- What these steps, or all when null, have in flight.
select s.job_run_id as "job_run_id?", s.child_run_id as "child_run_id?"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where s.workflow_run_id = :workflow_run_id and s.state = 'r' and (:step_refs?::text[] is null or s.step_ref = any (:step_refs))
   and (s.job_run_id is not null or s.child_run_id is not null)
union all
select c.job_run_id, c.child_run_id
  from workflow_map_children c join workflow_step_runs s on s.id = c.step_run_id
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where s.workflow_run_id = :workflow_run_id and c.status = 'open' and (:step_refs?::text[] is null or s.step_ref = any (:step_refs))
   and (c.job_run_id is not null or c.child_run_id is not null);

-- name: closeMapChildren :count
update workflow_map_children c set status = 'canceled'
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where s.workflow_run_id = :workflow_run_id and (:step_refs?::text[] is null or s.step_ref = any (:step_refs))
   and c.step_run_id = s.id and c.status = 'open';

-- name: cancelApprovals :count
update workflow_step_approvals a set status = 'canceled', error = :error
  from workflow_runs r
 where r.id = :workflow_run_id and r.project_id = :project_id and a.workflow_run_id = r.id and a.status = 'pending';

-- name: writeSteps :many prepared
-- Guarded by the state each had. Members that a patch does not have keep their value; `work` and `wait` are new ids. Each
-- step is looked up by its name: joined to all steps of the run, a fan of 1,000 compares a million pairs.
update workflow_step_runs s
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
 cross join jsonb_to_recordset(:changes::jsonb) as c(step_ref text, from_state text, to_state text, patch jsonb)
 cross join lateral (select x.id from workflow_step_runs x where x.workflow_run_id = r.id and x.step_ref = c.step_ref offset 0) one
 where r.id = :workflow_run_id and r.project_id = :project_id and s.id = one.id and s.state = c.from_state
returning s.step_ref;

-- name: insertApproval :one
-- Who decides is reminded once half of the time is over.
insert into workflow_step_approvals (project_id, workflow_run_id, workflow_step_run_id, approvers, kind, requested_at, expires_at, remind_at)
select r.project_id, r.id, :step_run_id, :approvers::text[], :kind, n.at, n.expires_at, n.at + (n.expires_at - n.at) / 2
  from workflow_runs r cross join (select strait_now() as at, to_timestamp(:expires_at?::float8 / 1000) as expires_at) n
 where r.id = :workflow_run_id and r.project_id = :project_id
returning id;

-- name: insertMapChildren :count prepared
insert into workflow_map_children (step_run_id, attempt, index, item)
select s.id, :attempt, (i.ordinality - 1)::int, i.value
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 cross join jsonb_array_elements(:items::jsonb) with ordinality i
 where s.id = :step_run_id;

-- name: linkMapChildren :count prepared
update workflow_map_children c set job_run_id = l.job_run_id, child_run_id = l.child_run_id
  from jsonb_to_recordset(:links::jsonb) as l(index int, job_run_id text, child_run_id text), workflow_step_runs s, workflow_runs r
 where s.id = :step_run_id and r.id = s.workflow_run_id and r.project_id = :project_id
   and c.step_run_id = s.id and c.attempt = :attempt and c.index = l.index and c.status = 'open';

-- name: failMapChildren :count
-- Children that could not even be started.
update workflow_map_children c set error = l.error
  from jsonb_to_recordset(:errors::jsonb) as l(index int, error text), workflow_step_runs s, workflow_runs r
 where s.id = :step_run_id and r.id = s.workflow_run_id and r.project_id = :project_id
   and c.step_run_id = s.id and c.attempt = :attempt and c.index = l.index and c.status = 'open';

-- name: insertDecisions :count prepared
-- Not when the last decision about the step says the same, unless it is what somebody did: that is no reason
-- found again, it happened again.
insert into workflow_step_decisions (workflow_run_id, step_run_id, step_ref, decision_type, decision, explanation, details)
select r.id, s.id, d.step_ref, d.decision_type, d.decision, d.explanation, d.details
  from rows from (jsonb_to_recordset(:decisions::jsonb) as (step_ref text, decision_type text, decision text, explanation text, details jsonb))
       with ordinality as d(step_ref, decision_type, decision, explanation, details, n)
  join workflow_runs r on r.id = :workflow_run_id and r.project_id = :project_id
  cross join lateral (select x.id from workflow_step_runs x where x.workflow_run_id = r.id and x.step_ref = d.step_ref offset 0) s
  left join lateral (select o.decision, o.details, o.decision_type from workflow_step_decisions o
                      where o.workflow_run_id = r.id and o.step_ref = d.step_ref
                      order by o.created_at desc, o.id desc limit 1) last on true
 where d.decision_type = 'operator'
    or last.decision_type is distinct from d.decision_type or last.decision is distinct from d.decision
    or last.details is distinct from d.details
 order by d.n;

-- name: writeRun :maybe prepared
-- A child that ends for good has news for the step that started it. No row: the run has another status.
update workflow_runs r
   set status = :to_status, error = :error?::text,
       started_at = case when :started_at?::float8 is null then r.started_at else to_timestamp(:started_at? / 1000) end,
       finished_at = to_timestamp(:finished_at?::float8 / 1000),
       expires_at = case when :sets_expiry::boolean then to_timestamp(:expires_at?::float8 / 1000) else r.expires_at end,
       continued = r.continued or :continues::boolean,
       news_due_at = case when :has_news::boolean and r.parent_step_run_id is not null and not :continues then strait_now() end,
       news_tries = 0
 where r.id = :workflow_run_id and r.project_id = :project_id and r.status = :from_status
returning r.parent_workflow_run_id, r.news_due_at is not null as "has_news!";

-- name: insertEvents :count prepared
-- The history of the run; whoever streams it is woken, and so is who tells parents.
with told as (
  insert into workflow_run_events (workflow_run_id, project_id, step_ref, from_status, to_status, attempt, reason)
  select r.id, r.project_id, e.step_ref, e.from_status, e.to_status, coalesce(e.attempt, s.attempt), coalesce(e.reason, '')
    from rows from (jsonb_to_recordset(:events::jsonb) as (step_ref text, from_status text, to_status text, attempt int, reason text))
         with ordinality as e(step_ref, from_status, to_status, attempt, reason, n)
    join workflow_runs r on r.id = :workflow_run_id and r.project_id = :project_id
    left join workflow_step_runs s on s.workflow_run_id = r.id and s.step_ref = e.step_ref
   order by e.n
  returning id
), woken as materialized (
  select pg_notify('workflow_live', :workflow_run_id) where exists (select from told)
)
select id from told where (select count(*) from woken) >= 0;

-- name: wakeLoops :one prepared
-- across projects: notifications name no data.
select (select count(*) from (select pg_notify('workflow_due', w) from unnest(:what::text[]) w) x)::int as "woken!";

-- name: listChildRuns :many
-- Child runs under these first runs that have not ended: the first itself or the one that continues it. In the order in which
-- everybody locks them.
select c.id from workflow_runs c
 where c.project_id = :project_id and c.parent_workflow_run_id = :workflow_run_id
   and coalesce(c.first_run_id, c.id) = any (:first_run_ids::text[]) and c.status in ('pending', 'running', 'paused')
 order by c.id;

-- name: findAdmittedJobs :many prepared
-- Holds them against deletion until their runs are there.
select j.id, j.enabled, j.payload_schema is null as "takes_all!", exists (select from project_quotas q where q.project_id = j.project_id and q.max_queued_runs > 0) as "counted!"
  from jobs j where j.project_id = :project_id and j.id = any (:job_ids::text[]) and j.deleting_at is null
 order by j.id for key share;

-- name: averageCost :one
-- Of the job's last completed runs.
select coalesce(avg(u.cost), 0)::float8 as "average!"
  from (select coalesce((select sum(x.cost_microusd) from run_usage x where x.run_id = r.id), 0) as cost
          from job_runs r where r.project_id = :project_id and r.job_id = :job_id and r.status = 'completed'
         order by r.created_at desc limit 50) u;
