// Which version a run that begins now follows, when nobody names one: the current one, or what an active canary shares out.
import type { Tx } from '../../../platform/db/database.ts';
import { versionFor } from './rules.ts';
import * as store from './store.sql.ts';

export interface Beginning {
  readonly project_id: string;
  readonly workflow_id: string;
  /** The current one. */
  readonly version: number;
  /** Another child of this step keeps the version of the one before. */
  readonly keep_step_run_id?: string;
  /** A run that goes on as a new one keeps its version. */
  readonly keep_version?: number;
}

export type Route = (tx: Tx, beginning: Beginning) => Promise<number>;

export const createRouting =
  (random: () => number = Math.random): Route =>
  async (tx, { project_id, workflow_id, version, keep_step_run_id, keep_version }) => {
    const canary = await store.findRoute(tx, {
      project_id,
      workflow_id,
      step_run_id: keep_step_run_id ?? null,
    });
    return canary ? versionFor(canary, random(), keep_version ?? canary.kept) : version;
  };
