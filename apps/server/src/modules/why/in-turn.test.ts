// Random states without a database in which keys share a job: who goes first in turn, and how far a limit has to be raised.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { competitorsOf, shares, treeOf } from '../../../test/promotion-trees.ts';
import { promotionState } from '../../../test/promotion-states.ts';
import { needed } from './in-turn.ts';
import { promotable, standing, type Competitor } from './promotion-model.ts';

const seed = Number(process.env['STRAIT_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const STATES = process.env['STRAIT_SCENARIOS'] === 'full' ? 30_000 : 2_000;

const before = (runs: readonly Competitor[], me: Competitor): number =>
  runs
    .filter(({ lane_id }) => lane_id === me.lane_id)
    .findIndex(({ run_id }) => run_id === me.run_id);

/** The same with the limits of one run raised. */
const raised = (runs: readonly Competitor[], me: Competitor, job: number, project: number) =>
  runs.map((run) => ({
    ...run,
    own_room:
      run.lane_id === me.lane_id ? Math.max(run.own_room, before(runs, me) + 1) : run.own_room,
    job_room: run.job_lane_id === me.job_lane_id ? Math.max(run.job_room, job) : run.job_room,
    project_room: Math.max(run.project_room, project),
  }));

describe('turns of keys', () => {
  it(`decide as the model of promotion does, and limits are raised far enough (seed ${seed})`, (test) => {
    let asked = 0;
    let free = 0;
    for (let n = 0; n < STATES; n++) {
      const tree = treeOf(promotionState(seed, n));
      if (!shares(tree)) continue;
      const runs = competitorsOf(tree, false);
      const entered = promotable(runs);
      for (const me of runs) {
        const at = { run_id: me.run_id, before_in_lane: before(runs, me) };
        const stands = standing(runs, at);
        assert.ok(stands);
        const fits =
          at.before_in_lane < me.own_room &&
          stands.ahead_in_job < me.job_room &&
          stands.ahead_at_endpoint < me.endpoint_room &&
          stands.ahead_in_project < me.project_room &&
          !stands.probe_taken;
        assert.equal(fits, entered.has(me.run_id), `state ${n}, seed ${seed}, run ${me.run_id}`);
        asked += 1;
        free += fits ? 1 : 0;
        const needs = needed(runs, at);
        assert.ok(needs);
        if (fits) assert.ok(needs.before_in_job < me.job_room);
        // An endpoint takes no more for that.
        const open = runs.map((run) => ({ ...run, probes: null, counted_endpoint: null }));
        const far = needed(open, at);
        assert.ok(far);
        const enough = raised(open, me, far.before_in_job + 1, far.before_in_project + 1);
        assert.ok(promotable(enough).has(me.run_id), `state ${n}, seed ${seed}, run ${me.run_id}`);
      }
    }
    test.diagnostic(`${asked} runs, ${free} of them free`);
    assert.ok(free > asked / 20 && free < asked * 0.95, 'both answers are given often');
  });

  it('raises a limit no further than needed', () => {
    // One light run behind a backlog of a heavy key: shared alike, the second slot is its.
    const run = (n: number, lane_id: number): Competitor => ({
      run_id: String(n),
      rank: n,
      seq: n,
      lane_id,
      job_lane_id: 0,
      own_room: 500,
      job_room: 1,
      counted_endpoint: null,
      endpoint_room: 500,
      project_room: 500,
      probes: null,
      money: null,
      spent: 0,
      key_min: 0,
      key_weight: 1,
      key_slots: 0,
      turn: lane_id,
    });
    const runs = [...Array.from({ length: 300 }, (_, n) => run(n, 1)), run(300, 2)];
    assert.deepEqual(needed(runs, { run_id: '300', before_in_lane: 0 }), {
      before_in_job: 1,
      before_in_project: 1,
    });
    assert.deepEqual(needed(runs, { run_id: '100', before_in_lane: 100 })?.before_in_job, 101);
  });
});
