-- What is known of endpoints. The health row is the lock of its endpoint: every transaction that changes anything about one
-- writes it first, endpoints in order.

-- name: recordHealth :many prepared
-- across projects: the attempts of one worker.
-- Many results in one update, without losing anybody else's: an average after k results is 0.9^k of what it was plus what
-- the same k results make of a new endpoint, less 0.9^k of new. Before, idle time has decayed it towards 100 points with a
-- half-life of 10 minutes. The score is linear in the three averages, so it goes the same way. The window of results by which
-- concurrency adapts is that of all workers: who writes a second after it began gets it (`closed`: old values, to which his
-- own belong) and begins the next. What is old by then is no news, so he has only his own.
insert into endpoint_health_scores as h
       (project_id, endpoint_url, health_score, success_rate, timeout_rate, latency_score, total_requests, last_latency_ms, updated_at,
        window_ok, window_failures, window_overloads, window_log_ms, window_peak, window_since)
select project_id, endpoint, score, success_rate, timeout_rate, latency_score, samples, last_latency_ms, strait_now(),
       ok, failures, overloads, log_ms, peak, strait_now() - make_interval(secs => :window_secs::float8)
  from unnest(:project_ids::text[], :endpoints::text[], :scores::float8[], :success_rates::float8[], :timeout_rates::float8[],
              :latency_scores::float8[], :samples::bigint[], :last_latencies_ms::float8[],
              :oks::int[], :failures::int[], :overloads::int[], :logs_ms::float8[], :peaks::int[])
       as n (project_id, endpoint, score, success_rate, timeout_rate, latency_score, samples, last_latency_ms,
             ok, failures, overloads, log_ms, peak)
 order by project_id, endpoint
on conflict (project_id, endpoint_url) do update
   set health_score = least(100, greatest(0, excluded.health_score - power(0.9::float8, least(excluded.total_requests, 2000))
         * (100 - h.health_score) * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)))),
       success_rate = least(1, greatest(0, excluded.success_rate - power(0.9::float8, least(excluded.total_requests, 2000))
         * (1 - h.success_rate) * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)))),
       timeout_rate = least(1, greatest(0, excluded.timeout_rate + power(0.9::float8, least(excluded.total_requests, 2000))
         * h.timeout_rate * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)))),
       latency_score = least(1, greatest(0, excluded.latency_score - power(0.9::float8, least(excluded.total_requests, 2000))
         * (1 - h.latency_score) * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)))),
       total_requests = h.total_requests + excluded.total_requests,
       last_latency_ms = case when excluded.total_requests > 0 then excluded.last_latency_ms else h.last_latency_ms end,
       window_ok = case when h.window_since <= strait_now() - make_interval(secs => :window_secs::float8) then 0 else h.window_ok + excluded.window_ok end,
       window_failures = case when h.window_since <= strait_now() - make_interval(secs => :window_secs::float8) then 0 else h.window_failures + excluded.window_failures end,
       window_overloads = case when h.window_since <= strait_now() - make_interval(secs => :window_secs::float8) then 0 else h.window_overloads + excluded.window_overloads end,
       window_log_ms = case when h.window_since <= strait_now() - make_interval(secs => :window_secs::float8) then 0 else h.window_log_ms + excluded.window_log_ms end,
       window_peak = case when h.window_since <= strait_now() - make_interval(secs => :window_secs::float8) then 0 else greatest(h.window_peak, excluded.window_peak) end,
       window_since = case when h.window_since <= strait_now() - make_interval(secs => :window_secs::float8) then strait_now() else h.window_since end,
       baseline_ms = case when h.window_since <= strait_now() - make_interval(secs => :window_secs::float8)
         then strait_baseline(h.baseline_ms, h.baseline_samples, h.window_ok + excluded.window_ok, h.window_log_ms + excluded.window_log_ms,
                              extract(epoch from strait_now() - h.window_since)::float8) else h.baseline_ms end,
       baseline_samples = case when h.window_since <= strait_now() - make_interval(secs => :window_secs::float8)
         then least(100, h.baseline_samples + h.window_ok + excluded.window_ok) else h.baseline_samples end,
       updated_at = strait_now()
returning h.project_id, h.endpoint_url as endpoint, h.health_score as score, old.health_score as "score_before?",
          coalesce(old.window_since < new.window_since, false) as "closed!",
          case when old.window_since > strait_now() - make_interval(secs => :longest_secs::float8) then old.window_ok else 0 end as "window_ok!",
          case when old.window_since > strait_now() - make_interval(secs => :longest_secs::float8) then old.window_failures else 0 end as "window_failures!",
          case when old.window_since > strait_now() - make_interval(secs => :longest_secs::float8) then old.window_overloads else 0 end as "window_overloads!",
          case when old.window_since > strait_now() - make_interval(secs => :longest_secs::float8) then old.window_log_ms else 0 end as "window_log_ms!",
          case when old.window_since > strait_now() - make_interval(secs => :longest_secs::float8) then old.window_peak else 0 end as "window_peak!",
          old.baseline_ms as "baseline_ms?", coalesce(old.baseline_samples, 0) as "baseline_samples!",
          exists (select from endpoint_concurrency c where c.project_id = h.project_id and c.endpoint_url = h.endpoint_url) as "limited!";

