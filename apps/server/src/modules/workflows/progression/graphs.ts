// Compiled definitions of versions. A version never changes, so that every process keeps those it uses.
import type { Queryable } from '../../../platform/db/query.ts';
import { createLru } from '../../../platform/lru.ts';
import { definitionOf } from '../definitions/steps.ts';
import { listVersionSteps } from '../definitions/store.sql.ts';
import { compileGraph, type Graph } from '../engine/graph.ts';
import { applyOverrides, type StepOverride } from '../engine/validation.ts';
import * as starting from '../starting/store.sql.ts';

const KEPT = 500;

export interface GraphKey {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly version: number;
  readonly step_overrides: readonly StepOverride[];
}

/** There is nothing to follow. */
export class NoGraph extends Error {}

export type Graphs = ReturnType<typeof createGraphs>;

export function createGraphs() {
  const cache = createLru<Graph>(KEPT);
  return {
    /** Of what a run of this version follows. @throws NoGraph when the version is gone (runs keep theirs) or has no steps */
    async of(tx: Queryable, key: GraphKey): Promise<Graph> {
      const { step_overrides, ...version } = key;
      const name = `${key.workflow_id} ${key.version} ${step_overrides.length > 0 ? JSON.stringify(step_overrides) : ''}`;
      const known = cache.get(name);
      if (known) return known;
      const found = await starting.findRunVersion(tx, version);
      if (!found) throw new NoGraph(`workflow ${key.workflow_id} has no version ${key.version}`);
      const rows = await listVersionSteps(tx, {
        project_id: key.project_id,
        workflow_version_id: found.id,
      });
      const all = rows.map(definitionOf);
      if (all.length === 0) throw new NoGraph('it has no steps');
      const left = applyOverrides(all, step_overrides);
      if ('message' in left) throw new NoGraph(`overrides of a run: ${left.message}`);
      const graph = compileGraph(left.steps);
      cache.set(name, graph);
      return graph;
    },
  };
}
