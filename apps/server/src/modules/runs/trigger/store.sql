-- What a dry run looks at; real triggers need no statement beside the queue's.

-- name: findKeyHolder :maybe
-- The run that holds an idempotency key of a job.
select i.run_id as id, r.status, i.payload_hash
  from job_run_idempotency i
  join job_runs r on r.id = i.run_id and r.created_at = strait_id_time(i.run_id) and r.project_id = :project_id
 where i.job_id = :job_id and i.idempotency_key = :idempotency_key
   and (i.expires_at is null or i.expires_at > strait_now());
