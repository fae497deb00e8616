-- Jobs and their versions. Rows travel to the database as JSON by column name; only the columns listed
-- here are taken from it. Row locks are `no key update` unless the job goes away: triggers, which hold a
-- key share lock through their foreign key, are never in the way of an update.

-- name: newJobIds :many
-- Ids before the rows, because a secret is sealed for the id of its job.
select uuidv7(strait_now() - now())::text as "id!" from generate_series(1, :amount::int);

-- name: insertJobs :many
-- A row without an answer has a slug that is taken.
insert into jobs (id, project_id, version_id, created_by, updated_by,
       name, slug, description, enabled, group_id, environment_id, tags, execution_mode, endpoint_url,
       fallback_endpoint_url, payload_schema, result_schema, default_run_metadata, timeout_secs,
       run_ttl_secs, max_attempts, retry_strategy, retry_delays_secs, retry_priority_boost,
       poison_pill_threshold, max_concurrency, max_concurrency_per_key, rate_limit_max,
       rate_limit_window_secs, rate_limit_keys, dedup_window_secs, debounce_window_secs,
       batch_window_secs, batch_max_size, cron, timezone, execution_window_cron, cron_overlap_policy,
       cron_catchup, skip_if_running, on_complete_trigger_workflow, on_complete_trigger_job,
       on_complete_payload_mapping, on_failure_trigger_workflow, on_failure_trigger_job,
       on_failure_payload_mapping, webhook_url, dlq_alert_threshold, queue_depth_alert_threshold,
       version_policy, backwards_compatible, endpoint_signing_secret_enc, webhook_secret, followed)
select r.id, :project_id, r.version_id, :actor_id::text, :actor_id::text,
       r.name, r.slug, r.description, r.enabled, r.group_id, r.environment_id, r.tags, r.execution_mode,
       r.endpoint_url, r.fallback_endpoint_url, r.payload_schema, r.result_schema,
       r.default_run_metadata, r.timeout_secs, r.run_ttl_secs, r.max_attempts, r.retry_strategy,
       r.retry_delays_secs, r.retry_priority_boost, r.poison_pill_threshold, r.max_concurrency,
       r.max_concurrency_per_key, r.rate_limit_max, r.rate_limit_window_secs, r.rate_limit_keys,
       r.dedup_window_secs, r.debounce_window_secs, r.batch_window_secs, r.batch_max_size, r.cron,
       r.timezone, r.execution_window_cron, r.cron_overlap_policy, r.cron_catchup, r.skip_if_running,
       r.on_complete_trigger_workflow, r.on_complete_trigger_job, r.on_complete_payload_mapping,
       r.on_failure_trigger_workflow, r.on_failure_trigger_job, r.on_failure_payload_mapping,
       r.webhook_url, r.dlq_alert_threshold, r.queue_depth_alert_threshold, r.version_policy,
       r.backwards_compatible, r.endpoint_signing_secret_enc, r.webhook_secret,
       r.on_complete_trigger_job is not null or r.on_failure_trigger_job is not null
       or r.on_complete_trigger_workflow is not null or r.on_failure_trigger_workflow is not null
  from jsonb_populate_recordset(null::jobs, :rows::jsonb) r
    on conflict (project_id, slug) do nothing
returning *;

-- name: lockJobLimit :maybe
-- Makes creators of a project with a limit wait for each other; no row = no limit.
select max_jobs as "max_jobs!" from project_quotas where project_id = :project_id and max_jobs > 0 for update;

-- name: countJobs :one
select count(*) as "jobs!" from jobs where project_id = :project_id and deleting_at is null;

-- name: findJob :maybe
-- By id or slug; no slug looks like an id.
select j.* from jobs j where j.project_id = :project_id and (j.id = :job or j.slug = :job) and j.deleting_at is null
 order by j.id = :job desc limit 1;

-- name: lockJob :maybe
select j.* from jobs j where j.project_id = :project_id and (j.id = :job or j.slug = :job) and j.deleting_at is null
 order by j.id = :job desc limit 1 for no key update;

