// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface SerializeDependenciesParams {
  readonly project_id: string;
}

export interface SerializeDependenciesRow {
  readonly locked: boolean;
}

const serializeDependenciesText = `select true as "locked" from pg_advisory_xact_lock(hashtextextended($1::text, 7302))`;

/**
 * across projects: a lock, no data.
 * Cycles are looked for one change at a time per project: two that each see no cycle could close one together.
 */
export function serializeDependencies(db: Queryable, params: SerializeDependenciesParams): Promise<SerializeDependenciesRow> {
  return one<SerializeDependenciesRow>(db, {
    text: serializeDependenciesText,
    values: [params.project_id],
  });
}

export interface FindCycleParams {
  readonly depends_on_job_id: string;
  readonly job_id: string;
  readonly project_id: string;
}

export interface FindCycleRow {
  readonly id: string;
}

const findCycleText = `with recursive above (job_id) as (
  select d.depends_on_job_id from job_dependencies d where d.job_id = $1
  union
  select d.depends_on_job_id from above join job_dependencies d on d.job_id = above.job_id
)
select j.id from jobs j where j.id = $2 and j.project_id = $3 and j.id in (select job_id from above)`;

/** Whether :depends_on_job_id already waits for :job_id, over any number of jobs. */
export function findCycle(db: Queryable, params: FindCycleParams): Promise<FindCycleRow | undefined> {
  return maybe<FindCycleRow>(db, {
    text: findCycleText,
    values: [
      params.depends_on_job_id,
      params.job_id,
      params.project_id,
    ],
  });
}

export interface CountDependenciesParams {
  readonly job_id: string;
}

export interface CountDependenciesRow {
  readonly dependencies: number;
}

const countDependenciesText = `select count(*)::int as "dependencies" from job_dependencies where job_id = $1`;

/** across projects: the caller holds the job in its project. */
export function countDependencies(db: Queryable, params: CountDependenciesParams): Promise<CountDependenciesRow> {
  return one<CountDependenciesRow>(db, {
    text: countDependenciesText,
    values: [params.job_id],
  });
}

export interface InsertDependencyParams {
  readonly job_id: string;
  readonly depends_on_job_id: string;
  readonly project_id: string;
  readonly condition: string;
}

export interface InsertDependencyRow {
  readonly id: string;
  readonly job_id: string;
  readonly depends_on_job_id: string;
  readonly condition: string;
  readonly created_at: string;
}

const insertDependencyText = `with mine as materialized (
  select j.id from jobs j
   where j.id = any (array[$1::text, $2::text]) and j.project_id = $3 and j.deleting_at is null
   order by j.id for no key update
), made as (
  insert into job_dependencies (job_id, depends_on_job_id, condition)
  select $1, $2, $4 where (select count(*) from mine) = 2
      on conflict (job_id, depends_on_job_id) do nothing
  returning *
), flagged as (
  update jobs j set has_dependencies = j.has_dependencies or j.id = $1, followed = j.followed or j.id = $2
   where j.id = any (array(select id from mine)) and j.project_id = $3 and exists (select from made)
)
select * from made`;

/** With the flags that say so on both jobs. No row: it exists, or one of the jobs is gone. */
export function insertDependency(db: Queryable, params: InsertDependencyParams): Promise<InsertDependencyRow | undefined> {
  return maybe<InsertDependencyRow>(db, {
    text: insertDependencyText,
    values: [
      params.job_id,
      params.depends_on_job_id,
      params.project_id,
      params.condition,
    ],
  });
}

export interface ListDependenciesParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListDependenciesRow {
  readonly id: string;
  readonly job_id: string;
  readonly depends_on_job_id: string;
  readonly condition: string;
  readonly created_at: string;
}

const listDependenciesText = `select d.* from job_dependencies d join jobs j on j.id = d.job_id
 where d.job_id = $1 and j.project_id = $2
   and ($3::timestamptz is null or (d.created_at, d.id) < ($3, $4::text))
 order by d.created_at desc, d.id desc limit $5::int`;

export function listDependencies(db: Queryable, params: ListDependenciesParams): Promise<ListDependenciesRow[]> {
  return many<ListDependenciesRow>(db, {
    text: listDependenciesText,
    values: [
      params.job_id,
      params.project_id,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface DeleteDependencyParams {
  readonly dependency_id: string;
  readonly job_id: string;
  readonly project_id: string;
}

export interface DeleteDependencyRow {
  readonly id: string;
  readonly depends_on_job_id: string;
}

const deleteDependencyText = `delete from job_dependencies d using jobs j
 where d.id = $1 and d.job_id = $2 and j.id = d.job_id and j.project_id = $3
returning d.id, d.depends_on_job_id`;

export function deleteDependency(db: Queryable, params: DeleteDependencyParams): Promise<DeleteDependencyRow | undefined> {
  return maybe<DeleteDependencyRow>(db, {
    text: deleteDependencyText,
    values: [
      params.dependency_id,
      params.job_id,
      params.project_id,
    ],
  });
}

export interface ClearFlagsParams {
  readonly job_ids: readonly (string | null)[];
  readonly project_id: string;
}

const clearFlagsText = `update jobs j
   set has_dependencies = exists (select from job_dependencies d where d.job_id = j.id),
       followed = coalesce(j.on_complete_trigger_job, j.on_failure_trigger_job, j.on_complete_trigger_workflow,
                           j.on_failure_trigger_workflow) is not null
                  or exists (select from job_dependencies d where d.depends_on_job_id = j.id)
                  or exists (select from job_versions v where v.job_id = j.id
                                and coalesce(v.on_complete_trigger_job, v.on_failure_trigger_job, v.on_complete_trigger_workflow,
                                             v.on_failure_trigger_workflow) is not null)
 where j.id = any ($1::text[]) and j.project_id = $2`;

/** After a dependency is gone, on the jobs at its two ends. */
export function clearFlags(db: Queryable, params: ClearFlagsParams): Promise<number> {
  return count(db, {
    text: clearFlagsText,
    values: [
      params.job_ids,
      params.project_id,
    ],
  });
}
