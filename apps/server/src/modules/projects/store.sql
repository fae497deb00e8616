-- The directory of projects.

-- name: insertProject :maybe
-- No row: the id is taken, be it by a deleted project.
insert into projects (id, org_id, name)
values (coalesce(:id?, uuidv7()::text), :org_id?, :name)
on conflict (id) do nothing
returning id, org_id, name, created_at;

-- name: findProject :maybe
select id, org_id, name, created_at from projects where id = :id and deleted_at is null;

-- name: listProjects :many
-- `:id` narrows the list to one project.
select id, org_id, name, created_at
  from projects
 where deleted_at is null
   and (:id?::text is null or id = :id)
   and (:cursor_created_at?::timestamptz is null
        or (created_at, id) < (:cursor_created_at, :cursor_id?::text))
 order by created_at desc, id desc
 limit :limit;

-- name: saveCostQuota :count
-- What a project may spend; the time zone stays when none is given.
insert into project_quotas as q (project_id, max_daily_cost_microusd, max_cost_per_run_microusd, cost_breach_policy, timezone)
values (:project_id, :max_daily_cost_microusd?, :max_cost_per_run_microusd?, :breach_policy, :timezone?)
on conflict (project_id) do update
   set max_daily_cost_microusd = excluded.max_daily_cost_microusd, max_cost_per_run_microusd = excluded.max_cost_per_run_microusd,
       cost_breach_policy = excluded.cost_breach_policy, timezone = coalesce(excluded.timezone, q.timezone), updated_at = strait_now();

-- name: saveQueuePaused :maybe
-- The whole of pausing: enqueue, mover, promotion and claim read the flag. No row: it is so already.
insert into project_quotas as q (project_id, queue_paused)
select :project_id, true where :paused::bool or exists (select from project_quotas p where p.project_id = :project_id and p.queue_paused)
on conflict (project_id) do update set queue_paused = :paused::bool, updated_at = strait_now() where q.queue_paused <> :paused::bool
returning q.project_id;

-- name: findQueuePaused :maybe
select queue_paused from project_quotas where project_id = :project_id;

-- name: findQuotas :maybe
select project_id, max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs, max_cost_per_run_microusd,
       max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone, updated_at
  from project_quotas where project_id = :project_id;

-- name: lockQuotas :maybe
-- Whoever changes limits waits for whoever is changing them.
select project_id, max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs, max_cost_per_run_microusd,
       max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone, updated_at
  from project_quotas where project_id = :project_id for no key update;

-- name: saveQuotas :one
insert into project_quotas as q (project_id, max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs,
       max_cost_per_run_microusd, max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone)
values (:project_id, :max_queued_runs?, :max_executing_runs?, :max_jobs?, :max_active_event_triggers?, :event_buffer_secs?,
       :max_cost_per_run_microusd?, :max_daily_cost_microusd?, :rate_limit_requests?, :rate_limit_window_secs?, :timezone?)
on conflict (project_id) do update
   set (max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs, max_cost_per_run_microusd,
        max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone, updated_at) =
       (excluded.max_queued_runs, excluded.max_executing_runs, excluded.max_jobs, excluded.max_active_event_triggers,
        excluded.event_buffer_secs, excluded.max_cost_per_run_microusd, excluded.max_daily_cost_microusd, excluded.rate_limit_requests,
        excluded.rate_limit_window_secs, excluded.timezone, strait_now())
returning project_id, max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs, max_cost_per_run_microusd,
          max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone, updated_at;
