// Events from outside that end waits of steps: what `events`, which is below this module, is given. Each is one progression in
// the transaction of whoever sends.
import type { StepEvents } from '../../events/index.ts';
import type { Progression } from '../progression/progression.ts';
import * as store from './store.sql.ts';

export const createStepEvents = (progression: Progression): StepEvents => ({
  async lock(tx, input) {
    await store.lockRuns(tx, input);
  },

  async deliver(tx, { project_id, workflow_run_id, step_run_id, trigger_id }, end) {
    // Read anew for every event: what the one before it did to another run may have changed this one.
    const run = await progression.open(tx, { project_id, workflow_run_id });
    const step = run && (await store.findStepRef(tx, { ...run.key, step_run_id }));
    if (!run || !step) return false;
    const answer = await progression.deliver(tx, run, { ...end, ...step, trigger_id });
    return answer.kind === 'changes';
  },
});
