-- What happens after a run ended, and runs that wait for other jobs. The statement that ends a run leaves a row in
-- run_endings when its job is `followed`, and one in step_endings when a step of a workflow started it; who deletes that row
-- acts on it in the same transaction.

-- name: takeEndings :many prepared
-- across projects: a loop serves every project.
-- The oldest due ends (or only one), with what the version the run ran says should follow. A run or job that is gone
-- meanwhile is followed by nothing. Results and payloads are read only for those that need them.
with due as materialized (
  select ending_id from run_endings
   where due_at <= strait_now() and (:only?::bigint is null or ending_id = :only?)
   order by due_at, ending_id limit :limit::int for update skip locked
), taken as materialized (
  delete from run_endings where ending_id = any (array(select ending_id from due))
  returning ending_id, run_id, run_created_at, job_id, project_id, status, attempt, error, error_class, tries
), told as materialized (
  select t.ending_id, t.run_id, t.project_id, t.job_id, t.status, t.attempt, t.error, t.error_class, t.tries,
         j.slug, r.result, r.payload, r.lineage_depth, r.metadata,
         case when t.status = 'completed' and v.id is null then j.on_complete_trigger_job
              when t.status = 'completed' then v.on_complete_trigger_job
              when t.status <> all ('{failed,timed_out,crashed,system_failed,dead_letter}') then null
              when v.id is null then j.on_failure_trigger_job else v.on_failure_trigger_job end as target,
         case when t.status = 'completed' and v.id is null then j.on_complete_trigger_workflow
              when t.status = 'completed' then v.on_complete_trigger_workflow
              when t.status <> all ('{failed,timed_out,crashed,system_failed,dead_letter}') then null
              when v.id is null then j.on_failure_trigger_workflow else v.on_failure_trigger_workflow end as target_workflow,
         case when t.status = 'completed' and v.id is null then j.on_complete_payload_mapping
              when t.status = 'completed' then v.on_complete_payload_mapping
              when v.id is null then j.on_failure_payload_mapping else v.on_failure_payload_mapping end as mapping
    from taken t
    join jobs j on j.id = t.job_id
    join job_runs r on r.id = t.run_id and r.created_at = t.run_created_at
    left join job_versions v on v.job_id = t.job_id and v.version = r.job_version and r.job_version <> j.version
)
select ending_id, run_id, project_id, job_id, status, attempt, error, error_class, tries, slug as job_slug, lineage_depth, metadata,
       target as "target?", target_workflow as "target_workflow?",
       case when coalesce(target, target_workflow) is not null then mapping end as "mapping?",
       case when coalesce(target, target_workflow) is not null and status = 'completed' then result end as "result?",
       case when coalesce(target, target_workflow) is not null and status <> 'completed' then payload end as "payload?"
  from told order by ending_id;

-- name: postponeEnding :count
-- across projects: a loop serves every project.
-- What failed is tried again later and holds up nothing else.
update run_endings
   set tries = tries + 1, due_at = strait_now() + make_interval(secs => least(power(2, least(tries, 20)), 300))
 where ending_id = :ending_id;

-- name: noteOnRun :count
-- across projects: the caller took the end of this very run.
insert into run_events (run_id, type, level, message, data) values (:run_id, 'log', 'warn', :message, :data_json::jsonb);

-- name: markDependents :count
-- across projects: the caller took the ends of these runs.
-- Runs that wait for a job of which one just ended as they want are to be judged, those too that are marked already: who
-- judges them right now may not see this end. Locked in order of ids.
with ended as materialized (
  select distinct e.job_id, e.status, m.matching
    from unnest(:run_ids::text[], :job_ids::text[], :statuses::text[]) as e(run_id, job_id, status)
    join job_runs r on r.id = e.run_id and r.created_at = strait_id_time(e.run_id)
   cross join lateral (select '' as matching
                       union all select 'k:' || r.idempotency_key where r.idempotency_key <> ''
                       union all select 'd:' || (r.metadata ->> 'dependency_key') where r.metadata ->> 'dependency_key' <> '') m
), wanted as materialized (
  select w.run_id
    from ended e
    join job_dependencies d on d.depends_on_job_id = e.job_id and strait_meets(e.status, d.condition)
    join run_waiting w on w.claim_seq = 0 and w.job_id = d.job_id and w.matching = e.matching
   order by w.run_id for no key update of w
)
update run_waiting set unchecked = true where run_id = any (array(select run_id from wanted));

-- name: markDependentsOfJob :count
-- across projects: the caller changed what this job depends on.
with wanted as materialized (
  select run_id from run_waiting where claim_seq = 0 and job_id = :job_id order by run_id for no key update
), told as materialized (select pg_notify('run_ended', '') where exists (select from wanted))
update run_waiting set unchecked = true
 where run_id = any (array(select run_id from wanted)) and (select count(*) from told) >= 0;

-- name: markDependentsOnJob :count
-- across projects: the caller removes this job, and with it what others waited for.
with wanted as materialized (
  select w.run_id from job_dependencies d join run_waiting w on w.claim_seq = 0 and w.job_id = d.job_id
   where d.depends_on_job_id = :job_id order by w.run_id for no key update of w
), told as materialized (select pg_notify('run_ended', '') where exists (select from wanted))
update run_waiting set unchecked = true
 where run_id = any (array(select run_id from wanted)) and (select count(*) from told) >= 0;

