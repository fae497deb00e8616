-- Whether one more run may wait, and whether it is the same as one that came before.

-- name: lockRoom :maybe
-- Triggers of a project with max_queued_runs pass one after the other.
select room, full_until > strait_now() as "full?" from queued_room where project_id = :project_id for no key update;

-- name: openRoom :count
insert into queued_room (project_id) values (:project_id) on conflict (project_id) do nothing;

-- name: countRoom :maybe prepared
-- No row: there is no limit. `queued` is what the limit is about, where live runs stand: never their history. `returning`
-- runs are in an attempt or wait for something: they queue again without asking. All of one snapshot, which is younger
-- than the lock on the room. Stops when the limit is reached. The planner must begin with the leases: history is long.
select q.max_queued_runs as "most!",
       ((select count(*) from (select from run_queue where project_id = :project_id limit q.max_queued_runs) x)
        + (select count(*) from (select from run_parked
                                  where root_lane_id = (select lane_id from lanes where project_id = :project_id and job_id is null and concurrency_key is null)
                                  limit q.max_queued_runs) x)
        + (select count(*) from run_parked where root_lane_id = 0 and project_id = :project_id)
        + (select count(*) from (select from run_delayed where project_id = :project_id limit q.max_queued_runs) x))::int as "queued!",
       ((select count(*) from job_runs where project_id = :project_id and status in ('executing', 'waiting'))
        + (select count(*) from run_active a
            cross join lateral (select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at
                                   and r.project_id = :project_id offset 0) mine
            where not a.marked))::int as "returning!"
  from project_quotas q where q.project_id = :project_id and q.max_queued_runs > 0;

-- name: setRoom :count
update queued_room
   set room = :room::bigint,
       full_until = case when :rest_ms?::float8 is not null then strait_now() + :rest_ms? * interval '1 ms' end
 where project_id = :project_id;

-- name: forgetRoom :count
-- The limit changed, or runs came back that nobody asked about: the next trigger counts.
update queued_room set room = 0, full_until = null where project_id = :project_id;

-- name: closeRooms :count
-- across projects: upkeep. Rooms whose limit was removed.
delete from queued_room r
 where not exists (select from project_quotas q where q.project_id = r.project_id and q.max_queued_runs > 0);

-- name: holdPayloads :many
-- Takes the right to say whether these payloads came before, one holder at a time, in one order. `run_id` is the run that
-- came within the window. Without one the holder's transaction creates it. Payloads are compared as PostgreSQL prints them,
-- because not every route has them in canonical form.
with asked as materialized (
  select j.id as job_id, n.payload_hash, encode(sha256(convert_to(n.payload::jsonb::text, 'UTF8')), 'hex') as stored_hash
    from jobs j cross join unnest(:payload_hashes::text[], :payloads::text[]) as n(payload_hash, payload)
   where j.id = :job_id and j.project_id = :project_id
), held as (
  insert into recent_payloads as p (job_id, payload_hash, created_at)
  select distinct job_id, stored_hash, strait_now() from asked order by stored_hash
  on conflict (job_id, payload_hash) do update
     set run_id = case when p.created_at > strait_now() - make_interval(secs => :window_secs::int) then p.run_id end
  returning payload_hash, run_id
)
select asked.payload_hash as "payload_hash!", held.run_id as "run_id?" from asked join held on held.payload_hash = asked.stored_hash;

-- name: lookAtPayloads :many
-- The same without taking anything.
select n.payload_hash as "payload_hash!", p.run_id as "run_id?"
  from jobs j cross join unnest(:payload_hashes::text[], :payloads::text[]) as n(payload_hash, payload)
  join recent_payloads p on p.job_id = j.id and p.payload_hash = encode(sha256(convert_to(n.payload::jsonb::text, 'UTF8')), 'hex')
 where j.id = :job_id and j.project_id = :project_id and p.created_at > strait_now() - make_interval(secs => :window_secs::int);

-- name: findRuns :many
select r.id, r.status from job_runs r
 where r.project_id = :project_id and r.id = any (:run_ids::text[])
   and r.created_at >= :created_from::timestamptz and r.created_at <= :created_to::timestamptz;

-- name: forgetPayloads :count
-- across projects: upkeep.
delete from recent_payloads p
 where p.ctid = any (array(select o.ctid from recent_payloads o join jobs j on j.id = o.job_id
                            where o.created_at < strait_now() - make_interval(secs => coalesce(j.dedup_window_secs, 0))
                            limit :limit::int for update of o skip locked));

-- name: findKeyHolders :many prepared
-- across projects: reads by (job, key) pairs of a batch whose jobs were checked against their projects.
-- The run that holds an idempotency key, for inputs of enqueueRuns that got no row.
select i.job_id, i.idempotency_key, i.run_id, i.payload_hash, r.status, r.created_at
  from unnest(:job_ids::text[], :idempotency_keys::text[]) as n(job_id, idempotency_key)
  join job_run_idempotency i on i.job_id = n.job_id and i.idempotency_key = n.idempotency_key
  join job_runs r on r.id = i.run_id and r.created_at = strait_id_time(i.run_id)
 where i.expires_at is null or i.expires_at > strait_now();
