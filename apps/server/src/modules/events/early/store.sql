-- Events that came before anybody waited for them.

-- name: lockKey :one
-- Who opens a wait and who keeps an event for one come one after the other: else both could miss each other. Taken after locks of
-- runs, never before them; a statement of its own, so that what follows sees what the other one did.
select true as "locked!" from pg_advisory_xact_lock(hashtextextended(:project_id::text || ' ' || :event_key::text, 7305));

-- name: findBuffer :maybe
-- No row: the project keeps no events.
select event_buffer_secs as "secs!" from project_quotas where project_id = :project_id and event_buffer_secs > 0;

-- name: findEarlyEvent :maybe
-- The first that came; kept from others who would take it.
select e.id, e.payload, e.sent_by from early_events e
 where e.project_id = :project_id and e.event_key = :event_key and e.expires_at > strait_now()
 order by e.id limit 1 for update;

-- name: takeEarlyEvent :maybe
delete from early_events e
 where e.project_id = :project_id
   and e.id = (select o.id from early_events o where o.project_id = :project_id and o.event_key = :event_key and o.expires_at > strait_now()
                order by o.id limit 1)
returning e.payload, e.sent_by;

-- name: listKept :many
-- Of one key, to tell a repeated send.
select e.payload, e.expires_at from early_events e
 where e.project_id = :project_id and e.event_key = :event_key and e.expires_at > strait_now() order by e.id limit 100;

-- name: countKept :one
select count(*)::int as "kept!" from (select from early_events e where e.project_id = :project_id limit :most::int) x;

-- name: keepEvent :one
insert into early_events (project_id, event_key, payload, sent_by, expires_at)
values (:project_id, :event_key, :payload_json::jsonb, :sent_by, strait_now() + make_interval(secs => :secs::int))
returning expires_at;

-- name: removeExpired :count
-- across projects: retention.
delete from early_events where id = any (array(select id from early_events where expires_at <= strait_now() order by expires_at limit :limit::int));

-- name: sendKeptOf :count
-- The oldest of this key is sent again, to who waits for it by now.
with gone as (
  delete from early_events e
   where e.project_id = :project_id
     and e.id = (select o.id from early_events o where o.project_id = :project_id and o.event_key = :event_key and o.expires_at > strait_now()
                  order by o.id limit 1)
  returning e.project_id, e.event_key, e.payload, e.sent_by
), sent as (
  insert into event_emits (project_id, event_key, payload, sent_by) select project_id, event_key, payload, sent_by from gone
  returning id
), woken as materialized (select pg_notify('event_emit', '') where exists (select from sent))
select id from sent where (select count(*) from woken) >= 0;

-- name: sendKept :many
-- across projects: a loop serves all of them.
-- A net: kept events whose key is waited for, as when a project began to keep events at that very moment.
with gone as (
  delete from early_events where id = any (array(
    select e.id from early_events e
     where e.expires_at > strait_now()
       and exists (select from event_triggers t where t.project_id = e.project_id and t.event_key = e.event_key
                      and t.status = 'waiting' and t.trigger_type = 'event')
     order by e.id limit :limit::int for update skip locked))
  returning project_id, event_key, payload, sent_by, id
), sent as (
  insert into event_emits (project_id, event_key, payload, sent_by) select project_id, event_key, payload, sent_by from gone order by id
  returning id
), woken as materialized (select pg_notify('event_emit', '') where exists (select from sent))
select id from sent where (select count(*) from woken) >= 0;
