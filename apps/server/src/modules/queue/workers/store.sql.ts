// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, one, type Queryable } from '../../../platform/db/query.ts';

export interface RegisterWorkerParams {
  readonly hostname: string;
  readonly pid: number;
}

export interface RegisterWorkerRow {
  readonly id: number;
}

const registerWorkerText = `insert into workers (heartbeat_at, started_at, hostname, pid) values (strait_now(), strait_now(), $1, $2) returning id`;

export function registerWorker(db: Queryable, params: RegisterWorkerParams): Promise<RegisterWorkerRow> {
  return one<RegisterWorkerRow>(db, {
    text: registerWorkerText,
    values: [
      params.hostname,
      params.pid,
    ],
  });
}

export interface BeatWorkerParams {
  readonly worker_id: number;
}

const beatWorkerText = `update workers set heartbeat_at = strait_now() where id = $1`;

/** One row per process whatever it executes; not waiting for the disk is right for a beat. */
export function beatWorker(db: Queryable, params: BeatWorkerParams): Promise<number> {
  return count(db, {
    text: beatWorkerText,
    values: [params.worker_id],
  });
}

export interface RemoveWorkerParams {
  readonly worker_id: number;
}

const removeWorkerText = `delete from workers where id = $1`;

/** Only once nothing of it executes: leases without a worker row are reaped at once. */
export function removeWorker(db: Queryable, params: RemoveWorkerParams): Promise<number> {
  return count(db, {
    text: removeWorkerText,
    values: [params.worker_id],
  });
}

export interface ListLeasesParams {
  readonly worker_id: number;
}

export interface ListLeasesRow {
  readonly run_id: string;
  readonly run_created_at: string;
  readonly attempt: number;
  readonly claim_seq: number;
  readonly settled: boolean;
}

const listLeasesText = `select run_id, run_created_at, attempt, claim_seq, started_at < strait_now() - make_interval(secs => 5) as "settled"
  from run_active where worker_id = $1`;

/** across projects: a worker looks at its own leases. */
export function listLeases(db: Queryable, params: ListLeasesParams): Promise<ListLeasesRow[]> {
  return many<ListLeasesRow>(db, {
    text: listLeasesText,
    values: [params.worker_id],
  });
}

export interface ListFatesParams {
  readonly run_ids: readonly (string | null)[];
  readonly created_from: string;
  readonly created_to: string;
}

export interface ListFatesRow {
  readonly id: string;
  readonly status: string;
  readonly attempt: number;
}

const listFatesText = `select id, status, attempt from job_runs
 where id = any ($1::text[]) and created_at >= $2::timestamptz and created_at <= $3::timestamptz`;

/** across projects: a worker asks about runs whose lease it no longer holds. */
export function listFates(db: Queryable, params: ListFatesParams): Promise<ListFatesRow[]> {
  return many<ListFatesRow>(db, {
    text: listFatesText,
    values: [
      params.run_ids,
      params.created_from,
      params.created_to,
    ],
  });
}