-- name: markRecent :count
-- across projects: a loop serves every project.
-- A statement that ended a run while the dependency on its job was being written did not know that the job is followed.
-- No statement runs longer than the window.
with wanted as materialized (
  select w.run_id
    from job_dependencies d join run_waiting w on w.claim_seq = 0 and w.job_id = d.job_id
   where d.created_at > strait_now() - interval '2 min' and not w.unchecked
   order by w.run_id for no key update of w skip locked
)
update run_waiting set unchecked = true where run_id = any (array(select run_id from wanted));

-- name: lockUnchecked :many prepared
-- across projects: a loop serves every project.
select run_id from run_waiting where unchecked order by run_id limit :limit::int for update skip locked;

-- name: judgeDependents :many prepared
-- across projects: a loop serves every project.
-- The caller locked these in an earlier statement, so what is judged here is newer than every mark on them: waiting →
-- queued when what they wait for ended as asked, with their time to live from now on; else not looked at until marked again.
with judged as materialized (
  select run_id, strait_dependencies_met(job_id, matching) as met from run_waiting where run_id = any (:run_ids::text[])
), kept as (
  update run_waiting set unchecked = false where run_id = any (array(select run_id from judged where not met))
), gone as (
  delete from run_waiting where run_id = any (array(select run_id from judged where met))
  returning run_id, run_created_at, ttl_secs
), done as (
  update job_runs r set status = 'queued', expires_at = strait_now() + make_interval(secs => gone.ttl_secs)
    from gone
   where r.id = gone.run_id and r.created_at = gone.run_created_at and (r.status = 'waiting') is true
  returning r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.concurrency_key
), placed as materialized (
  select b.*, strait_place(b.project_id, b.job_id, b.concurrency_key) as place from done b
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, (extract(epoch from strait_now()) * 1000)::bigint - priority * :aging_ms::bigint, id, created_at, job_id, attempt from placed where place is null order by id
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, (extract(epoch from strait_now()) * 1000)::bigint - priority * :aging_ms::bigint, id, created_at, job_id, attempt, place[1], place[2] from placed where place is not null order by id
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'info', 'queued',
         jsonb_build_object('from', 'waiting', 'to', 'queued', 'attempt', attempt, 'reason', 'dependencies met') from done
), woken as materialized (
  select pg_notify('run_wake', 'ready') where exists (select from placed where place is null)
  union all select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
)
select id, (select count(*) from woken)::int as "woken!" from done;

-- name: dependencyStatus :many
-- Which dependencies of a run's job are met, for that run.
select d.id, d.job_id, d.depends_on_job_id, d.condition, d.created_at,
       strait_meets(strait_newest_end(d.depends_on_job_id, strait_matching(r.idempotency_key, r.triggered_by, r.metadata)), d.condition) as "met!"
  from job_runs r join job_dependencies d on d.job_id = r.job_id
 where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id
 order by d.created_at desc, d.id desc;

-- name: takeStepEndings :many prepared
-- across projects: the caller holds the lock of the workflow run whose steps started these.
-- What is not in the answer somebody else took. A run that is gone meanwhile has no result any more.
with taken as materialized (
  delete from step_endings where ending_id = any (:ending_ids::bigint[])
  returning ending_id, run_id, run_created_at, workflow_step_run_id, status
)
select t.ending_id, t.run_id, t.workflow_step_run_id, t.status, r.result as "result?", r.error as "error?"
  from taken t left join job_runs r on r.id = t.run_id and r.created_at = t.run_created_at
 order by t.ending_id;

-- name: tellStepsAgain :many
-- across projects: a net under every project's workflows.
-- Ends that steps were never told: as they stand in the run, or of one that is gone. Not while one is still to be told.
with lost as materialized (
  insert into step_endings (run_id, run_created_at, workflow_step_run_id, status)
  select e.run_id, strait_id_time(e.run_id), e.step_run_id, coalesce(r.status, 'system_failed')
    from unnest(:run_ids::text[], :step_run_ids::text[]) as e(run_id, step_run_id)
    left join job_runs r on r.id = e.run_id and r.created_at = strait_id_time(e.run_id)
   where coalesce(r.status, 'system_failed') <> all ('{delayed,queued,dequeued,executing,waiting}')
     and not exists (select from step_endings x where x.workflow_step_run_id = e.step_run_id and x.run_id = e.run_id)
  returning run_id
), woken as materialized (
  select pg_notify('step_ended', '') where exists (select from lost)
)
select run_id from lost where (select count(*) from woken) >= 0;

-- name: postponeStepEndings :count
-- across projects: a loop serves every project.
update step_endings
   set tries = tries + 1, due_at = strait_now() + make_interval(secs => least(power(2, least(tries, 20)), 300))
 where ending_id = any (:ending_ids::bigint[]);

-- name: dropStepEndings :count
-- across projects: a loop serves every project; the steps are gone.
delete from step_endings where ending_id = any (:ending_ids::bigint[]);
