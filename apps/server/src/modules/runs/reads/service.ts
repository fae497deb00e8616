// Everything that only reads runs. Reads go through the tenant role; the one exception says why.

import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { page, type Cursor, type Page } from '../../../platform/http/pagination.ts';
import type { ProjectScope } from '../../access/index.ts';
import { isRunId, runStates } from '../../queue/index.ts';
import { runView, type JobRun, type RunRow } from '../views.ts';
import type { DebugBundle } from './contract.ts';
import { containments, type RunListQuery } from './query.ts';
import * as store from './store.sql.ts';

const COUNT_CAP = 100_000;
const BUNDLE_LIMITS = {
  events: 10_000,
  checkpoints: 1000,
  usage: 1000,
  tool_calls: 1000,
  outputs: 10_000,
};
const BUNDLE_BYTES = 32 * 1024 * 1024;
const BUNDLE_PAGE = 100;

export interface Paging {
  readonly limit: number;
  readonly cursor?: Cursor | undefined;
}

export interface RunReadsDependencies {
  readonly db: Database;
  readonly jobs: {
    findForTrigger(
      project_id: string,
      id_or_slug: string,
    ): Promise<{ readonly id: string } | undefined>;
  };
}

export type RunReads = ReturnType<typeof createRunReads>;

export function createRunReads({ db, jobs }: RunReadsDependencies) {
  /** A reading transaction on a run of the project. @throws run_not_found */
  const onRun = <T>(
    project: ProjectScope,
    run_id: string,
    read: (tx: Tx, key: RunKey) => Promise<T>,
  ): Promise<T> => {
    if (!isRunId(run_id)) throw new Failure('run_not_found');
    return db.tenant(project.project_id, async (tx) => {
      const key = { ...project, run_id };
      if (!(await store.findRunRef(tx, key))) throw new Failure('run_not_found');
      return read(tx, key);
    });
  };

  const list = async (
    project: ProjectScope,
    query: Omit<RunListQuery, 'project_id'>,
  ): Promise<Page<JobRun>> => {
    const { limit, cursor } = query;
    const job =
      query.job_id === undefined
        ? undefined
        : await jobs.findForTrigger(project.project_id, query.job_id);
    if (query.job_id !== undefined && !job) return { data: [], has_more: false };
    const tags = containments(query.tags, query.tag_key, query.tag_value);
    const metadata = containments(query.metadata, query.metadata_key, query.metadata_value);
    const filters = {
      ...project,
      limit: limit + 1,
      statuses: query.status ?? runStates.states,
      before_created_at: cursor?.created_at ?? null,
      before_id: cursor?.id ?? null,
      from: query.from ?? null,
      to: query.to ?? null,
      triggered_by: query.triggered_by ?? null,
      error_class: query.error_class ?? null,
      execution_mode: query.execution_mode ?? null,
      tags: tags.contains,
      tag_key: tags.key,
      metadata_key: metadata.key,
    };
    const { batch_id = null, parent_run_id = null, payload_contains } = query;
    const found =
      batch_id !== null ||
      parent_run_id !== null ||
      metadata.contains !== null ||
      payload_contains !== undefined;
    const read = (): Promise<RunRow[]> => {
      if (found) {
        const payload_contains_json =
          payload_contains === undefined ? null : JSON.stringify(payload_contains);
        // Not through the tenant role: row security forbids using an index for `@>` before its own check.
        return store.listRunsFound(db, {
          ...filters,
          batch_id,
          parent_run_id,
          metadata: metadata.contains,
          payload_contains_json,
          job_id: job?.id ?? null,
        });
      }
      return db.tenant(project.project_id, (tx): Promise<RunRow[]> =>
        job
          ? store.listRunsOfJob(tx, { ...filters, job_id: job.id })
          : store.listRunsByStatus(tx, filters),
      );
    };
    return page((await read()).map(runView), limit);
  };

  return {
    list,

    /** @throws run_not_found */
    get: async (project: ProjectScope, run_id: string): Promise<JobRun> => {
      const row = isRunId(run_id)
        ? await db.tenant(project.project_id, (tx) => store.findRun(tx, { ...project, run_id }))
        : undefined;
      if (!row) throw new Failure('run_not_found');
      return runView(row);
    },

    children: (project: ProjectScope, run_id: string, { limit, cursor }: Paging) =>
      onRun(project, run_id, async (tx, key) =>
        page(
          (await store.listChildren(tx, { ...key, limit: limit + 1, ...after(cursor) })).map(
            runView,
          ),
          limit,
        ),
      ),

    lineage: (project: ProjectScope, run_id: string, { limit, cursor }: Paging) =>
      onRun(project, run_id, async (tx, key) => {
        const rows = await store.listLineage(tx, {
          ...key,
          limit: limit + 1,
          ...afterInLineage(cursor),
        });
        return page(rows.map(runView), limit, lineagePosition);
      }),

    events: (
      project: ProjectScope,
      run_id: string,
      query: Paging & { level?: string | undefined; type?: string | undefined },
    ) =>
      onRun(project, run_id, async (tx, key) => {
        const { limit, cursor, level = null, type = null } = query;
        return page(
          await store.listEvents(tx, { ...key, level, type, limit: limit + 1, ...after(cursor) }),
          limit,
        );
      }),

    checkpoints: (project: ProjectScope, run_id: string, { limit, cursor }: Paging) =>
      onRun(project, run_id, async (tx, key) =>
        page(
          await store.listCheckpoints(tx, { ...key, limit: limit + 1, ...before(cursor) }),
          limit,
        ),
      ),

    usage: (project: ProjectScope, run_id: string, { limit, cursor }: Paging) =>
      onRun(project, run_id, async (tx, key) =>
        page(await store.listUsage(tx, { ...key, limit: limit + 1, ...before(cursor) }), limit),
      ),

    toolCalls: (project: ProjectScope, run_id: string, { limit, cursor }: Paging) =>
      onRun(project, run_id, async (tx, key) => {
        const rows = await store.listToolCalls(tx, { ...key, limit: limit + 1, ...before(cursor) });
        return page(rows.map(toolCallView), limit);
      }),

    outputs: (project: ProjectScope, run_id: string, { limit, cursor }: Paging) =>
      onRun(project, run_id, async (tx, key) => {
        const rows = await store.listOutputs(tx, { ...key, limit: limit + 1, ...after(cursor) });
        return page(rows.map(outputView), limit);
      }),

    state: (project: ProjectScope, run_id: string) =>
      onRun(project, run_id, (tx, key) => store.listState(tx, key)),

    /** At most 32 MiB and engine-semantics §13.3's number of each; `truncated` says that something is missing. */
    debugBundle: (project: ProjectScope, run_id: string): Promise<DebugBundle> => {
      if (!isRunId(run_id)) throw new Failure('run_not_found');
      return db.tenant(project.project_id, async (tx) => {
        const key = { ...project, run_id };
        const run = await store.findRun(tx, key);
        if (!run) throw new Failure('run_not_found');
        let room = BUNDLE_BYTES;
        let truncated = false;
        const all = async <Row extends Cursor>(
          cap: number,
          read: (cursor: Cursor | undefined) => Promise<Row[]>,
        ): Promise<Row[]> => {
          const rows: Row[] = [];
          for (;;) {
            const next = await read(rows.at(-1));
            rows.push(...next);
            room -= JSON.stringify(next).length;
            if (next.length < BUNDLE_PAGE) return rows;
            if (rows.length >= cap || room <= 0) {
              truncated = true;
              return rows;
            }
          }
        };
        const limit = BUNDLE_PAGE;
        const nothing = { level: null, type: null };
        const events = await all(BUNDLE_LIMITS.events, (cursor) =>
          store.listEvents(tx, { ...key, ...nothing, limit, ...after(cursor) }),
        );
        const usage = await all(BUNDLE_LIMITS.usage, (cursor) =>
          store.listUsage(tx, { ...key, limit, ...before(cursor) }),
        );
        const tool_calls = await all(BUNDLE_LIMITS.tool_calls, (cursor) =>
          store.listToolCalls(tx, { ...key, limit, ...before(cursor) }),
        );
        const outputs = await all(BUNDLE_LIMITS.outputs, (cursor) =>
          store.listOutputs(tx, { ...key, limit, ...after(cursor) }),
        );
        const checkpoints = await all(BUNDLE_LIMITS.checkpoints, (cursor) =>
          store.listCheckpoints(tx, { ...key, limit, ...before(cursor) }),
        );
        return {
          run: runView(run),
          events,
          checkpoints,
          usage,
          tool_calls: tool_calls.map(toolCallView),
          outputs: outputs.map(outputView),
          truncated,
        };
      });
    },

    stats: (project: ProjectScope) =>
      db.tenant(project.project_id, async (tx) => {
        const statuses = ['queued', 'dequeued', 'executing', 'delayed', 'waiting'];
        const rows = await store.countRunsByStatus(tx, { ...project, statuses, cap: COUNT_CAP });
        const count = (status: string) => rows.find((row) => row.status === status)?.runs ?? 0;
        return {
          queued: count('queued'),
          executing: count('dequeued') + count('executing'),
          delayed: count('delayed'),
          waiting: count('waiting'),
        };
      }),
  };
}

