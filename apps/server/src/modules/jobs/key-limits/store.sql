-- What single concurrency keys of a job get, as it is set. Promotion reads it in lane_rooms.

-- name: findJobOfKeys :maybe
-- By id or slug.
select j.id, nullif(j.max_concurrency, 0) as "max_concurrency?", nullif(j.max_concurrency_per_key, 0) as "max_concurrency_per_key?"
  from jobs j
 where j.project_id = :project_id and (j.id = :job or j.slug = :job) and j.deleting_at is null
 order by j.id = :job desc limit 1;

-- name: lockJobOfKeys :maybe
-- Changes of one job's keys come one after the other, so sums are those of what is committed.
select j.id, nullif(j.max_concurrency, 0) as "max_concurrency?", nullif(j.max_concurrency_per_key, 0) as "max_concurrency_per_key?"
  from jobs j
 where j.id = :job_id and j.project_id = :project_id and j.deleting_at is null for no key update;

-- name: listKeyLimits :many
select k.concurrency_key, k.min_concurrency, k.max_concurrency, k.weight, k.updated_at
  from job_key_limits k where k.job_id = :job_id and k.project_id = :project_id
 order by k.concurrency_key;

-- name: sumOtherKeys :one
-- What the job's other keys have; `before`: the minimum of this one so far.
select (count(*) filter (where k.concurrency_key <> :concurrency_key))::int as "keys!",
       coalesce(sum(k.min_concurrency) filter (where k.concurrency_key <> :concurrency_key), 0)::int as "min_concurrency!",
       coalesce(max(k.min_concurrency) filter (where k.concurrency_key = :concurrency_key), 0)::int as "before!"
  from job_key_limits k where k.job_id = :job_id and k.project_id = :project_id;

-- name: saveKeyLimit :one
insert into job_key_limits as k (job_id, concurrency_key, project_id, min_concurrency, max_concurrency, weight, updated_by)
values (:job_id, :concurrency_key, :project_id, :min_concurrency, :max_concurrency?, :weight, :actor_id)
on conflict (job_id, concurrency_key) do update
   set min_concurrency = excluded.min_concurrency, max_concurrency = excluded.max_concurrency, weight = excluded.weight,
       updated_by = excluded.updated_by, updated_at = strait_now()
 where k.project_id = :project_id
returning concurrency_key, min_concurrency, max_concurrency, weight, updated_at;

-- name: deleteKeyLimit :count
delete from job_key_limits k where k.job_id = :job_id and k.project_id = :project_id and k.concurrency_key = :concurrency_key;

-- name: flagKeys :count
update jobs j set has_key_limits = exists (select from job_key_limits k where k.job_id = j.id)
 where j.id = :job_id and j.project_id = :project_id;
