-- Groups of jobs: a name, and one flag that holds all of them.

-- name: insertGroup :maybe
-- No row: the slug is taken.
insert into job_groups (project_id, name, slug, description)
values (:project_id, :name, :slug, :description?)
    on conflict (project_id, slug) do nothing
returning *;

-- name: listGroups :many
select g.* from job_groups g
 where g.project_id = :project_id
   and (:before_created_at?::timestamptz is null or (g.created_at, g.id) < (:before_created_at, :before_id?::text))
 order by g.created_at desc, g.id desc limit :limit::int;

-- name: findGroup :maybe
-- By id or slug; no slug looks like an id.
select g.* from job_groups g where g.project_id = :project_id and (g.id = :group or g.slug = :group)
 order by g.id = :group desc limit 1;

-- name: updateGroup :maybe
-- Absent members stay; an empty description is none.
update job_groups g
   set name = coalesce(:name?::text, g.name), slug = coalesce(:slug?::text, g.slug),
       description = nullif(coalesce(:description?::text, g.description), ''), updated_at = strait_now()
 where g.id = :group_id and g.project_id = :project_id
returning g.*;

-- name: setGroupPaused :maybe
-- The whole of pausing: enqueue, mover, promotion and claim read the flag. No row: it is so already.
update job_groups g set paused = :paused, updated_at = strait_now()
 where g.id = :group_id and g.project_id = :project_id and g.paused <> :paused
returning g.id;

-- name: leaveGroup :count
-- Jobs that are being removed hold no group.
update jobs set group_id = null where group_id = :group_id and project_id = :project_id and deleting_at is not null;

-- name: deleteGroup :count
-- Jobs that join meanwhile make the foreign key refuse it.
delete from job_groups g
 where g.id = :group_id and g.project_id = :project_id
   and not exists (select from jobs j where j.group_id = g.id and j.project_id = :project_id);

-- name: listMemberIds :many
select id from jobs where group_id = :group_id and project_id = :project_id and deleting_at is null
 order by created_at desc, id desc limit :limit::int;