-- name: lockHealth :maybe
-- across projects: the attempts of one worker.
select endpoint_url from endpoint_health_scores where project_id = :project_id and endpoint_url = :endpoint for no key update;

-- name: findLoad :one
-- across projects: the attempts of one worker. The caller holds the health row.
-- How its limit stands; `in_flight`, once it has one, by the slots of all its jobs.
select a.max_in_flight as "limit?", c.observed as "observed?", c.used as "used?", c.calm as "calm?",
       coalesce(extract(epoch from strait_now() - c.changed_at) * 1000, 0)::float8 as "since_change_ms!",
       coalesce(extract(epoch from strait_now() - c.judged_at) * 1000, 0)::float8 as "since_judged_ms!",
       coalesce(e.in_flight, 0) as "in_flight!"
  from (select :project_id::text as project_id, :endpoint::text as endpoint) n
  left join endpoint_admission a on a.project_id = n.project_id and a.endpoint = n.endpoint
  left join endpoint_rooms e on e.project_id = n.project_id and e.endpoint = n.endpoint
  left join endpoint_concurrency c on c.project_id = n.project_id and c.endpoint_url = n.endpoint;

-- name: countExecuting :one
-- across projects: the attempts of one worker. The caller holds the health row.
-- Leases of all jobs that call the endpoint, which nothing counts before it has a limit: those whose runs say so, found by their project, and
-- those of the last moment. Of the latter only so many are looked at: they are everybody's.
with mine as materialized (
  select j.id from jobs j where j.project_id = :project_id and j.endpoint = :endpoint
)
select ((select count(*) from job_runs r
          where r.project_id = :project_id and r.status = 'executing' and r.job_id = any (array(select id from mine)))
        + (select count(*) from (select x.run_id, x.run_created_at from run_active x where not x.marked limit :look::int) a
            cross join lateral (select r.job_id from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at limit 1) r
           where r.job_id = any (array(select id from mine))))::int as "executing!";

-- name: putConcurrency :count
-- across projects: the attempts of one worker. The caller holds the health row.
insert into endpoint_concurrency as c (project_id, endpoint_url, observed, used, calm, changed_at, judged_at)
values (:project_id, :endpoint, :observed, :used, :calm, strait_now(), strait_now())
on conflict (project_id, endpoint_url) do update
   set observed = excluded.observed, used = excluded.used, calm = excluded.calm,
       changed_at = case when :moved::bool then strait_now() else c.changed_at end,
       judged_at = case when :judged::bool then strait_now() else c.judged_at end;

-- name: removeConcurrency :count
-- across projects: the attempts of one worker. The caller holds the health row.
delete from endpoint_concurrency where project_id = :project_id and endpoint_url = :endpoint;

-- name: listSilentLimits :many
-- across projects: upkeep.
-- In order, after one of them: those that long runs hold are not in the way of others. Silence of a closed endpoint says nothing: when it opens, what waited must not come all at once.
select project_id, endpoint_url as endpoint from endpoint_concurrency c
 where (project_id, endpoint_url) > (:after_project_id, :after_endpoint)
   and judged_at <= strait_now() - make_interval(secs => :silent_secs::float8)
   and not exists (select from endpoint_admission a where a.project_id = c.project_id and a.endpoint = c.endpoint_url and a.closed)
 order by project_id, endpoint_url limit :limit::int;

-- name: ensureBreakers :count
-- across projects: the attempts of one worker.
insert into endpoint_circuit_state (project_id, endpoint_url)
select project_id, endpoint from unnest(:project_ids::text[], :endpoints::text[]) as n (project_id, endpoint)
 order by project_id, endpoint
on conflict do nothing;

-- name: recordResults :many prepared
-- across projects: the attempts of one worker. The caller holds the health rows.
-- Counts failures in a row; what reaches the threshold opens. A success where none is counted changes nothing, and what
-- was under way when the breaker opened does not count.
update endpoint_circuit_state c
   set failures = case when n.succeeded then n.last_row else c.failures + n.first_row end,
       last_failure_at = case when n.longest > 0 then strait_now() else c.last_failure_at end,
       state = case when n.opens then 'open' else c.state end,
       opened_at = case when n.opens then strait_now() else c.opened_at end,
       open_secs = case when n.opens then :open_secs::int else c.open_secs end,
       half_open_until = case when n.opens then strait_now() + make_interval(secs => :open_secs::int) else c.half_open_until end,
       updated_at = strait_now()
  from (select b.*, :threshold::int > 0 and (b.longest >= :threshold::int or k.failures + b.first_row >= :threshold::int) as opens
          from unnest(:project_ids::text[], :endpoints::text[], :leading::int[], :trailing::int[], :longest::int[], :succeeded::bool[])
               as b (project_id, endpoint, first_row, last_row, longest, succeeded)
          join endpoint_circuit_state k on k.project_id = b.project_id and k.endpoint_url = b.endpoint and k.state = 'closed') n
 where c.project_id = n.project_id and c.endpoint_url = n.endpoint and c.state = 'closed'
   and (n.longest > 0 or (n.succeeded and c.failures > 0))
