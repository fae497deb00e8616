-- Budgets as they are set. What they did today is in the queue's books.

-- name: findProjectBudget :one
-- A project without quotas has no budget; its day is that of UTC.
select nullif(q.timezone, '') as "timezone?", nullif(q.max_daily_cost_microusd, 0) as "max_daily_cost_microusd?",
       nullif(q.max_cost_per_run_microusd, 0) as "max_cost_per_run_microusd?", coalesce(q.cost_breach_policy, 'reject') as "breach_policy!"
  from (select 1) one left join project_quotas q on q.project_id = :project_id;

-- name: findJobBudget :maybe
-- By id or slug.
select j.id as job_id, nullif(q.timezone, '') as "timezone?", b.max_daily_cost_microusd as "max_daily_cost_microusd?",
       b.max_daily_cost_per_key_microusd as "max_daily_cost_per_key_microusd?", b.cost_estimate_microusd as "cost_estimate_microusd?",
       coalesce(b.breach_policy, 'wait') as "breach_policy!", strait_reserve(j.project_id, j.id) as "reserve_microusd!"
  from jobs j left join job_budgets b on b.job_id = j.id left join project_quotas q on q.project_id = j.project_id
 where j.project_id = :project_id and (j.id = :job or j.slug = :job) and j.deleting_at is null
 order by j.id = :job desc limit 1;

-- name: saveJobBudget :count
insert into job_budgets as b (job_id, project_id, max_daily_cost_microusd, max_daily_cost_per_key_microusd, cost_estimate_microusd,
       breach_policy, updated_by)
values (:job_id, :project_id, :max_daily_cost_microusd?, :max_daily_cost_per_key_microusd?, :cost_estimate_microusd?, :breach_policy, :actor_id)
on conflict (job_id) do update
   set max_daily_cost_microusd = excluded.max_daily_cost_microusd, max_daily_cost_per_key_microusd = excluded.max_daily_cost_per_key_microusd,
       cost_estimate_microusd = excluded.cost_estimate_microusd, breach_policy = excluded.breach_policy,
       updated_by = excluded.updated_by, updated_at = strait_now()
 where b.project_id = :project_id;
