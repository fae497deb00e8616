-- The life of a run, one statement per verb. Each statement is one batch and one transaction: state,
-- place row, lease and events change together. Place rows go first: whoever deletes one owns the
-- transition. Status guards read `(status = x) IS TRUE` so that no index can match them, and runs are
-- addressed by `id = any(ids)` plus the batch's created_at range (primary key, pruned partitions). An end locks its roots
-- before it frees an idempotency key: a transaction that enqueued may hold the root and ask for that key next.

-- name: enqueueRuns :many prepared
-- across projects: one batch mixes triggers of many callers; each row joins its job by project.
-- Inserts the runs with their place, idempotency row and first event. An input without a row in the
-- answer was not created: its job is gone or disabled, or another run holds its idempotency key.
-- The key share on the job (which the foreign key takes anyway) makes a deletion under way exact: whoever waited for it
-- looks at the job again. What a limit of the job, of its key or of the project concerns, a pause, an endpoint that is closed or has a limit, takes its
-- slots at once where there is room (strait_admit), or waits in run_parked for them; nobody waits for a lane here. A run of a job with dependencies that are not met goes to `waiting`; it is
-- judged again once it is visible (`unchecked`), so an end that was not visible here is not missed. Every new run takes room
-- from a project that counts what is queued, and is noted where payloads are compared, whoever makes it; whether it may come
-- in was asked before.
with input as materialized (
  select n.*, strait_run_id() as id, n.payload::jsonb as payload_value,
         coalesce((n.extra ->> 'job_version')::int, j.version) as version,
         case when n.extra ->> 'job_version' is null then j.version_id else n.extra ->> 'job_version_id' end as version_id,
         coalesce(j.tags || (n.extra -> 'tags'), j.tags) as tags,
         coalesce(j.default_run_metadata || (n.extra -> 'metadata'), j.default_run_metadata) as metadata,
         (n.extra ->> 'scheduled_at')::timestamptz as scheduled_at,
         coalesce(nullif((n.extra ->> 'ttl_secs')::int, 0), nullif(j.run_ttl_secs, 0), nullif(:default_ttl_secs::int, 0)) as ttl_secs,
         j.max_concurrency > 0 or (j.max_concurrency_per_key > 0 and n.extra ->> 'concurrency_key' <> '') or q.max_executing_runs > 0
           or q.max_daily_cost_microusd > 0 or b.job_id is not null or j.has_key_limits or j.paused or coalesce(g.paused, false) or coalesce(q.queue_paused, false)
           or coalesce(a.closed or a.max_in_flight is not null, false) as limited,
         case when j.max_concurrency_per_key > 0 or j.has_key_limits or b.max_daily_cost_per_key_microusd > 0
              then coalesce(n.extra ->> 'concurrency_key', '') else '' end as limited_key,
         case when j.has_dependencies then strait_matching(n.idempotency_key, coalesce(n.extra ->> 'triggered_by', ''),
           j.default_run_metadata || coalesce(n.extra -> 'metadata', '{}')) end as matching,
         q.max_queued_runs > 0 as counted, j.dedup_window_secs > 0 as remembered
    from unnest(:job_ids::text[], :project_ids::text[], :payloads::text[], :priorities::int[],
                :idempotency_keys::text[], :payload_hashes::text[], :extras::jsonb[])
         with ordinality as n(job_id, project_id, payload, priority, idempotency_key, payload_hash, extra, ord)
    join jobs j on j.id = n.job_id and j.project_id = n.project_id and j.enabled
    left join job_groups g on g.id = j.group_id
    left join project_quotas q on q.project_id = j.project_id
    left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
    left join job_budgets b on b.job_id = j.id
     for key share of j
), claimed as (
  insert into job_run_idempotency as held (job_id, idempotency_key, run_id, payload_hash, created_at)
  select distinct on (job_id, idempotency_key) job_id, idempotency_key, id, payload_hash, strait_now()
    from input where idempotency_key is not null order by job_id, idempotency_key, ord
  on conflict (job_id, idempotency_key) do update
     set run_id = excluded.run_id, payload_hash = excluded.payload_hash, created_at = excluded.created_at, expires_at = null
   where held.expires_at <= strait_now()
  returning held.run_id
), judged as materialized (
  select *, case when scheduled_at > strait_now() then 'delayed'
                 when matching is not null and not strait_dependencies_met(job_id, matching) then 'waiting' else 'queued' end as status
    from input
   where idempotency_key is null or id = any (array(select run_id from claimed))
   order by ord
), site as materialized (
  select limited_key as key, job_id, project_id, count(*)::int as n -- by key first: in a batch that is what differs
    from judged where limited and status = 'queued' group by 1, 2, 3 order by 1, 2, 3
), placed as materialized (
  -- By job and key the lane, negative where its runs wait; and the root of those.
  select jsonb_object_agg(a.job_id || ' ' || a.concurrency_key, case when a.admitted then a.lane_id else - a.lane_id end) as by_site,
         jsonb_object_agg(a.lane_id, a.root_lane_id) filter (where not a.admitted and a.lane_id is not null) as roots
    from strait_admit(array(select project_id from site), array(select job_id from site), array(select key from site), array(select n from site)) a
   where exists (select from site)
), accepted as materialized (
  select j.*, abs(j.place) as lane_id, j.status = 'queued' and coalesce(j.place > 0, true) as starts,
         case when j.place < 0 then ((select roots from placed) ->> (- j.place)::text)::bigint end as root_lane_id
    from (select *, case when limited and status = 'queued'
                         then ((select by_site from placed) ->> (job_id || ' ' || limited_key))::bigint end as place,
                 greatest(strait_now(), scheduled_at)
                   + coalesce(make_interval(secs => ttl_secs), case when status = 'waiting' then strait_dependency_wait() end) as expires_at
            from judged) j
   order by ord
), room_locks as materialized (
  select project_id from queued_room where project_id = any (array(select project_id from accepted where counted)) order by project_id for no key update
), charged as (
  update queued_room r set room = r.room - a.n
    from (select project_id, count(*)::int as n from accepted where counted group by project_id) a
   where r.project_id = a.project_id and r.project_id = any (array(select project_id from room_locks))
), noted as (
  insert into recent_payloads as p (job_id, payload_hash, run_id, created_at)
  select distinct on (job_id, hash) job_id, hash, id, strait_id_time(id)
    from (select a.job_id, a.id, a.ord, encode(sha256(convert_to(a.payload_value::text, 'UTF8')), 'hex') as hash from accepted a where a.remembered) h
   order by job_id, hash, ord desc
  on conflict (job_id, payload_hash) do update set run_id = excluded.run_id, created_at = excluded.created_at
), runs as (
  insert into job_runs (id, created_at, job_id, project_id, status, payload, priority, triggered_by, scheduled_at, expires_at,
         tags, metadata, idempotency_key, concurrency_key, job_version, job_version_id, created_by, parent_run_id,
         continuation_of, lineage_depth, batch_id, debug_mode, max_attempts_override, timeout_secs_override,
         retry_backoff, retry_initial_delay_secs, retry_max_delay_secs, workflow_step_run_id)
  select id, strait_id_time(id), job_id, project_id, status,
         payload_value, priority, coalesce(extra ->> 'triggered_by', 'manual'), scheduled_at, expires_at,
         tags, metadata, idempotency_key, extra ->> 'concurrency_key', version, version_id, extra ->> 'created_by',
         extra ->> 'parent_run_id', extra ->> 'continuation_of', coalesce((extra ->> 'lineage_depth')::int, 0),
         extra ->> 'batch_id', coalesce((extra ->> 'debug_mode')::boolean, false), (extra ->> 'max_attempts_override')::int,
         (extra ->> 'timeout_secs_override')::int, extra ->> 'retry_backoff', (extra ->> 'retry_initial_delay_secs')::int,
         (extra ->> 'retry_max_delay_secs')::int, extra ->> 'workflow_step_run_id'
    from accepted
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id)
  select project_id, (extract(epoch from strait_id_time(id)) * 1000)::bigint - priority * :aging_ms::bigint, id, strait_id_time(id), job_id, 1, lane_id
    from accepted where starts order by id
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, (extract(epoch from strait_id_time(id)) * 1000)::bigint - priority * :aging_ms::bigint, id, strait_id_time(id), job_id, 1,
         lane_id, root_lane_id
    from accepted where lane_id is not null and not starts order by id
), later as (
  insert into run_delayed (due_at, project_id, rank, run_id, run_created_at, job_id, attempt, reason)
  select scheduled_at, project_id, (extract(epoch from scheduled_at) * 1000)::bigint - priority * :aging_ms::bigint,
         id, strait_id_time(id), job_id, 1, extra -> 'delayed_by'
    from accepted where status = 'delayed'
), dependents as (
  insert into run_waiting (run_id, run_created_at, attempt, claim_seq, job_id, matching, ttl_secs, expires_at, unchecked)
  select id, strait_id_time(id), 1, 0, job_id, matching, ttl_secs, expires_at, true from accepted where status = 'waiting'
), told as (
  insert into run_events (run_id, type, level, message, data, created_at)
  select id, 'state_change', 'info', status, jsonb_build_object('from', null, 'to', status, 'attempt', 1), strait_id_time(id)
    from accepted
), woken as materialized (
  select pg_notify('run_wake', case when exists (select from accepted where status = 'delayed') then 'due' else 'ready' end)
   where exists (select from accepted where starts or status = 'delayed')
  union all select pg_notify('run_ended', '') where exists (select from accepted where status = 'waiting')
  union all select pg_notify('run_promote', root_lane_id::text) from accepted where lane_id is not null and not starts group by root_lane_id
)
select i.ord::int as "ord!", i.id as "id!", strait_id_time(i.id) as "created_at!", i.priority as "priority!",
       i.status as "status!", i.scheduled_at as "scheduled_at?", i.expires_at as "expires_at?",
       (select count(*) from woken)::int as "woken!"
  from accepted i;

