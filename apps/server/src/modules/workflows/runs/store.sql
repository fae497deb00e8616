-- Reading workflow runs. Whatever changes them is in progression/.

-- name: findRun :maybe
select r.* from workflow_runs r where r.id = :workflow_run_id and r.project_id = :project_id;

-- name: listRuns :many
select r.* from workflow_runs r
 where r.project_id = :project_id
   and (:workflow_id?::text is null or r.workflow_id = :workflow_id)
   and (:status?::text is null or r.status = :status)
   and (:triggered_by?::text is null or r.triggered_by = :triggered_by)
   and (:tag_key?::text is null or r.tags ? :tag_key)
   and (:tag_value?::text is null or r.tags @> jsonb_build_object(:tag_key, :tag_value))
   and (:label_key?::text is null or exists (
         select from workflow_run_labels l where l.workflow_run_id = r.id and l.label_key = :label_key
            and (:label_value?::text is null or l.label_value = :label_value)))
   and (:before_created_at?::timestamptz is null or (r.created_at, r.id) < (:before_created_at, :before_id?::text))
 order by r.created_at desc, r.id desc limit :limit::int;

-- name: findWorkflowId :maybe
select w.id from workflows w
 where w.project_id = :project_id and (w.id = :workflow or w.slug = :workflow) and w.deleting_at is null
 order by w.id = :workflow desc limit 1;

-- name: listSteps :many
select s.* from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id
   and (:after_created_at?::timestamptz is null or (s.created_at, s.id) > (:after_created_at, :after_id?::text))
 order by s.created_at, s.id limit :limit::int;

-- name: findStep :maybe
select s.* from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id and s.step_ref = :step_ref;

-- name: readStates :one
select coalesce(string_agg(s.state, '' order by s.step_ref collate "C"), '') as "board!"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id;

-- name: listChildren :many
-- Child runs that have not ended, for a pause of a whole tree.
select c.id from workflow_runs c
 where c.project_id = :project_id and c.parent_workflow_run_id = :workflow_run_id and c.status in ('pending', 'running', 'paused')
   and c.id <> all (:except_ids::text[])
 order by c.id;

-- name: listUndone :many
-- Steps that a compensation undid, or tried to.
select c.step_ref from compensation_runs c join workflow_runs r on r.id = c.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id and c.started_at is not null;
