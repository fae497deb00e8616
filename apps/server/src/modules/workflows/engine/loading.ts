// Between a progression and its store: what is known to begin with, and what a store adds when asked.
import type { Known, Need } from './facts.ts';

export type FirstFacts = Pick<Known, 'now' | 'run' | 'graph' | 'board' | 'limits'>;
export type Loaded = Partial<
  Pick<Known, 'rows' | 'outputs' | 'payload' | 'admissions' | 'map_outputs'>
>;

/** `more` holds what the store loads unasked, such as the row of the step an event is about. */
export const firstKnown = (facts: FirstFacts, more: Loaded = {}): Known => ({
  ...facts,
  rows: more.rows ?? new Map(),
  outputs: more.outputs ?? new Map(),
  admissions: more.admissions ?? new Map(),
  map_outputs: more.map_outputs ?? new Map(),
  ...(more.payload ? { payload: more.payload } : {}),
});

/** @throws Error when the store did not bring what was asked: the progression would ask for it for ever. */
export function learn(known: Known, need: Need, loaded: Loaded): Known {
  const rows = join(known.rows, loaded.rows, need.rows);
  const outputs = join(known.outputs, loaded.outputs, need.outputs);
  const refs = need.admissions.map(({ step_ref }) => step_ref);
  const admissions = join(known.admissions, loaded.admissions, refs);
  const map_outputs = join(known.map_outputs, loaded.map_outputs, need.map_outputs);
  const payload = loaded.payload ?? known.payload;
  if (need.payload && !payload) throw new Error('the payload was asked for and not loaded');
  return { ...known, rows, outputs, admissions, map_outputs, ...(payload ? { payload } : {}) };
}

function join<Value>(
  old: ReadonlyMap<string, Value>,
  more: ReadonlyMap<string, Value> | undefined,
  asked: readonly string[],
): ReadonlyMap<string, Value> {
  const all = more ? new Map([...old, ...more]) : old;
  const missing = asked.find((step_ref) => !all.has(step_ref));
  if (missing !== undefined) throw new Error(`step ${missing} was asked for and not loaded`);
  return all;
}
