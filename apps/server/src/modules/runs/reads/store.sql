-- Reading runs and what hangs off them. Lists are a closed set of statements, one per index that can
-- serve them, and unprepared, so that they are planned with their values. No list sorts a project's history:
-- job_runs has no index (project, time), so a project's runs are merged from the 13 states' own orders.

-- name: findRun :maybe
-- `held`: parked in the reserved lane 0, until somebody resumes it.
select r.*, exists (select from run_parked p where p.run_id = r.id and p.lane_id = 0) as "held!"
  from job_runs r
 where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id;

-- name: findRunRef :maybe
select r.id, r.status, r.job_id from job_runs r
 where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id;

-- name: listRunsByStatus :many
-- One index range per state, each in list order, merged.
select r.* from unnest(:statuses::text[]) as s(status) cross join lateral (
  select x.* from job_runs x
   where x.project_id = :project_id and x.status = s.status
     and (:before_created_at?::timestamptz is null or x.created_at <= :before_created_at?::timestamptz)
     and (:before_created_at?::timestamptz is null or (x.created_at, x.id) < (:before_created_at?::timestamptz, :before_id?::text))
     and (:from?::timestamptz is null or x.created_at >= :from?::timestamptz)
     and (:to?::timestamptz is null or x.created_at < :to?::timestamptz)
     and (:triggered_by?::text is null or x.triggered_by = :triggered_by?)
     and (:error_class?::text is null or x.error_class = :error_class?)
     and (:execution_mode?::text is null or x.execution_mode = :execution_mode?)
     and (:tags?::jsonb is null or x.tags @> :tags?::jsonb)
     and (:tag_key?::text is null or x.tags ? :tag_key?)
     and (:metadata_key?::text is null or x.metadata ? :metadata_key?)
   order by x.created_at desc, x.id desc
   limit :limit::int) r
 order by r.created_at desc, r.id desc
 limit :limit::int;

-- name: listRunsOfJob :many
select r.* from job_runs r
 where r.job_id = :job_id and r.project_id = :project_id
   and (:before_created_at?::timestamptz is null or r.created_at <= :before_created_at?::timestamptz)
   and (:before_created_at?::timestamptz is null or (r.created_at, r.id) < (:before_created_at?::timestamptz, :before_id?::text))
   and (:from?::timestamptz is null or r.created_at >= :from?::timestamptz)
   and (:to?::timestamptz is null or r.created_at < :to?::timestamptz)
   and r.status = any (:statuses::text[])
   and (:triggered_by?::text is null or r.triggered_by = :triggered_by?)
   and (:error_class?::text is null or r.error_class = :error_class?)
   and (:execution_mode?::text is null or r.execution_mode = :execution_mode?)
   and (:tags?::jsonb is null or r.tags @> :tags?::jsonb)
   and (:tag_key?::text is null or r.tags ? :tag_key?)
   and (:metadata_key?::text is null or r.metadata ? :metadata_key?)
 order by r.created_at desc, r.id desc
 limit :limit::int;

-- name: listRunsFound :many
-- For filters that name few runs by an index of their own: batch, parent, metadata or payload containment.
-- `materialized` keeps the planner from walking the project's history in search of a rare match.
with found as materialized (
  select f.id, f.created_at from job_runs f
   where f.project_id = :project_id
     and (:batch_id?::text is null or f.batch_id = :batch_id?)
     and (:parent_run_id?::text is null or f.parent_run_id = :parent_run_id?)
     and (:metadata?::jsonb is null or f.metadata @> :metadata?::jsonb)
     and (:payload_contains_json?::jsonb is null or f.payload @> :payload_contains_json?::jsonb)
     and (:job_id?::text is null or f.job_id = :job_id?)
     and (:before_created_at?::timestamptz is null or f.created_at <= :before_created_at?::timestamptz)
     and (:before_created_at?::timestamptz is null or (f.created_at, f.id) < (:before_created_at?::timestamptz, :before_id?::text))
     and (:from?::timestamptz is null or f.created_at >= :from?::timestamptz)
     and (:to?::timestamptz is null or f.created_at < :to?::timestamptz)
     and f.status = any (:statuses::text[])
     and (:triggered_by?::text is null or f.triggered_by = :triggered_by?)
     and (:error_class?::text is null or f.error_class = :error_class?)
     and (:execution_mode?::text is null or f.execution_mode = :execution_mode?)
     and (:tags?::jsonb is null or f.tags @> :tags?::jsonb)
     and (:tag_key?::text is null or f.tags ? :tag_key?)
     and (:metadata_key?::text is null or f.metadata ? :metadata_key?)
), first_ones as (
  select id, created_at from found order by created_at desc, id desc limit :limit::int
)
select r.* from first_ones p join job_runs r on r.id = p.id and r.created_at = p.created_at
 where r.project_id = :project_id
 order by r.created_at desc, r.id desc;