-- name: lockJobForDeletion :maybe
-- Waits for triggers and replays under way (they hold a key share); those that come later look at the job again once
-- this lock is gone, and find it marked.
select j.id, j.slug, j.name, j.version from jobs j
 where j.project_id = :project_id and (j.id = :job or j.slug = :job) and j.deleting_at is null
 order by j.id = :job desc limit 1 for update;

-- name: listJobs :many
select j.* from jobs j
 where j.project_id = :project_id and j.deleting_at is null
   and (:enabled?::bool is null or j.enabled = :enabled)
   and (:group_id?::text is null or j.group_id = :group_id)
   and (:tag_key?::text is null or j.tags ? :tag_key)
   and (:tag_value?::text is null or j.tags ->> :tag_key = :tag_value)
   and (:before_created_at?::timestamptz is null or (j.created_at, j.id) < (:before_created_at, :before_id?::text))
 order by j.created_at desc, j.id desc limit :limit::int;

-- name: updateJob :maybe
-- Keeps the job as it was, then writes the members of :changes; absent ones stay. No row = the job is
-- another version by now. `followed` stays once it is set: runs of earlier versions may still end.
with old as materialized (
  select * from jobs where id = :job_id and project_id = :project_id and version = :version
), kept as (
  insert into job_versions (job_id,
       version, version_id, project_id, name, slug, description, enabled, group_id, environment_id, tags,
       execution_mode, endpoint_url, fallback_endpoint_url, payload_schema, result_schema,
       default_run_metadata, timeout_secs, run_ttl_secs, max_attempts, retry_strategy, retry_delays_secs,
       retry_priority_boost, poison_pill_threshold, max_concurrency, max_concurrency_per_key,
       rate_limit_max, rate_limit_window_secs, rate_limit_keys, dedup_window_secs, debounce_window_secs,
       batch_window_secs, batch_max_size, cron, timezone, execution_window_cron, cron_overlap_policy,
       skip_if_running, on_complete_trigger_workflow, on_complete_trigger_job,
       on_complete_payload_mapping, on_failure_trigger_workflow, on_failure_trigger_job,
       on_failure_payload_mapping, webhook_url, dlq_alert_threshold, queue_depth_alert_threshold,
       version_policy, backwards_compatible, cron_catchup, created_by, updated_by)
  select id,
       version, version_id, project_id, name, slug, description, enabled, group_id, environment_id, tags,
       execution_mode, endpoint_url, fallback_endpoint_url, payload_schema, result_schema,
       default_run_metadata, timeout_secs, run_ttl_secs, max_attempts, retry_strategy, retry_delays_secs,
       retry_priority_boost, poison_pill_threshold, max_concurrency, max_concurrency_per_key,
       rate_limit_max, rate_limit_window_secs, rate_limit_keys, dedup_window_secs, debounce_window_secs,
       batch_window_secs, batch_max_size, cron, timezone, execution_window_cron, cron_overlap_policy,
       skip_if_running, on_complete_trigger_workflow, on_complete_trigger_job,
       on_complete_payload_mapping, on_failure_trigger_workflow, on_failure_trigger_job,
       on_failure_payload_mapping, webhook_url, dlq_alert_threshold, queue_depth_alert_threshold,
       version_policy, backwards_compatible, cron_catchup, created_by, updated_by
    from old
)
update jobs j
   set (name, slug, description, enabled, group_id, environment_id, tags, execution_mode, endpoint_url,
       fallback_endpoint_url, payload_schema, result_schema, default_run_metadata, timeout_secs,
       run_ttl_secs, max_attempts, retry_strategy, retry_delays_secs, retry_priority_boost,
       poison_pill_threshold, max_concurrency, max_concurrency_per_key, rate_limit_max,
       rate_limit_window_secs, rate_limit_keys, dedup_window_secs, debounce_window_secs,
       batch_window_secs, batch_max_size, cron, timezone, execution_window_cron, cron_overlap_policy,
       cron_catchup, skip_if_running, on_complete_trigger_workflow, on_complete_trigger_job,
       on_complete_payload_mapping, on_failure_trigger_workflow, on_failure_trigger_job,
       on_failure_payload_mapping, webhook_url, dlq_alert_threshold, queue_depth_alert_threshold,
       version_policy, backwards_compatible, endpoint_signing_secret_enc, webhook_secret) =
       (select r.name, r.slug, r.description, r.enabled, r.group_id, r.environment_id, r.tags, r.execution_mode,
       r.endpoint_url, r.fallback_endpoint_url, r.payload_schema, r.result_schema,
       r.default_run_metadata, r.timeout_secs, r.run_ttl_secs, r.max_attempts, r.retry_strategy,
       r.retry_delays_secs, r.retry_priority_boost, r.poison_pill_threshold, r.max_concurrency,
       r.max_concurrency_per_key, r.rate_limit_max, r.rate_limit_window_secs, r.rate_limit_keys,
       r.dedup_window_secs, r.debounce_window_secs, r.batch_window_secs, r.batch_max_size, r.cron,
       r.timezone, r.execution_window_cron, r.cron_overlap_policy, r.cron_catchup, r.skip_if_running,
       r.on_complete_trigger_workflow, r.on_complete_trigger_job, r.on_complete_payload_mapping,
       r.on_failure_trigger_workflow, r.on_failure_trigger_job, r.on_failure_payload_mapping,
       r.webhook_url, r.dlq_alert_threshold, r.queue_depth_alert_threshold, r.version_policy,
       r.backwards_compatible, r.endpoint_signing_secret_enc, r.webhook_secret
          from jsonb_populate_record(j, :changes::jsonb) r),
       followed = j.followed or coalesce(:changes::jsonb ->> 'on_complete_trigger_job', '') <> ''
                  or coalesce(:changes::jsonb ->> 'on_failure_trigger_job', '') <> ''
                  or coalesce(:changes::jsonb ->> 'on_complete_trigger_workflow', '') <> ''
                  or coalesce(:changes::jsonb ->> 'on_failure_trigger_workflow', '') <> '',
       version = j.version + 1, version_id = :version_id::text, updated_by = :actor_id::text, updated_at = strait_now()
  from old
 where j.id = old.id and j.project_id = :project_id and j.version = :version
