// What the progression of a run on the database answers, whoever asks it. A transaction can be lost before its commit: it is
// done again, as after the crash of a process, and has to come to the same.
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { createRouting } from '../../src/modules/workflows/canary/routing.ts';
import type { Database, Tx } from '../../src/platform/db/database.ts';
import type { EngineLimits, Event } from '../../src/modules/workflows/engine/facts.ts';
import {
  createProgression,
  type Delivered,
  type Progression,
} from '../../src/modules/workflows/progression/progression.ts';
import type { RunKey } from '../../src/modules/workflows/progression/run-lock.ts';
import type { StoredWorld } from './stored-world.ts';

class Crash extends Error {}

export interface Heard {
  readonly event: Event;
  readonly answer: Delivered;
}

export function listen({ hot, deps }: StoredWorld, key: RunKey, limits: EngineLimits) {
  let heard: Heard[] = [];
  let isLosing = false;
  const heardIn = new WeakMap<Tx, Heard[]>();
  const collecting = async <T>(work: (tx: Tx) => Promise<T>, tx: Tx) => {
    const answers: Heard[] = [];
    heardIn.set(tx, answers);
    return { result: await work(tx), answers };
  };
  const db: Database = {
    ...hot,
    transaction: async (work) => {
      let lost: Heard[] | undefined;
      if (isLosing)
        await hot
          .transaction(async (tx) => {
            lost = (await collecting(work, tx)).answers;
            throw new Crash();
          })
          .catch((error: unknown) => {
            if (!(error instanceof Crash)) throw error;
          });
      const { result, answers } = await hot.transaction((tx) => collecting(work, tx));
      if (lost) assert.deepEqual(answers, lost, 'what a crash took was decided otherwise again');
      heard.push(...answers);
      return result;
    },
  };
  const stored = createProgression({
    route: createRouting(),
    ...deps,
    limits,
  });
  const progression: Progression = {
    ...stored,
    deliver: async (tx, run, event, reason) => {
      const answer = await stored.deliver(tx, run, event, reason);
      if (run.key.workflow_run_id === key.workflow_run_id) heardIn.get(tx)?.push({ event, answer });
      return answer;
    },
  };
  return {
    db,
    progression,
    /** What the run was told in transactions that were committed. */
    heard: (): readonly Heard[] => heard,
    /** Begins anew; `loses`: every transaction is lost once. */
    forget({ loses }: { readonly loses: boolean }): void {
      heard = [];
      isLosing = loses;
    },
  };
}

/**
 * What came is what was to come. Of ends that are no success the driver makes up more than there is; with children of a map
 * come those that were canceled.
 */
export function isSame(one: Event, wanted: Event): boolean {
  if (one.kind === 'job_ended' && wanted.kind === 'job_ended') {
    const isIt = one.job_run_id === wanted.job_run_id && one.status === wanted.status;
    const said = wanted.status === 'completed' ? one.result : one.error;
    return (
      isIt && isDeepStrictEqual(said, wanted.status === 'completed' ? wanted.result : wanted.error)
    );
  }
  if (one.kind === 'child_ended' && wanted.kind === 'child_ended') {
    const isIt = one.child_run_id === wanted.child_run_id && one.status === wanted.status;
    return isIt && (wanted.status !== 'completed' || isDeepStrictEqual(one.output, wanted.output));
  }
  if (one.kind === 'map_children_ended' && wanted.kind === 'map_children_ended') {
    const indexes = new Set(wanted.children.map(({ index }) => index));
    const children = one.children.filter(({ index, open }) => open || indexes.has(index));
    return isDeepStrictEqual({ ...one, children }, wanted);
  }
  return isDeepStrictEqual(one, wanted);
}