-- name: listChildren :many
select r.* from job_runs r
 where r.parent_run_id = :run_id and r.project_id = :project_id
   and (:after_created_at?::timestamptz is null or (r.created_at, r.id) > (:after_created_at?::timestamptz, :after_id?::text))
 order by r.created_at, r.id
 limit :limit::int;

-- name: listLineage :many
-- Up through at most 20 runs that this one continues, then everything that continues the first of them. At
-- most 1,000 runs are looked at.
with recursive up (id, continuation_of, level) as (
  select r.id, r.continuation_of, 0 from job_runs r
   where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id
  union all
  select r.id, r.continuation_of, up.level + 1
    from up join job_runs r on r.id = up.continuation_of and r.created_at = strait_id_time(up.continuation_of)
   where r.project_id = :project_id and up.level < 20
), down (id, level) as (
  (select up.id, 0 from up order by up.level desc limit 1)
  union all
  select r.id, down.level + 1
    from down join job_runs r on r.continuation_of = down.id and r.project_id = :project_id
   where down.level < 40
), known as materialized (select id from down limit 1000)
select r.* from known k join job_runs r on r.id = k.id and r.created_at = strait_id_time(k.id)
 where r.project_id = :project_id
   and (:after_depth?::int is null or (r.lineage_depth, r.created_at, r.id) > (:after_depth?::int, :after_created_at::timestamptz, :after_id::text))
 order by r.lineage_depth, r.created_at, r.id
 limit :limit::int;

-- name: listEvents :many
select e.id, e.run_id, e.type, e.level, coalesce(e.message, '') as "message!", e.data, e.created_at
  from run_events e
  join job_runs r on r.id = e.run_id and r.created_at = e.run_created_at
 where e.run_id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id
   and (:level?::text is null or e.level = :level?)
   and (:type?::text is null or e.type = :type?)
   and (:after_created_at?::timestamptz is null or (e.created_at, e.id) > (:after_created_at?::timestamptz, :after_id?::text))
 order by e.created_at, e.id
 limit :limit::int;

-- name: listCheckpoints :many
-- Newest first. The position is the checkpoint with :before_id, or else a plain time.
select c.id, c.run_id, c.sequence, c.source, c.state, c.created_at
  from run_checkpoints c
  join job_runs r on r.id = c.run_id and r.created_at = c.run_created_at
 where c.run_id = :run_id and r.project_id = :project_id
   and (:before_created_at?::timestamptz is null
        or c.sequence < (select b.sequence from run_checkpoints b where b.run_id = :run_id and b.id = :before_id?::text)
        or (:before_id? = '' and c.created_at < :before_created_at?::timestamptz))
 order by c.sequence desc
 limit :limit::int;

-- name: listUsage :many
select u.id, u.run_id, u.provider, u.model, u.prompt_tokens, u.completion_tokens, u.total_tokens, u.cost_microusd, u.created_at
  from run_usage u
  join job_runs r on r.id = u.run_id and r.created_at = u.run_created_at
 where u.run_id = :run_id and r.project_id = :project_id
   and (:before_created_at?::timestamptz is null or (u.created_at, u.id) < (:before_created_at?::timestamptz, :before_id?::text))
 order by u.created_at desc, u.id desc
 limit :limit::int;

-- name: listToolCalls :many
select t.id, t.run_id, t.tool_name, t.input, t.output, t.duration_ms, t.status, t.created_at
  from run_tool_calls t
  join job_runs r on r.id = t.run_id and r.created_at = t.run_created_at
 where t.run_id = :run_id and r.project_id = :project_id
   and (:before_created_at?::timestamptz is null or (t.created_at, t.id) < (:before_created_at?::timestamptz, :before_id?::text))
 order by t.created_at desc, t.id desc
 limit :limit::int;

-- name: listOutputs :many
-- By key. The position is the output with :after_id, or else a plain time.
select o.id, o.run_id, o.output_key, o.schema, o.value, o.created_at
  from run_outputs o
  join job_runs r on r.id = o.run_id and r.created_at = o.run_created_at
 where o.run_id = :run_id and r.project_id = :project_id
   and (:after_created_at?::timestamptz is null
        or o.output_key > (select b.output_key from run_outputs b where b.run_id = :run_id and b.id = :after_id?::text)
        or (:after_id? = 'zzzz' and o.created_at > :after_created_at?::timestamptz))
 order by o.output_key
 limit :limit::int;

-- name: listState :many
select s.run_id, s.state_key, s.value, s.updated_at
  from run_state s
  join job_runs r on r.id = s.run_id and r.created_at = s.run_created_at
 where s.run_id = :run_id and r.project_id = :project_id
 order by s.state_key;

-- name: countRunsByStatus :many
-- Counts to :cap per state, from the index on (project, state).
select s.status as "status!", c.runs as "runs!"
  from unnest(:statuses::text[]) as s(status) cross join lateral (
       select count(*) as runs
         from (select from job_runs r where r.project_id = :project_id and r.status = s.status limit :cap::int) x) c;
