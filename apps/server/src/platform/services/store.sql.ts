// Generated from store.sql by `npm run generate`. Do not edit.
import { count, maybe, one, type Queryable } from '../db/query.ts';

export interface AcquireLeaseParams {
  readonly name: string;
  readonly holder: string;
  readonly lease_ms: number;
}

export interface AcquireLeaseRow {
  readonly fence: number;
}

const acquireLeaseText = `insert into leader_leases as l (name, holder, fence, expires_at)
values ($1, $2, 1, strait_now() + $3::float8 * interval '1 millisecond')
on conflict (name) do update
   set holder = excluded.holder,
       expires_at = excluded.expires_at,
       fence = case
                 when l.holder = excluded.holder and l.expires_at > strait_now() then l.fence
                 else l.fence + 1
               end
 where l.holder = excluded.holder or l.expires_at <= strait_now()
returning fence`;

/**
 * Takes a free lease or renews our own. No row: somebody else holds it.
 * `fence` stays the same as long as the lease was never lost in between.
 */
export function acquireLease(db: Queryable, params: AcquireLeaseParams): Promise<AcquireLeaseRow | undefined> {
  return maybe<AcquireLeaseRow>(db, {
    text: acquireLeaseText,
    values: [
      params.name,
      params.holder,
      params.lease_ms,
    ],
  });
}

export interface HoldLeaseParams {
  readonly name: string;
  readonly holder: string;
  readonly fence: number;
}

export interface HoldLeaseRow {
  readonly fence: number;
}

const holdLeaseText = `select fence
  from leader_leases
 where name = $1 and holder = $2 and fence = $3 and expires_at > strait_now()
   for share`;

/** Keeps the lease from changing hands until the transaction ends. No row: it already has. */
export function holdLease(db: Queryable, params: HoldLeaseParams): Promise<HoldLeaseRow | undefined> {
  return maybe<HoldLeaseRow>(db, {
    text: holdLeaseText,
    values: [
      params.name,
      params.holder,
      params.fence,
    ],
  });
}

export interface ReleaseLeaseParams {
  readonly name: string;
  readonly holder: string;
  readonly fence: number;
}

const releaseLeaseText = `update leader_leases
   set expires_at = strait_now()
 where name = $1 and holder = $2 and fence = $3`;

/** The row stays, because its fence must go on growing. */
export function releaseLease(db: Queryable, params: ReleaseLeaseParams): Promise<number> {
  return count(db, {
    text: releaseLeaseText,
    values: [
      params.name,
      params.holder,
      params.fence,
    ],
  });
}

export interface ReadClockRow {
  readonly now_ms: number;
}

const readClockText = `select (extract(epoch from strait_now()) * 1000)::float8 as "now_ms"`;

export function readClock(db: Queryable): Promise<ReadClockRow> {
  return one<ReadClockRow>(db, {
    text: readClockText,
    values: [],
  });
}