returning j.*;

-- name: setJobPaused :maybe
-- `paused` is no setting: it makes no version.
update jobs j set paused = :paused, updated_by = :actor_id::text, updated_at = strait_now()
 where j.id = :job_id and j.project_id = :project_id and j.paused <> :paused
returning j.*;

-- name: setJobsEnabled :many
-- In one order everywhere, so that two calls do not deadlock.
with mine as materialized (
  select id from jobs
   where project_id = :project_id and (id = any (:refs::text[]) or slug = any (:refs::text[])) and deleting_at is null
   order by id for no key update
)
update jobs j
   set enabled = :enabled,
       updated_by = case when j.enabled = :enabled then j.updated_by else :actor_id::text end,
       updated_at = case when j.enabled = :enabled then j.updated_at else strait_now() end
  from mine where j.id = mine.id and j.project_id = :project_id
returning j.id, old.enabled as "was_enabled!", j.enabled, j.cron, j.timezone, j.cron_overlap_policy, j.cron_catchup;

-- name: wakePromoter :one
-- Parked runs of a job that may run again are looked at when this commits.
select true as "woken!" from pg_notify('run_wake', 'resume');

-- name: markJobDeleted :count
-- From here on nobody finds the job, and its slug is free.
update jobs set deleting_at = strait_now(), enabled = false, slug = id
 where id = :job_id and project_id = :project_id and deleting_at is null;

-- name: listDeletedJobs :many
-- across projects: a loop finishes deletions that were interrupted.
select id as job_id, project_id from jobs
 where deleting_at < strait_now() - make_interval(secs => :min_age_secs::float8)
 order by deleting_at limit :limit::int;

-- name: deleteJob :count
-- Versions, dependencies, secrets, buffers and objectives go with it.
delete from jobs where id = :job_id and project_id = :project_id and deleting_at is not null;

-- name: findJobGroups :many
select id from job_groups where project_id = :project_id and id = any (:ids::text[]);

-- name: findEnvironments :many
select id from environments where project_id = :project_id and id = any (:ids::text[]);

