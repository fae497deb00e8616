-- What a run may write about itself while it holds its lease. A run token names (run, attempt, claim); a token
-- without a claim acts on whatever claim serves attempt 1, unless the run was replayed. `for key share` on the
-- place row lets writes of one run pass each other and makes every transition wait: once the row is gone,
-- nothing is written any more. Who also needs serializeRun takes that first, and nobody who holds the share lock
-- may delete the row in the same transaction: either could deadlock with a transition.

-- name: findLease :maybe prepared
-- across projects: fenced by the claim of the run token.
-- The lease as it is now, unlocked: what is decided from it must be fenced again by the write.
with active as materialized (
  select a.run_id, a.run_created_at, a.claim_seq, a.worker_id, a.started_at from run_active a
   where a.run_id = :run_id and a.attempt = :attempt
     and (a.claim_seq = :claim_seq? or (:claim_seq?::bigint is null and not exists (
          select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at and r.metadata ? '_replays')))
), waits as materialized (
  select w.run_id, w.run_created_at, w.claim_seq from run_waiting w
   where w.run_id = :run_id and w.attempt = :attempt and w.claim_seq <> 0
     and (w.claim_seq = :claim_seq? or (:claim_seq?::bigint is null and not exists (
          select from job_runs r where r.id = w.run_id and r.created_at = w.run_created_at and r.metadata ? '_replays')))
)
select r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.metadata, r.lineage_depth, r.job_version,
       r.max_attempts_override, r.retry_backoff, r.retry_initial_delay_secs, r.retry_max_delay_secs,
       j.version as live_version, j.version_policy, j.backwards_compatible,
       p.claim_seq as "claim_seq!", p.waiting as "waiting!", p.worker_id as "worker_id?", p.started_at as "started_at?"
  from (select run_id, run_created_at, claim_seq, false as waiting, worker_id, started_at from active
        union all select run_id, run_created_at, claim_seq, true, null, null from waits) p
  join job_runs r on r.id = p.run_id and r.created_at = p.run_created_at
  join jobs j on j.id = r.job_id;

-- name: lockLease :maybe prepared
-- across projects: fenced by the claim of the run token.
-- As findLease; the place row stays until this transaction ends.
with active as materialized (
  select a.run_id, a.run_created_at, a.claim_seq, a.worker_id, a.started_at from run_active a
   where a.run_id = :run_id and a.attempt = :attempt
     and (a.claim_seq = :claim_seq? or (:claim_seq?::bigint is null and not exists (
          select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at and r.metadata ? '_replays')))
     for key share of a
), waits as materialized (
  select w.run_id, w.run_created_at, w.claim_seq from run_waiting w
   where w.run_id = :run_id and w.attempt = :attempt and w.claim_seq <> 0
     and (w.claim_seq = :claim_seq? or (:claim_seq?::bigint is null and not exists (
          select from job_runs r where r.id = w.run_id and r.created_at = w.run_created_at and r.metadata ? '_replays')))
     for key share of w
)
select r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.metadata, r.lineage_depth, r.job_version,
       r.max_attempts_override, r.retry_backoff, r.retry_initial_delay_secs, r.retry_max_delay_secs,
       j.version as live_version, j.version_policy, j.backwards_compatible,
       p.claim_seq as "claim_seq!", p.waiting as "waiting!", p.worker_id as "worker_id?", p.started_at as "started_at?"
  from (select run_id, run_created_at, claim_seq, false as waiting, worker_id, started_at from active
        union all select run_id, run_created_at, claim_seq, true, null, null from waits) p
  join job_runs r on r.id = p.run_id and r.created_at = p.run_created_at
  join jobs j on j.id = r.job_id;

-- name: lockLeaseToEnd :maybe prepared
-- across projects: fenced by the lease of exactly this claim.
-- For a transaction that makes runs and takes this one out of its attempt at its end: the place row and its lanes, as an end
-- takes them, before anything else is locked. Making a run may take the same root, and an end that has the row waits for it.
with held as materialized (
  select run_id, lane_id from run_active where run_id = :run_id and claim_seq = :claim_seq for update
), lane_locks as materialized (
  select lane_id from lanes
   where lane_id = any (array(select l.counted_lane_id from held join lane_levels l on l.lane_id = held.lane_id))
   order by parent_lane_id is not null, lane_id for no key update
)
select run_id, (select count(*) from lane_locks)::int as "lanes!" from held;

-- name: explainLease :maybe
-- across projects: asked for the run a token names, when its claim holds nothing.
select r.status, r.attempt, r.metadata ? '_replays' as "replayed!", coalesce(a.claim_seq, nullif(w.claim_seq, 0)) as "claim_seq?"
  from job_runs r
  left join run_active a on a.run_id = r.id
  left join run_waiting w on w.run_id = r.id
 where r.id = :run_id and r.created_at = strait_id_time(:run_id);

-- name: serializeRun :one prepared
-- across projects: a lock, no data.
-- Writes that count what is there (sequence, budget, limits) come one at a time per run.
select true as "locked!" from pg_advisory_xact_lock(hashtextextended(:run_id::text, 7301));

-- name: lockWaitingRun :maybe prepared
-- across projects: the caller names the project in what it then does.
-- Makes every other end of this wait stand in line. No row: the run does not wait.
select run_id from run_waiting where run_id = :run_id for update;

