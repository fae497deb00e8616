-- Endpoints that stand in the way of runs. What closes or slows them is decided by the executor; here is what that means
-- for promotion, claims and dispatch. Rows are changed by the holder of the endpoint's health row, but for the probe:
-- promised by promotion, taken up just before it is sent.

-- name: setAdmissions :many
-- across projects: the endpoints of one worker's attempts.
-- An endpoint that neither is closed nor slows has no row. Answers with those that let more through than before; their
-- projects' promoters are told.
with wanted as materialized (
  select * from unnest(:project_ids::text[], :endpoints::text[], :closed::bool[], :shares::float8[], :probe_ats::timestamptz[])
           as w (project_id, endpoint, closed, share, probe_at)
   order by project_id, endpoint
), gone as (
  delete from endpoint_admission a using wanted w
   where a.project_id = w.project_id and a.endpoint = w.endpoint and not w.closed and w.share >= 1
  returning a.project_id, a.endpoint
), put as (
  insert into endpoint_admission as a (project_id, endpoint, closed, share, probe_at)
  select project_id, endpoint, closed, share, probe_at from wanted where closed or share < 1
  on conflict (project_id, endpoint) do update
     set closed = excluded.closed, share = excluded.share, probe_at = excluded.probe_at, updated_at = strait_now(),
         probe_run_id = case when excluded.closed then a.probe_run_id end,
         probe_claim = case when excluded.closed then a.probe_claim end,
         probe_until = case when excluded.closed then a.probe_until end
   where (a.closed, a.share, a.probe_at) is distinct from (excluded.closed, excluded.share, excluded.probe_at)
  returning a.project_id, a.endpoint, (old.closed and not new.closed) or (not new.closed and new.share > old.share) as opened
), opened as materialized (
  select project_id, endpoint from gone union all select project_id, endpoint from put where opened
), told as materialized (
  select pg_notify('run_promote', l.lane_id::text)
    from lanes l where l.project_id = any (array(select project_id from opened)) and l.job_id is null and l.concurrency_key is null
)
select project_id as "project_id!", endpoint as "endpoint!", (select count(*) from told)::int as "told!" from opened;

-- name: enterEndpoint :maybe prepared
-- across projects: workers serve every project; the run is one that the caller holds.
-- Whether an attempt may be sent to an endpoint of which something is known; no row: nothing stands in the way. `probe`:
-- this claim and no other is the probe now, until it has ended or is lost.
with won as (
  update endpoint_admission a
     set probe_run_id = :run_id, probe_claim = :claim_seq, probe_until = strait_now() + make_interval(secs => :lost_after_secs::float8)
   where project_id = :project_id and endpoint = :endpoint and closed
     and ((probe_run_id = :run_id and probe_claim is null) or strait_probe_due(a))
  returning true as probe
)
select a.closed and exists (select from won) as "probe!", a.closed as "closed!",
       greatest(0, extract(epoch from a.probe_at - strait_now()) * 1000)::float8 as "probe_in_ms!"
  from endpoint_admission a where a.project_id = :project_id and a.endpoint = :endpoint;

-- name: endProbe :maybe
-- across projects: workers serve every project; the run is one that the caller held.
-- No row: it was lost meanwhile, or the endpoint is not closed any more; what it found out is no news.
update endpoint_admission
   set probe_run_id = null, probe_claim = null, probe_until = null
 where project_id = :project_id and endpoint = :endpoint and closed and probe_run_id = :run_id and probe_claim = :claim_seq
returning endpoint;

-- name: returnPromise :count
-- across projects: workers serve every project; the run is one that the caller holds.
-- The promised run leads elsewhere: the probe goes to another one, and the promoters are told.
with freed as (
  update endpoint_admission set probe_run_id = null, probe_until = null
   where project_id = :project_id and endpoint = :endpoint and closed and probe_run_id = :run_id and probe_claim is null
  returning project_id
)
select pg_notify('run_promote', l.lane_id::text)
  from freed join lanes l on l.project_id = freed.project_id and l.job_id is null and l.concurrency_key is null;

-- name: tellProjects :count
-- across projects: a signal, no data.
select pg_notify('run_promote', l.lane_id::text)
  from lanes l where l.project_id = any (:project_ids::text[]) and l.job_id is null and l.concurrency_key is null;

-- name: removeOldAdmissions :count
-- across projects: upkeep.
-- Nobody has called the endpoint for long: no run waits for it.
delete from endpoint_admission a
 where a.updated_at < strait_now() - make_interval(secs => :silent_secs::float8)
   and not exists (select from jobs j join run_parked p on p.job_id = j.id and p.project_id = j.project_id
                    where j.project_id = a.project_id and j.endpoint = a.endpoint);
