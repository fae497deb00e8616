-- The record of who changed what.

-- name: insertAuditEvent :count
insert into audit_events (project_id, actor_id, actor_type, action, resource_type, resource_id,
                          details, changes, ip_address, user_agent)
values (:project_id, :actor_id, :actor_type, :action, :resource_type, :resource_id?,
        :details::jsonb, :changes?::jsonb, :ip_address?, :user_agent?);