-- name: addRunEvent :maybe prepared
-- across projects: fenced by the claim of the run token.
with active as materialized (
  select a.run_id from run_active a
   where a.run_id = :run_id and a.attempt = :attempt
     and (a.claim_seq = :claim_seq? or (:claim_seq?::bigint is null and not exists (
          select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at and r.metadata ? '_replays')))
     for key share of a
), waits as materialized (
  select w.run_id from run_waiting w
   where w.run_id = :run_id and w.attempt = :attempt and w.claim_seq <> 0
     and (w.claim_seq = :claim_seq? or (:claim_seq?::bigint is null and not exists (
          select from job_runs r where r.id = w.run_id and r.created_at = w.run_created_at and r.metadata ? '_replays')))
     for key share of w
), told as (
  insert into run_events (run_id, type, level, message, data)
  select p.run_id, :type, :level, :message, :data_json::jsonb
    from (select run_id from active union all select run_id from waits) p
  returning id, run_id, type, level, message, data, created_at
), live as materialized (select pg_notify('run_live', '') where exists (select from told))
select id, run_id, type, level, message as "message!", data, created_at, (select count(*) from live)::int as "told!" from told;

-- name: addDropMarker :one
-- across projects: the caller holds the lease of this run, and has serialised it.
-- Says once per run that events are dropped from here on; answers with what said it first.
with known as materialized (
  select id, run_id, type, level, message, data, created_at from run_events
   where run_id = :run_id and type = 'log' and data @> '{"_dropped": true}' order by id limit 1
), told as (
  insert into run_events (run_id, type, level, message, data)
  select :run_id, 'log', 'warn', :message, '{"_dropped": true}' where not exists (select from known)
  returning id, run_id, type, level, message, data, created_at
), live as materialized (select pg_notify('run_live', '') where exists (select from told))
select id as "id!", run_id as "run_id!", type as "type!", level as "level!", message as "message!", data as "data!", created_at as "created_at!",
       (select count(*) from live)::int as "told!"
  from (select * from known union all select * from told) m;

-- name: countRunEvents :one
-- across projects: the caller holds the lease of this run.
select count(*)::int as "events!" from (select from run_events where run_id = :run_id limit :cap::int) e;

-- name: annotateRun :maybe
-- Merges into the metadata. No row: there would be more than :max_keys of them that are not ours.
update job_runs r
   set metadata = r.metadata || :annotations_json::jsonb
 where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id
   and (select count(*) from jsonb_object_keys(r.metadata || :annotations_json::jsonb) k where k not like '\_%') <= :max_keys::int
returning r.*;

-- name: notifyChunks :maybe
-- across projects: fenced by the claim of the run token.
-- Stream chunks are announced, never stored.
with active as materialized (
  select a.run_id from run_active a
   where a.run_id = :run_id and a.attempt = :attempt
     and (a.claim_seq = :claim_seq? or (:claim_seq?::bigint is null and not exists (
          select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at and r.metadata ? '_replays')))
     for key share of a
), waits as materialized (
  select w.run_id from run_waiting w
   where w.run_id = :run_id and w.attempt = :attempt and w.claim_seq <> 0
     and (w.claim_seq = :claim_seq? or (:claim_seq?::bigint is null and not exists (
          select from job_runs r where r.id = w.run_id and r.created_at = w.run_created_at and r.metadata ? '_replays')))
     for key share of w
), lease as materialized (select run_id from active union all select run_id from waits),
sent as materialized (
  select pg_notify('run_chunks', c.chunk) from lease cross join unnest(:chunks::text[]) with ordinality as c (chunk, ord) order by c.ord
)
select run_id as "run_id!", (select count(*) from sent)::int as "sent!" from lease;

-- name: relaxCommit :one
-- across projects: a setting of this transaction.
-- A beat lost with the machine is a beat that would not have helped.
select set_config('synchronous_commit', 'off', true) as "setting!";

-- name: beatEndpoints :count
-- across projects: fenced by the claims; one write for all beats of a second.
-- Rows somebody else is changing are left out: waiting for them in any order could deadlock with a batch.
with held as materialized (
  select a.run_id from run_active a
    join unnest(:run_ids::text[], :claim_seqs::bigint[]) as b (run_id, claim_seq) on b.run_id = a.run_id and b.claim_seq = a.claim_seq
   where a.worker_id is null
     for no key update of a skip locked
)
update run_active set endpoint_beat_at = strait_now() where run_id = any (array(select run_id from held));

-- name: handOver :maybe
-- across projects: fenced by the lease of exactly this claim.
-- 202 with X-Strait-Async: the endpoint owns the run from here on, beats itself and must finish by the deadline. Nobody here
-- would mark it any more, so this does. Repeating it does no harm.
with before as materialized (
  select run_id, marked from run_active where run_id = :run_id and claim_seq = :claim_seq for no key update
), held as materialized (
  update run_active
     set worker_id = null, endpoint_beat_at = strait_now(), marked = true,
         deadline_at = strait_now() + make_interval(secs => :deadline_secs::float8)
   where run_id = (select run_id from before) and claim_seq = :claim_seq
  returning run_id, run_created_at, attempt, started_at
), done as (
  update job_runs r
     set status = 'executing', expires_at = null, next_retry_at = null, execution_trace = null,
         claimed_at = (select started_at from held),
         started_at = coalesce(r.started_at, (select started_at from held))
   where r.id = (select run_id from held) and r.created_at = (select run_created_at from held)
     and (r.status = 'queued') is true
  returning r.id
), told as (
  insert into run_events (run_id, type, level, message, data, created_at)
  select run_id, 'state_change', 'info', 'executing',
         jsonb_build_object('from', 'queued', 'to', 'executing', 'attempt', attempt), started_at
    from held where not (select marked from before)
), live as materialized (select pg_notify('run_live', '') where exists (select from done))
select run_id, (select count(*) from live)::int as "told!" from held;