returning c.project_id, c.endpoint_url as endpoint, c.state, old.state as "state_before!";

-- name: halfOpen :count
-- across projects: workers serve every project.
update endpoint_circuit_state set state = 'half_open', updated_at = strait_now()
 where project_id = :project_id and endpoint_url = :endpoint and state = 'open';

-- name: settleProbe :maybe
-- across projects: workers serve every project. The caller holds the health row and ended the probe.
-- half_open → closed, or open for twice as long as before (:doubles), or for as long as before.
update endpoint_circuit_state
   set state = case when :closes::bool then 'closed' else 'open' end,
       failures = case when :closes::bool then 0 when :doubles::bool then failures + 1 else failures end,
       last_failure_at = case when :doubles::bool then strait_now() else last_failure_at end,
       opened_at = case when :closes::bool then null else strait_now() end,
       open_secs = case when :doubles::bool then least(open_secs * 2, :longest_open_secs::int) else open_secs end,
       half_open_until = case when :closes::bool then null
         else strait_now() + make_interval(secs => case when :doubles::bool then least(open_secs * 2, :longest_open_secs::int) else open_secs end) end,
       updated_at = strait_now()
 where project_id = :project_id and endpoint_url = :endpoint and state in ('open', 'half_open')
returning state;

-- name: listFacts :many
-- across projects: the attempts of one worker. The caller holds the health rows.
select h.project_id, h.endpoint_url as endpoint, h.health_score as score, coalesce(c.state, 'closed') as "breaker!",
       c.half_open_until as "reopens_at?", a.closed as "closed?", a.share as "share?", a.probe_at as "probe_at?", strait_now() as "now!"
  from unnest(:project_ids::text[], :endpoints::text[]) as n (project_id, endpoint)
  join endpoint_health_scores h on h.project_id = n.project_id and h.endpoint_url = n.endpoint
  left join endpoint_circuit_state c on c.project_id = n.project_id and c.endpoint_url = n.endpoint
  left join endpoint_admission a on a.project_id = n.project_id and a.endpoint = n.endpoint
 order by h.project_id, h.endpoint_url;

-- name: listStanding :many
-- across projects: upkeep.
-- Endpoints that slow their jobs and have not been heard of for a while: idle time speaks for them.
select a.project_id, a.endpoint from endpoint_admission a
  join endpoint_health_scores h on h.project_id = a.project_id and h.endpoint_url = a.endpoint
 where not a.closed and h.updated_at < strait_now() - make_interval(secs => :silent_secs::float8)
 order by a.project_id, a.endpoint limit :limit::int;

-- name: removeOldHealth :count
-- across projects: upkeep.
delete from endpoint_health_scores h
 where h.updated_at < strait_now() - make_interval(secs => :silent_secs::float8)
   and not exists (select from endpoint_admission a where a.project_id = h.project_id and a.endpoint = h.endpoint_url);

-- name: removeOldBreakers :count
-- across projects: upkeep.
delete from endpoint_circuit_state c
 where c.updated_at < strait_now() - make_interval(secs => :silent_secs::float8)
   and not exists (select from endpoint_health_scores h where h.project_id = c.project_id and h.endpoint_url = c.endpoint_url);

-- name: removeOldConcurrency :count
-- across projects: upkeep.
delete from endpoint_concurrency c
 where c.judged_at < strait_now() - make_interval(secs => :silent_secs::float8)
   and not exists (select from endpoint_admission a where a.project_id = c.project_id and a.endpoint = c.endpoint_url);

-- name: listEndpointsOfJob :many
-- The score as it stands after the idle time since its last result.
select e.role as "role!", e.endpoint as "endpoint!", coalesce(c.state, 'closed') as "breaker!", coalesce(c.failures, 0) as "failures!",
       c.opened_at as "opened_at?", c.half_open_until as "reopens_at?", c.last_failure_at as "last_failure_at?",
       coalesce(100 - (100 - h.health_score) * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)), 100)
         as "score!",
       coalesce(h.success_rate, 1) as "success_rate!", coalesce(h.timeout_rate, 0) as "timeout_rate!", coalesce(h.latency_score, 1) as "latency_score!",
       coalesce(h.total_requests, 0) as "total_requests!", h.last_latency_ms as "last_latency_ms?", h.updated_at as "updated_at?",
       coalesce(a.closed, false) as "closed!", coalesce(a.share, 1) as "share!", a.probe_at as "probe_at?", a.probe_run_id as "probe_run_id?",
       a.max_in_flight as "max_in_flight?"
  from jobs j
 cross join lateral (values ('primary', j.endpoint), ('fallback', strait_endpoint(j.fallback_endpoint_url))) as e (role, endpoint)
  left join endpoint_circuit_state c on c.project_id = j.project_id and c.endpoint_url = e.endpoint
  left join endpoint_health_scores h on h.project_id = j.project_id and h.endpoint_url = e.endpoint
  left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = e.endpoint
 where j.project_id = :project_id and j.id = :job_id and e.endpoint is not null
 order by e.role desc;
