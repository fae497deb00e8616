-- The directory of projects.

-- name: upsertProject :maybe
-- No row: the id belongs to another organization, or to a deleted project.
insert into projects as p (id, org_id, name)
values (coalesce(:id?, uuidv7()::text), :org_id?, :name)
on conflict (id) do update
   set name = excluded.name, org_id = coalesce(p.org_id, excluded.org_id)
 where p.deleted_at is null
   and (p.org_id is null or p.org_id = coalesce(excluded.org_id, p.org_id))
returning id, org_id, name, created_at, (xmax = 0) as "created!";

-- name: ensureProject :count
-- 1 when the project was not known before.
insert into projects (id) values (:project_id) on conflict (id) do nothing;

-- name: findProject :maybe
select id, org_id, name, created_at from projects where id = :id and deleted_at is null;

-- name: listProjects :many
-- `:id` narrows the list to one project.
select id, org_id, name, created_at
  from projects
 where deleted_at is null
   and (:id?::text is null or id = :id)
   and (:cursor_created_at?::timestamptz is null
        or (created_at, id) < (:cursor_created_at, :cursor_id?::text))
 order by created_at desc, id desc
 limit :limit;
