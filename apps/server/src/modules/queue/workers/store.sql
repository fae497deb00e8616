-- Worker processes: one row each, whatever they execute, and what they hold.

-- name: registerWorker :one
insert into workers (heartbeat_at, started_at, hostname, pid) values (strait_now(), strait_now(), :hostname, :pid) returning id;

-- name: beatWorker :count
-- One row per process whatever it executes; not waiting for the disk is right for a beat.
update workers set heartbeat_at = strait_now() where id = :worker_id;

-- name: removeWorker :count
-- Only once nothing of it executes: leases without a worker row are reaped at once.
delete from workers where id = :worker_id;

-- name: listLeases :many
-- across projects: a worker looks at its own leases.
select run_id, run_created_at, attempt, claim_seq, started_at < strait_now() - make_interval(secs => 5) as "settled!"
  from run_active where worker_id = :worker_id;

-- name: listFates :many
-- across projects: a worker asks about runs whose lease it no longer holds.
select id, status, attempt from job_runs
 where id = any (:run_ids::text[]) and created_at >= :created_from::timestamptz and created_at <= :created_to::timestamptz;
