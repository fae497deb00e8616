// The promoter beside those who hold the root of a tree.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';
import { untilSomebodyWaits } from '../../../../test/lock-waits.ts';
import { createLimits } from './limits.ts';
import { createPromoter } from './promoter.ts';

let on: Awaited<ReturnType<typeof runActions>>;
before(async () => {
  on = await runActions();
});
after(() => on.close());

it('waits in line for a root that is never free when it looks', async () => {
  const promoter = createPromoter({
    limits: createLimits({ db: on.app.composition.hot }),
    listener: { on: () => () => {} },
    onError: (error) => assert.fail(String(error)),
  });
  const job = await on.makeJob({ max_concurrency: 1 });
  const trigger = async (): Promise<string> =>
    (await on.call('POST', `/v1/jobs/${job}/trigger`, {})).body.id;
  const [first, second] = [await trigger(), await trigger()];
  await on.call('DELETE', `/v1/runs/${first}`);
  const [root] = await on.app.sql<{ id: number }>(
    'select root_lane_id::int as id from run_parked where run_id = $1',
    second,
  );
  assert.ok(root);
  await on.app.db.transaction(async (tx) => {
    await tx.query({
      text: 'select from lanes where lane_id = $1 for no key update',
      values: [root.id],
    });
    promoter.ask([root.id]);
    await untilSomebodyWaits(on.app, 'the promoter to wait for the root');
  });
  await promoter.idle();
  const ready = await on.app.sql<{ run_id: string }>('select run_id from run_queue');
  assert.deepEqual(ready, [{ run_id: second }]);
  await on.call('DELETE', `/v1/runs/${second}`);
});
