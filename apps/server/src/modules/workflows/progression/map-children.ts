// Children of maps: each is a job or workflow run with a row of its own, so that a progression reads counts only.
import type { Tx } from '../../../platform/db/database.ts';
import type { Start } from '../engine/changes.ts';
import type { JsonValue, StepDefinition } from '../engine/definition.ts';
import type { Event } from '../engine/facts.ts';
import {
  childPayload,
  pathsIn,
  RenderedTooLarge,
  type ChildPayloadParts,
} from '../engine/templates.ts';
import { areLoadable, type StepIds } from './loading.ts';
import type { LockedRun } from './run-lock.ts';
import { beginWork, type StartDeps, type Work } from './starts.ts';
import * as store from './store.sql.ts';

export interface MapDeps extends StartDeps {
  readonly max_payload_bytes: number;
  /** Why the job refuses this payload, or undefined. */
  readonly checkPayload: (
    tx: Tx,
    run: LockedRun,
    job_id: string,
    payload: JsonValue,
  ) => Promise<string | undefined>;
}

type Children = Extract<Start, { kind: 'map_children' }>;

/** Of payloads that are in memory at the same time: each child has one of its own. */
const AT_ONCE_BYTES = 16 * 1024 * 1024;

/** Starts them; those that cannot be started have failed, which is an event of its own. */
export async function beginChildren(
  tx: Tx,
  deps: MapDeps,
  run: LockedRun,
  start: Children,
  ids: StepIds,
): Promise<Event | null> {
  const { step_ref, attempt, target, timeout_secs } = start;
  const { project_id } = run.key;
  const index = run.graph.indexOf.get(step_ref) ?? -1;
  const step = run.graph.steps[index];
  const step_run_id = ids.get(step_ref);
  if (!step || step_run_id === undefined) throw new Error(`step ${step_ref} was not loaded`);
  const reads = readsOf(step.payload);
  const isLoadable = !reads.parents || (await areLoadable(tx, run, step.depends_on));
  const shared = isLoadable ? await sharedParts(tx, run, step, reads) : undefined;
  const items = await store.readMapItems(tx, {
    ...run.key,
    step_ref,
    attempt,
    from: start.from,
    count: start.count,
  });
  const begun = async (work: readonly (Work & { readonly index: number })[]): Promise<void> => {
    if (work.length === 0) return;
    const made = await beginWork(tx, deps, run, work);
    const links = work.map(({ index: at }, position) => ({ index: at, ...made[position] }));
    await store.linkMapChildren(tx, { project_id, step_run_id, attempt, links });
  };
  let work: (Work & { readonly index: number })[] = [];
  let bytes = 0;
  const errors: { index: number; error: string }[] = [];
  for (const { index: at, item } of items) {
    const payload =
      shared && payloadOf({ ...shared, template: step.payload, item, index: at }, deps);
    if (payload === undefined) {
      errors.push({ index: at, error: 'the payload is too large' });
      continue;
    }
    const size = Buffer.byteLength(JSON.stringify(payload));
    const error =
      size > deps.max_payload_bytes
        ? 'the payload is too large'
        : target.kind === 'job'
          ? run.takeAll.has(target.job_id)
            ? undefined
            : await deps.checkPayload(tx, run, target.job_id, payload)
          : undefined;
    if (error !== undefined) {
      errors.push({ index: at, error });
      continue;
    }
    work.push({ index: at, step_ref, step_run_id, target, payload, timeout_secs });
    bytes += size;
    if (bytes < AT_ONCE_BYTES) continue;
    await begun(work);
    work = [];
    bytes = 0;
  }
  await begun(work);
  if (errors.length === 0) return null;
  await store.failMapChildren(tx, {
    project_id,
    step_run_id,
    attempt,
    errors: errors,
  });
  const children = errors.map(({ index: at }) => ({ index: at, ok: false, open: true }));
  return { kind: 'map_children_ended', step_ref, attempt, children };
}

/** Undefined: there would be no end of it. */
function payloadOf(
  parts: ChildPayloadParts,
  { max_payload_bytes }: { readonly max_payload_bytes: number },
): JsonValue | undefined {
  try {
    return childPayload(parts, max_payload_bytes);
  } catch (error) {
    if (error instanceof RenderedTooLarge) return undefined;
    throw error;
  }
}

interface Reads {
  readonly payload: boolean;
  readonly parents: boolean;
}

/** Of a payload with templates: no more is loaded than it mentions. */
function readsOf(template: JsonValue): Reads {
  const heads = new Set(pathsIn(template).map((path) => path.split('.')[0] ?? ''));
  const parents = heads.delete('parent_outputs');
  for (const name of ['item', 'index']) heads.delete(name);
  return { payload: heads.size > 0, parents };
}

async function sharedParts(tx: Tx, run: LockedRun, step: StepDefinition, reads: Reads) {
  const payload = reads.payload ? (await store.readPayload(tx, run.key)).payload : null;
  const refs = reads.parents ? step.depends_on : [];
  const rows =
    refs.length === 0
      ? []
      : await store.readSteps(tx, { ...run.key, step_refs: refs, output_refs: refs });
  const outputs = new Map(rows.map(({ step_ref, output }) => [step_ref, output as JsonValue]));
  const parent_outputs = new Map<string, JsonValue>();
  for (const ref of refs) {
    const output = outputs.get(ref) ?? null;
    const at = run.graph.indexOf.get(ref);
    // Only what completed contributes: `C` on the board.
    if (output !== null && at !== undefined && run.board[at] === 'C')
      parent_outputs.set(ref, output);
  }
  const fallbacks = {
    workflow_run_id: run.row.id,
    workflow_id: run.row.workflow_id,
    step_ref: step.step_ref,
  };
  return { payload, parent_outputs, fallbacks };
}
