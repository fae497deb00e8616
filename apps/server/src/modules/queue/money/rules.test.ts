import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { refusingBudget, type Demand } from './rules.ts';

const micro = fc.integer({ min: 0, max: 1_000 });
const left = fc.option(fc.integer({ min: -500, max: 1_000 }));
const demands = fc.record({
  reserve: fc.option(micro),
  key_left: left,
  job_left: left,
  project_left: left,
  key_demand: micro,
  job_demand: micro,
  project_demand: micro,
});

test('a trigger is accepted if and only if every budget that refuses can pay for all that waits and for it', () => {
  fc.assert(
    fc.property(demands, fc.integer({ min: 0, max: 3 }), (demand: Demand, more) => {
      const { reserve } = demand;
      const fits = (['key', 'job', 'project'] as const).every((scope) => {
        const has = demand[`${scope}_left`];
        return (
          reserve === null ||
          has === null ||
          (has > 0 && has - demand[`${scope}_demand`] - more * reserve >= 0)
        );
      });
      assert.equal(refusingBudget(demand, more) === undefined, fits);
    }),
  );
});

test('one accepted trigger after the other never asks for more than there is', () => {
  fc.assert(
    fc.property(
      micro,
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 40 }),
      (room, reserve, calls) => {
        let waiting = 0;
        for (let call = 0; call < calls; call++) {
          const demand = {
            reserve,
            key_left: null,
            job_left: null,
            project_left: room,
            key_demand: 0,
            job_demand: 0,
            project_demand: waiting,
          };
          if (refusingBudget(demand, 1) === undefined) waiting += reserve;
        }
        assert.ok(waiting <= room);
        assert.ok(waiting === calls * reserve || room - waiting < reserve, 'and no less than fits');
      },
    ),
  );
});
