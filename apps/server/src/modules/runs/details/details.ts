// What a run writes about itself. Callers hold the run's lease (queue's `leases.lock`) in the same transaction,
// and have serialised the run where something is counted; nothing here checks that again.

import type { Queryable } from '../../../platform/db/query.ts';
import * as store from './store.sql.ts';

export const runDetailLimits = { state_keys: 1_000, outputs: 10_000, children: 1_000 } as const;

interface RunKey {
  readonly run_id: string;
  readonly project_id: string;
}

export interface UsageReport {
  readonly provider: string;
  readonly model: string;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** Null: taken from the price list. */
  readonly cost_microusd: number | null;
}

const json = (value: unknown): string => JSON.stringify(value);
/** Absent in replies, like everything a run did not send. */
const absent = (value: unknown): unknown => value ?? undefined;
const optionalJson = (value: unknown): string | null =>
  value === undefined ? null : JSON.stringify(value);

export const runDetails = {
  run: (db: Queryable, key: RunKey) => store.findRun(db, key),

  /** Null when the run has none. */
  payload: async (db: Queryable, key: RunKey): Promise<unknown> =>
    (await store.findPayload(db, key))?.payload ?? null,

  /** Serialised: the sequence is 1, 2, 3, … */
  addCheckpoint: (tx: Queryable, run_id: string, source: string, state: unknown) =>
    store.addCheckpoint(tx, { run_id, source, state_json: json(state) }),

  /** Serialised. Undefined: the run would reach its cost limit. */
  addUsage: (tx: Queryable, key: RunKey, usage: UsageReport) =>
    store.addUsage(tx, { ...key, ...usage }),

  addToolCall: async (
    tx: Queryable,
    run_id: string,
    call: {
      tool_name: string;
      input?: unknown;
      output?: unknown;
      duration_ms?: number | undefined;
      status: string;
    },
  ) => {
    const row = await store.addToolCall(tx, {
      run_id,
      tool_name: call.tool_name,
      input_json: optionalJson(call.input),
      output_json: optionalJson(call.output),
      duration_ms: call.duration_ms ?? null,
      status: call.status,
    });
    return { ...row, input: absent(row.input), output: absent(row.output) };
  },

  /** Serialised. Undefined: too many outputs. */
  saveOutput: async (
    tx: Queryable,
    run_id: string,
    output_key: string,
    schema: unknown,
    value: unknown,
  ) => {
    const row = await store.saveOutput(tx, {
      run_id,
      output_key,
      schema_json: optionalJson(schema),
      value_json: json(value),
      max_outputs: runDetailLimits.outputs,
    });
    return row && { ...row, schema: absent(row.schema) };
  },

  /** Serialised. Undefined: too many keys. */
  saveState: (tx: Queryable, run_id: string, state_key: string, value: unknown) =>
    store.saveState(tx, {
      run_id,
      state_key,
      value_json: json(value),
      max_keys: runDetailLimits.state_keys,
    }),

  listState: (db: Queryable, run_id: string) => store.listState(db, { run_id }),
  findState: (db: Queryable, run_id: string, state_key: string) =>
    store.findState(db, { run_id, state_key }),
  removeState: async (tx: Queryable, run_id: string, state_key: string): Promise<boolean> =>
    (await store.removeState(tx, { run_id, state_key })) > 0,

  /** Serialised. Whether the run may spawn another. */
  maySpawn: async (tx: Queryable, run_id: string): Promise<boolean> =>
    (await store.countChildren(tx, { run_id, cap: runDetailLimits.children })).children <
    runDetailLimits.children,
};