-- name: claimRuns :many prepared
-- across projects: workers serve every project, fairly.
-- Takes up to :limit startable runs, round-robin over the projects after :cursor (wrapping once), best
-- rank first inside a project. The lease is durable when this returns. `verdict` other than 'go' must
-- be settled at once by settleVerdicts. The cursor of the next claim is `last_project_id`, the same in every row. `probe`: the
-- one run that a closed endpoint was promised; it has to enter (admission/) before it is sent.
with recursive turn (project_id, wrapped, n) as (
  select x.project_id, x.wrapped, 1
    from ((select q.project_id, false as wrapped from run_queue q where q.project_id > :cursor::text order by q.project_id limit 1)
          union all
          (select q.project_id, true from run_queue q where q.project_id <= :cursor::text order by q.project_id limit 1)
          limit 1) x
  union all
  -- Bounds are index conditions, never filters: a filter reads the whole backlog to learn that nothing is left.
  select y.project_id, y.wrapped, turn.n + 1
    from turn cross join lateral (
         (select q.project_id, false as wrapped from run_queue q
           where not turn.wrapped and q.project_id > turn.project_id order by q.project_id limit 1)
         union all
         (select q.project_id, true from run_queue q
           where not turn.wrapped and q.project_id <= :cursor::text order by q.project_id limit 1)
         union all
         (select q.project_id, true from run_queue q
           where turn.wrapped and q.project_id > turn.project_id and q.project_id <= :cursor::text order by q.project_id limit 1)
         limit 1) y
   where turn.n < :limit::int
), pick as materialized (
  select x.ctid as place, turn.n, turn.project_id
    from turn cross join lateral (
         select q.ctid from run_queue q where q.project_id = turn.project_id
          order by q.rank, q.seq
          limit ceil(:limit::numeric / (select count(*) from turn)) for update skip locked) x
   limit :limit::int
), taken as materialized (
  delete from run_queue where ctid = any (array(select place from pick))
  returning run_id, run_created_at, attempt, seq, lane_id
), lease as (
  insert into run_active (worker_id, run_id, run_created_at, attempt, claim_seq, lane_id, started_at)
  select :worker_id::int, run_id, run_created_at, attempt, seq, lane_id, strait_now() from taken
), levels as materialized (
  select jsonb_object_agg(l.lane_id, case when l.concurrency_key is not null then 3 when l.job_id is not null then 2 else 1 end) as by_lane
    from lanes l where l.lane_id = any (array(select t.lane_id from taken t where t.lane_id is not null group by 1))
), claims as materialized (
  -- One number per run: four times its claim, and the level of its lane.
  select jsonb_object_agg(run_id, seq * 4 + coalesce(((select by_lane from levels) ->> lane_id::text)::int, 0)) as by_id,
         min(run_created_at) as lo, max(run_created_at) as hi from taken
)
select r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.payload::text as "payload?",
       c.claim / 4 as "claim_seq!", strait_now() as "claimed_at!", r.job_version, r.job_version_id, j.version as live_version, j.version_policy, j.backwards_compatible,
       r.started_at as "started_before?", r.scheduled_at, r.next_retry_at, r.error, r.metadata, r.debug_mode,
       r.max_attempts_override, r.timeout_secs_override, r.retry_backoff, r.retry_initial_delay_secs, r.retry_max_delay_secs,
       (select project_id from pick order by n desc limit 1) as "last_project_id!",
       case when (r.status = 'queued') is not true then 'drop'
            when r.expires_at <= strait_now() then 'expire'
            when not j.enabled or j.paused or coalesce(g.paused, false) or coalesce(q.queue_paused, false) then 'park'
            when a.closed and a.probe_run_id is distinct from r.id then 'park'
            -- Counted in a lane that is too wide for what limits it now, or in none (strait_lane_level).
            when c.claim % 4 <
                 case when r.concurrency_key <> '' and (j.max_concurrency_per_key > 0 or j.has_key_limits or b.max_daily_cost_per_key_microusd > 0) then 3
                      when j.max_concurrency > 0 or j.has_key_limits or a.max_in_flight is not null then 2
                      when q.max_executing_runs > 0 then 1 else 0 end then 'park'
            -- Nothing is dispatched whose money is not reserved.
            when (q.max_daily_cost_microusd > 0 or b.max_daily_cost_microusd > 0
                  or (b.max_daily_cost_per_key_microusd > 0 and r.concurrency_key <> ''))
                 and not exists (select from cost_reservations v where v.run_id = r.id) then 'park'
            else 'go' end as "verdict!",
       j.endpoint as "live_endpoint!", coalesce(a.closed, false) as "probe!"
  from job_runs r
 cross join lateral (select ((select by_id from claims) ->> r.id)::bigint as claim offset 0) c
  join jobs j on j.id = r.job_id
  left join job_groups g on g.id = j.group_id
  left join project_quotas q on q.project_id = j.project_id
  left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
  left join job_budgets b on b.job_id = j.id
 where r.id = any (array(select run_id from taken))
   and r.created_at >= (select lo from claims) and r.created_at <= (select hi from claims);