-- name: listJobVersions :many
select v.* from job_versions v join jobs j on j.id = v.job_id
 where v.job_id = :job_id and j.project_id = :project_id
   and (:before_version?::int is null or v.version < :before_version)
   and (:before_created_at?::timestamptz is null or v.created_at < :before_created_at)
 order by v.version desc limit :limit::int;

-- name: findJobVersion :maybe
-- By version id, row id or number.
select v.* from job_versions v join jobs j on j.id = v.job_id
 where v.job_id = :job_id and j.project_id = :project_id
   and (v.version_id = :version_ref or v.id = :version_ref or v.version::text = :version_ref)
 order by v.version desc limit 1;

-- name: findTriggerJobs :many prepared
-- across projects: look-ups of many callers share it; each names its own project.
select n.ord::int as "ord!", j.id, j.project_id, j.slug, j.name, j.enabled, j.paused or coalesce(g.paused, false) or coalesce(q.queue_paused, false) as "paused!",
       j.version, j.version_id, j.payload_schema, j.timeout_secs, j.run_ttl_secs, j.max_attempts, j.tags,
       j.default_run_metadata, j.environment_id, j.max_concurrency, j.max_concurrency_per_key, j.rate_limit_max,
       j.rate_limit_window_secs, j.dedup_window_secs, j.debounce_window_secs, j.batch_window_secs, j.batch_max_size,
       j.execution_window_cron, j.timezone, j.rate_limit_keys, q.timezone as "project_timezone?",
       coalesce(q.max_queued_runs > 0, false) as "queue_limited!",
       coalesce(q.max_daily_cost_microusd > 0 and q.cost_breach_policy = 'reject', false)
         or coalesce(b.breach_policy = 'reject', false) as "refuses_over_budget!"
  from unnest(:project_ids::text[], :refs::text[]) with ordinality as n (project_id, ref, ord)
 cross join lateral (select id from jobs where id = n.ref and project_id = n.project_id and deleting_at is null
                     union all
                     select id from jobs where project_id = n.project_id and slug = n.ref and deleting_at is null
                     limit 1) found
  join jobs j on j.id = found.id
  left join job_groups g on g.id = j.group_id
  left join project_quotas q on q.project_id = j.project_id
  left join job_budgets b on b.job_id = j.id;

-- name: findExecutionConfig :maybe prepared
-- across projects: workers serve every project; the job comes from a run they hold.
select j.id as job_id, j.project_id, j.slug, j.endpoint_signing_secret_enc,
       coalesce(v.version, j.version) as "version!",
       case when v.id is null then j.version_id else v.version_id end as "version_id?",
       case when v.id is null then j.endpoint_url else v.endpoint_url end as "endpoint_url!",
       case when v.id is null then j.fallback_endpoint_url else v.fallback_endpoint_url end as "fallback_endpoint_url?",
       case when v.id is null then j.endpoint else strait_endpoint(v.endpoint_url) end as "endpoint!",
       case when v.id is null then strait_endpoint(j.fallback_endpoint_url) else strait_endpoint(v.fallback_endpoint_url) end
         as "fallback_endpoint?",
       case when v.id is null then j.environment_id else v.environment_id end as "environment_id?",
       case when v.id is null then j.max_attempts else v.max_attempts end as "max_attempts!",
       case when v.id is null then j.timeout_secs else v.timeout_secs end as "timeout_secs!",
       case when v.id is null then j.retry_strategy else v.retry_strategy end as "retry_strategy!",
       case when v.id is null then j.retry_delays_secs else v.retry_delays_secs end as "retry_delays_secs?",
       case when v.id is null then j.retry_priority_boost else v.retry_priority_boost end as "retry_priority_boost!",
       case when v.id is null then j.poison_pill_threshold else v.poison_pill_threshold end as "poison_pill_threshold?",
       case when v.id is null then j.result_schema else v.result_schema end as "result_schema?",
       case when v.id is null then j.execution_window_cron else v.execution_window_cron end as "execution_window_cron?",
       case when v.id is null then j.timezone else v.timezone end as "timezone?",
       (select q.timezone from project_quotas q where q.project_id = j.project_id) as "project_timezone?"
  from jobs j
  left join job_versions v on v.job_id = j.id and v.version = :version and j.version <> :version
 where j.id = :job_id;
