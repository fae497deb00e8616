-- Leases of once-per-cluster work, and the clock.

-- name: acquireLease :maybe
-- Takes a free lease or renews our own. No row: somebody else holds it.
-- `fence` stays the same as long as the lease was never lost in between.
insert into leader_leases as l (name, holder, fence, expires_at)
values (:name, :holder, 1, strait_now() + :lease_ms::float8 * interval '1 millisecond')
on conflict (name) do update
   set holder = excluded.holder,
       expires_at = excluded.expires_at,
       fence = case
                 when l.holder = excluded.holder and l.expires_at > strait_now() then l.fence
                 else l.fence + 1
               end
 where l.holder = excluded.holder or l.expires_at <= strait_now()
returning fence;

-- name: holdLease :maybe
-- Keeps the lease from changing hands until the transaction ends. No row: it already has.
select fence
  from leader_leases
 where name = :name and holder = :holder and fence = :fence and expires_at > strait_now()
   for share;

-- name: releaseLease :count
-- The row stays, because its fence must go on growing.
update leader_leases
   set expires_at = strait_now()
 where name = :name and holder = :holder and fence = :fence;

-- name: readClock :one
select (extract(epoch from strait_now()) * 1000)::float8 as "now_ms!";