-- name: anyReady :one prepared
-- across projects: workers serve every project.
select exists (select from run_queue) as "some!";

-- name: completeRuns :many prepared
-- across projects: fenced by the lease of exactly this claim.
-- A resumed or handed-back attempt keeps its first started_at. A trace is always that of the attempt that ends.
-- :facts is {run id: {c: claim_seq, s: started_at, r: result, t: execution trace, v: [version, version_id],
-- d: event data}}. Ids missing in the answer were fenced off: somebody else owns the run now.
with gone as (
  delete from run_active
   where run_id = any (:run_ids::text[]) and claim_seq = (:facts_json::jsonb -> run_id ->> 'c')::bigint
  returning run_id, attempt, started_at, marked, lane_id
), done as (
  update job_runs r
     set status = 'completed', finished_at = strait_now(), expires_at = null, next_retry_at = null,
         error = null, error_class = null,
         claimed_at = (:facts_json::jsonb -> r.id ->> 's')::timestamptz,
         started_at = coalesce(r.started_at, (:facts_json::jsonb -> r.id ->> 's')::timestamptz),
         result = :facts_json::jsonb -> r.id -> 'r',
         execution_trace = :facts_json::jsonb -> r.id -> 't',
         job_version = coalesce((:facts_json::jsonb -> r.id -> 'v' ->> 0)::int, r.job_version),
         job_version_id = coalesce(:facts_json::jsonb -> r.id -> 'v' ->> 1, r.job_version_id)
   where r.id = any (array(select run_id from gone))
     and r.created_at >= :created_from::timestamptz and r.created_at <= :created_to::timestamptz
     and (r.status = any ('{queued,dequeued,executing}')) is true
  returning r.id, r.created_at, r.workflow_step_run_id, r.project_id, r.job_id, r.attempt, r.idempotency_key
), told as (
  insert into run_events (run_id, type, level, message, data, created_at)
  select run_id, 'state_change', 'info', 'executing',
         jsonb_build_object('from', 'queued', 'to', 'executing', 'attempt', attempt), started_at
    from gone where not marked
  union all
  select id, 'state_change', 'info', 'completed',
         jsonb_build_object('from', 'executing', 'to', 'completed', 'attempt', attempt) || coalesce(:facts_json::jsonb -> id -> 'd', '{}'),
         strait_now()
    from done
), noted as (
  insert into run_endings (run_id, run_created_at, job_id, project_id, status, attempt, error, error_class)
  select id, created_at, job_id, project_id, 'completed', attempt, null, null from done
   where job_id = any (array(select id from jobs where followed and id = any (array(select job_id from done))))
  returning run_id
), stepped as (
  insert into step_endings (run_id, run_created_at, workflow_step_run_id, status)
  select id, created_at, workflow_step_run_id, 'completed' from done where workflow_step_run_id is not null returning run_id
), slots as materialized (
  select l.counted_lane_id as lane_id, l.root_lane_id, sum(x.n)::int as n
    from (select lane_id, count(*)::int as n from gone where lane_id is not null group by lane_id) x join lane_levels l on l.lane_id = x.lane_id
   group by 1, 2
), root_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select root_lane_id from slots)) order by lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.root_lane_id = any (array(select lane_id from root_locks))
), freed as (
  update job_run_idempotency i set expires_at = strait_now() + make_interval(secs => :idempotency_retention_secs::int)
    from done where done.idempotency_key is not null and (select count(*) from root_locks) is not null
     and i.job_id = done.job_id and i.idempotency_key = done.idempotency_key and i.run_id = done.id
), live as materialized (
  select pg_notify('run_live', '') where exists (select from done) union all select pg_notify('run_ended', '') where exists (select from noted) union all select pg_notify('step_ended', '') where exists (select from stepped)
  -- A lease that was just given a lane made since this statement began: its slot is counted again in a later one.
  union all select pg_notify('run_recount', lane_id::text) from (select lane_id from gone where lane_id is not null group by 1) g where lane_id <> all (array(select lane_id from slots))
)
select id, (select count(*) from live)::int as "told!", (select string_agg(root_lane_id::text, ' ') from (select root_lane_id from slots group by 1) s) as "freed_roots?" from done;