interface RunKey extends ProjectScope {
  readonly run_id: string;
}

const before = (cursor: Cursor | undefined) => ({
  before_created_at: cursor?.created_at ?? null,
  before_id: cursor?.id ?? null,
});
const after = (cursor: Cursor | undefined) => ({
  after_created_at: cursor?.created_at ?? null,
  after_id: cursor?.id ?? null,
});

/** The list is ordered by depth first, so its position carries the depth: `3:0199…`. */
const lineagePosition = (run: JobRun): Cursor => ({
  created_at: run.created_at,
  id: `${run.lineage_depth}:${run.id}`,
});

function afterInLineage(cursor: Cursor | undefined) {
  const [, depth, id] = /^(\d{1,6}):(.*)$/.exec(cursor?.id ?? '') ?? [];
  return {
    after_depth: cursor ? Number(depth ?? -1) : null,
    after_created_at: cursor?.created_at ?? '-infinity',
    after_id: id ?? '',
  };
}

/** JSON columns that hold nothing are absent, not null. */
const toolCallView = <Row extends { readonly input: unknown; readonly output: unknown }>(
  row: Row,
) => ({
  ...row,
  input: row.input ?? undefined,
  output: row.output ?? undefined,
});

const outputView = <Row extends { readonly schema: unknown }>(row: Row) => ({
  ...row,
  schema: row.schema ?? undefined,
});
