-- What a run writes about itself: checkpoints, state, outputs, usage, tool calls. Every caller has locked the
-- run's lease in the same transaction, and where something is counted the run as well (queue's serializeRun).

-- name: findRun :maybe
select r.* from job_runs r
 where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id;

-- name: findPayload :maybe
select r.payload from job_runs r
 where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id;

-- name: addCheckpoint :one
-- across projects: the caller holds the lease of this run.
insert into run_checkpoints (run_id, sequence, source, state)
select :run_id, coalesce((select max(c.sequence) from run_checkpoints c where c.run_id = :run_id), 0) + 1, :source, :state_json::jsonb
returning id, run_id, sequence, source, state, created_at;

-- name: addUsage :maybe
-- Without a cost, that of the newest active price: micro-USD per million tokens, rounded half-up once. No row:
-- with this record the run would have cost as much as its project allows per run.
with price as materialized (
  select p.input_cost_microusd, p.output_cost_microusd from pricing_catalog p
   where p.provider = :provider and p.model = :model and p.active and p.effective_from <= strait_now()
   order by p.effective_from desc limit 1
), cost as materialized (
  select coalesce(:cost_microusd?::bigint,
                  (select round((:prompt_tokens::int::numeric * input_cost_microusd + :completion_tokens::int::numeric * output_cost_microusd) / 1000000) from price),
                  0)::bigint as microusd
), budget as materialized (
  select q.max_cost_per_run_microusd as microusd from project_quotas q
   where q.project_id = :project_id and q.max_cost_per_run_microusd > 0
)
insert into run_usage (run_id, provider, model, prompt_tokens, completion_tokens, total_tokens, cost_microusd)
select :run_id, :provider, :model, :prompt_tokens, :completion_tokens, :total_tokens, cost.microusd
  from cost
 where not exists (select from budget)
    or (select coalesce(sum(u.cost_microusd), 0) from run_usage u where u.run_id = :run_id) + cost.microusd < (select microusd from budget)
returning id, run_id, provider, model, prompt_tokens, completion_tokens, total_tokens, cost_microusd, created_at;

-- name: addToolCall :one
-- across projects: the caller holds the lease of this run.
insert into run_tool_calls (run_id, tool_name, input, output, duration_ms, status)
values (:run_id, :tool_name, :input_json?::jsonb, :output_json?::jsonb, :duration_ms?, :status)
returning id, run_id, tool_name, input, output, duration_ms, status, created_at;

-- name: saveOutput :maybe
-- across projects: the caller holds the lease of this run.
-- No row: the run holds as many outputs as it may, and this would be another.
insert into run_outputs (run_id, output_key, schema, value)
select :run_id, :output_key, :schema_json?::jsonb, :value_json::jsonb
 where exists (select from run_outputs o where o.run_id = :run_id and o.output_key = :output_key)
    or (select count(*) from run_outputs o where o.run_id = :run_id) < :max_outputs::int
on conflict (run_id, output_key) do update set schema = excluded.schema, value = excluded.value
returning id, run_id, output_key, schema, value, created_at;

-- name: saveState :maybe
-- across projects: the caller holds the lease of this run.
-- No row: the run holds as many keys as it may, and this would be another.
insert into run_state (run_id, state_key, value)
select :run_id, :state_key, :value_json::jsonb
 where exists (select from run_state s where s.run_id = :run_id and s.state_key = :state_key)
    or (select count(*) from run_state s where s.run_id = :run_id) < :max_keys::int
on conflict (run_id, state_key) do update set value = excluded.value, updated_at = strait_now()
returning run_id, state_key, value, updated_at;

-- name: listState :many
-- across projects: the caller holds the lease of this run.
select run_id, state_key, value, updated_at from run_state where run_id = :run_id order by state_key;

-- name: findState :maybe
-- across projects: the caller holds the lease of this run.
select run_id, state_key, value, updated_at from run_state where run_id = :run_id and state_key = :state_key;

-- name: removeState :count
-- across projects: the caller holds the lease of this run.
delete from run_state where run_id = :run_id and state_key = :state_key;

-- name: countChildren :one
-- across projects: a run may spawn into another project; counted up to :cap.
select count(*)::int as "children!" from (select from job_runs where parent_run_id = :run_id limit :cap::int) c;
