drop table if exists audit_events, known_actors, tag_policies, resource_policies, project_member_roles, project_roles, api_keys;
drop function if exists strait_guard_audit_events();