-- name: settleRuns :many prepared
-- across projects: fenced by the lease of exactly this claim.
-- Every other end of an attempt, as data. :facts is {run id: {c: claim_seq, to: status, s: started_at or absent
-- to clear it, n: attempt afterwards, p: priority, e: error, ec: error class, r: result, t: trace, m: metadata
-- patch, v: [version, version_id], d: event data, l: event level, w: delay in ms, y: why it is delayed so long, u: set when the
-- claim never started it, o: only while this worker owns the lease}}. A run that goes back to `queued` gets its place here: run_delayed with a
-- delay, run_queue without. What goes back without an error of its own keeps the last one; what was never started keeps
-- its start and its time to live.
with gone as (
  delete from run_active
   where run_id = any (:run_ids::text[]) and claim_seq = (:facts_json::jsonb -> run_id ->> 'c')::bigint
     and (:facts_json::jsonb -> run_id ->> 'o' is null or worker_id = (:facts_json::jsonb -> run_id ->> 'o')::int)
  returning run_id, attempt, started_at, marked, lane_id
), done as (
  update job_runs r
     set status = f.to_status,
         attempt = coalesce((f.fact ->> 'n')::int, r.attempt),
         priority = coalesce((f.fact ->> 'p')::int, r.priority),
         claimed_at = (f.fact ->> 's')::timestamptz,
         started_at = case when f.goes_back_unstarted then r.started_at
                           when f.fact ->> 's' is not null then coalesce(r.started_at, (f.fact ->> 's')::timestamptz) end,
         finished_at = case when f.to_status = 'queued' then null else strait_now() end,
         next_retry_at = strait_now() + (f.fact ->> 'w')::float8 * interval '1 ms',
         heartbeat_at = null,
         expires_at = case when f.goes_back_unstarted then r.expires_at end,
         error = coalesce(f.fact ->> 'e', case when f.to_status = 'queued' then r.error end),
         error_class = coalesce(f.fact ->> 'ec', case when f.to_status = 'queued' then r.error_class end),
         result = coalesce(f.fact -> 'r', r.result),
         metadata = r.metadata || coalesce(f.fact -> 'm', '{}'),
         execution_trace = case when f.fact ->> 'u' is null then f.fact -> 't' else r.execution_trace end,
         job_version = coalesce((f.fact -> 'v' ->> 0)::int, r.job_version),
         job_version_id = coalesce(f.fact -> 'v' ->> 1, r.job_version_id)
    from (select k.id, :facts_json::jsonb -> k.id as fact, :facts_json::jsonb -> k.id ->> 'to' as to_status,
                 :facts_json::jsonb -> k.id ->> 'to' = 'queued' and :facts_json::jsonb -> k.id ->> 'u' is not null
                   as goes_back_unstarted
            from unnest(array(select run_id from gone)) as k(id)) f
   where r.id = f.id and r.created_at >= :created_from::timestamptz and r.created_at <= :created_to::timestamptz
     and (r.status = any ('{queued,dequeued,executing}')) is true
  returning r.id, r.created_at, r.workflow_step_run_id, r.project_id, r.job_id, r.status, r.attempt, r.priority, r.scheduled_at, r.next_retry_at, r.idempotency_key, r.error,
            r.error_class, r.concurrency_key
), later as (
  insert into run_delayed (due_at, project_id, rank, run_id, run_created_at, job_id, attempt, reason)
  select next_retry_at, project_id, (extract(epoch from next_retry_at) * 1000)::bigint - priority * :aging_ms::bigint,
         id, created_at, job_id, attempt, :facts_json::jsonb -> id -> 'y'
    from done where status = 'queued' and next_retry_at is not null
), placed as materialized (
  select b.*, strait_place(b.project_id, b.job_id, b.concurrency_key) as place
    from done b where b.status = 'queued' and b.next_retry_at is null
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * :aging_ms::bigint, id, created_at, job_id, attempt from placed where place is null
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * :aging_ms::bigint, id, created_at, job_id, attempt, place[1], place[2] from placed where place is not null
), told as (
  insert into run_events (run_id, type, level, message, data, created_at)
  select run_id, 'state_change', 'info', 'executing',
         jsonb_build_object('from', 'queued', 'to', 'executing', 'attempt', attempt), started_at
    from gone where not marked and :facts_json::jsonb -> run_id ->> 'u' is null
  union all
  select id, 'state_change', coalesce(:facts_json::jsonb -> id ->> 'l', 'info'), coalesce(error, status),
         jsonb_build_object('from', case when :facts_json::jsonb -> id ->> 'u' is null then 'executing' else 'queued' end, 'to', status)
           || coalesce(:facts_json::jsonb -> id -> 'd', '{}'),
         strait_now()
    from done
), noted as (
  insert into run_endings (run_id, run_created_at, job_id, project_id, status, attempt, error, error_class)
  select id, created_at, job_id, project_id, status, attempt, error, error_class from done
   where status <> 'queued' and job_id = any (array(select id from jobs where followed and id = any (array(select job_id from done))))
  returning run_id
), stepped as (
  insert into step_endings (run_id, run_created_at, workflow_step_run_id, status)
  select id, created_at, workflow_step_run_id, status from done where workflow_step_run_id is not null and status <> 'queued' returning run_id
), slots as materialized (
  select l.counted_lane_id as lane_id, l.root_lane_id, sum(x.n)::int as n
    from (select lane_id, count(*)::int as n from gone where lane_id is not null group by lane_id) x join lane_levels l on l.lane_id = x.lane_id
   group by 1, 2
), root_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select root_lane_id from slots)) order by lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.root_lane_id = any (array(select lane_id from root_locks))
), freed as (
  update job_run_idempotency i set expires_at = strait_now() + make_interval(secs => :idempotency_retention_secs::int)
    from done where done.idempotency_key is not null and (select count(*) from root_locks) is not null and done.status <> 'queued'
     and i.job_id = done.job_id and i.idempotency_key = done.idempotency_key and i.run_id = done.id
), live as materialized (
  select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_ended', '') where exists (select from noted)
  union all select pg_notify('step_ended', '') where exists (select from stepped)
  union all select pg_notify('run_wake', 'due') where exists (select from done where status = 'queued')
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
  union all select pg_notify('run_recount', lane_id::text) from (select lane_id from gone where lane_id is not null group by 1) g where lane_id <> all (array(select lane_id from slots))
)
select id, created_at, project_id, job_id, status, attempt, next_retry_at as "next_retry_at?", (select count(*) from live)::int as "told!",
       (select string_agg(root_lane_id::text, ' ') from (select root_lane_id from slots group by 1) s) as "freed_roots?"
  from done;

