// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface FindJobOfKeysParams {
  readonly project_id: string;
  readonly job: string;
}

export interface FindJobOfKeysRow {
  readonly id: string;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
}

const findJobOfKeysText = `select j.id, nullif(j.max_concurrency, 0) as "max_concurrency", nullif(j.max_concurrency_per_key, 0) as "max_concurrency_per_key"
  from jobs j
 where j.project_id = $1 and (j.id = $2 or j.slug = $2) and j.deleting_at is null
 order by j.id = $2 desc limit 1`;

/** By id or slug. */
export function findJobOfKeys(db: Queryable, params: FindJobOfKeysParams): Promise<FindJobOfKeysRow | undefined> {
  return maybe<FindJobOfKeysRow>(db, {
    text: findJobOfKeysText,
    values: [
      params.project_id,
      params.job,
    ],
  });
}

export interface LockJobOfKeysParams {
  readonly job_id: string;
  readonly project_id: string;
}

export interface LockJobOfKeysRow {
  readonly id: string;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
}

const lockJobOfKeysText = `select j.id, nullif(j.max_concurrency, 0) as "max_concurrency", nullif(j.max_concurrency_per_key, 0) as "max_concurrency_per_key"
  from jobs j
 where j.id = $1 and j.project_id = $2 and j.deleting_at is null for no key update`;

/** Changes of one job's keys come one after the other, so sums are those of what is committed. */
export function lockJobOfKeys(db: Queryable, params: LockJobOfKeysParams): Promise<LockJobOfKeysRow | undefined> {
  return maybe<LockJobOfKeysRow>(db, {
    text: lockJobOfKeysText,
    values: [
      params.job_id,
      params.project_id,
    ],
  });
}

export interface ListKeyLimitsParams {
  readonly job_id: string;
  readonly project_id: string;
}

export interface ListKeyLimitsRow {
  readonly concurrency_key: string;
  readonly min_concurrency: number;
  readonly max_concurrency: number | null;
  readonly weight: number;
  readonly updated_at: string;
}

const listKeyLimitsText = `select k.concurrency_key, k.min_concurrency, k.max_concurrency, k.weight, k.updated_at
  from job_key_limits k where k.job_id = $1 and k.project_id = $2
 order by k.concurrency_key`;

export function listKeyLimits(db: Queryable, params: ListKeyLimitsParams): Promise<ListKeyLimitsRow[]> {
  return many<ListKeyLimitsRow>(db, {
    text: listKeyLimitsText,
    values: [
      params.job_id,
      params.project_id,
    ],
  });
}

export interface SumOtherKeysParams {
  readonly concurrency_key: string;
  readonly job_id: string;
  readonly project_id: string;
}

export interface SumOtherKeysRow {
  readonly keys: number;
  readonly min_concurrency: number;
  readonly before: number;
}

const sumOtherKeysText = `select (count(*) filter (where k.concurrency_key <> $1))::int as "keys",
       coalesce(sum(k.min_concurrency) filter (where k.concurrency_key <> $1), 0)::int as "min_concurrency",
       coalesce(max(k.min_concurrency) filter (where k.concurrency_key = $1), 0)::int as "before"
  from job_key_limits k where k.job_id = $2 and k.project_id = $3`;

/** What the job's other keys have; `before`: the minimum of this one so far. */
export function sumOtherKeys(db: Queryable, params: SumOtherKeysParams): Promise<SumOtherKeysRow> {
  return one<SumOtherKeysRow>(db, {
    text: sumOtherKeysText,
    values: [
      params.concurrency_key,
      params.job_id,
      params.project_id,
    ],
  });
}

export interface SaveKeyLimitParams {
  readonly job_id: string;
  readonly concurrency_key: string;
  readonly project_id: string;
  readonly min_concurrency: number;
  readonly max_concurrency: number | null;
  readonly weight: number;
  readonly actor_id: string;
}

export interface SaveKeyLimitRow {
  readonly concurrency_key: string;
  readonly min_concurrency: number;
  readonly max_concurrency: number | null;
  readonly weight: number;
  readonly updated_at: string;
}

const saveKeyLimitText = `insert into job_key_limits as k (job_id, concurrency_key, project_id, min_concurrency, max_concurrency, weight, updated_by)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (job_id, concurrency_key) do update
   set min_concurrency = excluded.min_concurrency, max_concurrency = excluded.max_concurrency, weight = excluded.weight,
       updated_by = excluded.updated_by, updated_at = strait_now()
 where k.project_id = $3
returning concurrency_key, min_concurrency, max_concurrency, weight, updated_at`;

export function saveKeyLimit(db: Queryable, params: SaveKeyLimitParams): Promise<SaveKeyLimitRow> {
  return one<SaveKeyLimitRow>(db, {
    text: saveKeyLimitText,
    values: [
      params.job_id,
      params.concurrency_key,
      params.project_id,
      params.min_concurrency,
      params.max_concurrency,
      params.weight,
      params.actor_id,
    ],
  });
}

export interface DeleteKeyLimitParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly concurrency_key: string;
}

const deleteKeyLimitText = `delete from job_key_limits k where k.job_id = $1 and k.project_id = $2 and k.concurrency_key = $3`;

export function deleteKeyLimit(db: Queryable, params: DeleteKeyLimitParams): Promise<number> {
  return count(db, {
    text: deleteKeyLimitText,
    values: [
      params.job_id,
      params.project_id,
      params.concurrency_key,
    ],
  });
}

export interface FlagKeysParams {
  readonly job_id: string;
  readonly project_id: string;
}

const flagKeysText = `update jobs j set has_key_limits = exists (select from job_key_limits k where k.job_id = j.id)
 where j.id = $1 and j.project_id = $2`;

export function flagKeys(db: Queryable, params: FlagKeysParams): Promise<number> {
  return count(db, {
    text: flagKeysText,
    values: [
      params.job_id,
      params.project_id,
    ],
  });
}
