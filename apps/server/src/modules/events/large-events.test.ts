// One large event for everybody who waits under a prefix is not multiplied beyond measure.
// The long form: STRAIT_SCENARIOS=full (more waits than one such event reaches).
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { workflowApp } from '../../../test/workflow-runs.ts';

const WAITS = process.env['STRAIT_SCENARIOS'] === 'full' ? 66 : 3;
/** Of an event of almost 1 MiB. */
const AT_ONCE = 64;

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
});
after(() => on.close());

it('a large event reaches the oldest waits, and the rest when it is sent again', async () => {
  const steps = Array.from({ length: WAITS }, (_, n) => ({
    step_ref: `wait${n}`,
    step_type: 'wait_for_event',
    event_key: `large/${n}`,
  }));
  await on.workflow('large', steps);
  const id = await on.trigger('large');
  const payload = 'x'.repeat(1_040_000);
  const resolved: number[] = [];
  for (let call = 0; call < 2; call += 1) {
    const { body } = await on.call('POST', '/v1/events/prefix/large/send', { payload });
    resolved.push(body.resolved);
  }
  const first = Math.min(WAITS, AT_ONCE);
  assert.deepEqual(resolved, [first, WAITS - first]);
  await on.reaches(id, 'completed');
});