-- name: parkRuns :many prepared
-- across projects: fenced by the lease of exactly this claim.
-- What a claim took but may not start, because its job is paused or disabled, its endpoint closed, or a limit came that its
-- lease knows nothing of: the lease becomes a row of run_parked in the right lane and its slot goes back. The run stays `queued`.
with gone as (
  delete from run_active
   where run_id = any (:run_ids::text[]) and claim_seq = (:claims_json::jsonb ->> run_id)::bigint
  returning run_id, lane_id
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select p.project_id, (extract(epoch from greatest(p.created_at, p.scheduled_at)) * 1000)::bigint - p.priority * :aging_ms::bigint,
         p.id, p.created_at, p.job_id, p.attempt, p.place[1], p.place[2]
    from (select r.*, coalesce(strait_place(r.project_id, r.job_id, r.concurrency_key), strait_lane(r.project_id, r.job_id, null)) as place
            from job_runs r
           where r.id = any (array(select run_id from gone))
             and r.created_at >= :created_from::timestamptz and r.created_at <= :created_to::timestamptz) p
  returning run_id, root_lane_id
), slots as materialized (
  select l.counted_lane_id as lane_id, l.root_lane_id, sum(x.n)::int as n
    from (select lane_id, count(*)::int as n from gone where lane_id is not null group by lane_id) x join lane_levels l on l.lane_id = x.lane_id
   group by 1, 2
), root_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select root_lane_id from slots)) order by lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.root_lane_id = any (array(select lane_id from root_locks))
)
select run_id, root_lane_id, (select string_agg(root_lane_id::text, ' ') from (select root_lane_id from slots group by 1) s) as "freed_roots?" from waits;
