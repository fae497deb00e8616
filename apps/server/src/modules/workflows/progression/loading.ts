// What the engine asks for, read under the lock.
import type { Tx } from '../../../platform/db/database.ts';
import type { JsonValue } from '../engine/definition.ts';
import type { Event, Need, StepRow } from '../engine/facts.ts';
import type { Loaded } from '../engine/loading.ts';
import { codeOf } from '../engine/states.ts';
import type { LockedRun } from './run-lock.ts';
import * as store from './store.sql.ts';

/** Steps that may follow one that ends, so many at most are looked at before the engine asks. */
const FORESEEN = 20;

/** What the end of a step is going to need: its row, and what the steps need that may start then. Saves a round trip. */
export function foresee({ graph, board, facts }: LockedRun, event: Event): Need {
  const need = { rows: [] as string[], outputs: [] as string[], payload: false };
  const empty = { admissions: [], map_outputs: [] };
  const index = 'step_ref' in event ? graph.indexOf.get(event.step_ref) : undefined;
  if (index === undefined || !ENDS.has(event.kind) || board[index] !== codeOf('running'))
    return { ...need, ...empty };
  const refOf = (at: number) => graph.steps[at]?.step_ref ?? '';
  need.rows.push(refOf(index));
  const next = facts.status === 'running' ? (graph.dependents[index] ?? []) : [];
  for (const dependent of next.slice(0, FORESEEN)) {
    const others = (graph.dependencies[dependent] ?? []).filter((one) => one !== index);
    if (!others.every((one) => board[one] === codeOf('completed'))) continue;
    need.rows.push(refOf(dependent));
    if (others.length <= FORESEEN) need.outputs.push(...others.map(refOf));
    need.payload = true;
  }
  return { ...need, ...empty };
}
const ENDS: ReadonlySet<string> = new Set(['job_ended', 'child_ended']);

/** Outputs read for one progression: more could take the whole process down, and again wherever it is tried next. */
const MOST_LOADED_BYTES = 256 * 1024 * 1024;
/** So few are never as large as that. */
const FEW = 8;

/** Whether the outputs of these steps can be read at once. */
export async function areLoadable(
  tx: Tx,
  run: LockedRun,
  step_refs: readonly string[],
): Promise<boolean> {
  if (step_refs.length <= FEW) return true;
  return (await store.sumOutputs(tx, { ...run.key, step_refs })).bytes <= MOST_LOADED_BYTES;
}

/** Ids of step runs by ref, filled as rows are read. */
export type StepIds = Map<string, string>;

export async function load(
  tx: Tx,
  run: LockedRun,
  need: Need,
  ids: StepIds,
  max_bytes: number,
): Promise<Omit<Loaded, 'admissions'>> {
  const rows = new Map<string, StepRow>();
  const outputs = new Map<string, JsonValue>();
  if (need.rows.length + need.outputs.length > 0) {
    const found = await store.readSteps(tx, {
      ...run.key,
      step_refs: [...new Set([...need.rows, ...need.outputs])],
      output_refs: need.outputs,
    });
    const wanted = new Set(need.outputs);
    for (const { id, step_ref, output, ...row } of found) {
      ids.set(step_ref, id);
      rows.set(step_ref, row);
      if (wanted.has(step_ref)) outputs.set(step_ref, output as JsonValue);
    }
  }
  const map_outputs = new Map<string, readonly JsonValue[] | 'too_large'>();
  for (const step_ref of need.map_outputs) {
    const { bytes } = await store.sumMapOutputs(tx, { ...run.key, step_ref });
    if (bytes > max_bytes) map_outputs.set(step_ref, 'too_large');
    else
      map_outputs.set(
        step_ref,
        (await store.readMapOutputs(tx, { ...run.key, step_ref })).map(({ output }) => output),
      );
  }
  return {
    rows,
    outputs,
    map_outputs,
    ...(need.payload ? { payload: { value: (await store.readPayload(tx, run.key)).payload } } : {}),
  };
}
