// Jobs that wait for others, on the application without loops: ends are acted on when the test says so.

import assert from 'node:assert/strict';
import { runActions } from './run-actions.ts';

export async function dependencyActions() {
  const on = await runActions();

  /** What the loop does: acts on ends and judges until nothing is left. */
  async function settle(): Promise<void> {
    const { chaining, endings } = on.app.composition.modules;
    while ((await chaining.follow()).again);
    while ((await endings.judge()).again);
  }

  const depend = (job: string, depends_on_job_id: string, condition?: string) =>
    on.call('POST', `/v1/jobs/${job}/dependencies`, { depends_on_job_id, condition });

  async function pair(condition = 'completed'): Promise<[first: string, second: string]> {
    const [first, second] = [await on.makeJob(), await on.makeJob()];
    const { status, body } = await depend(second, first, condition);
    assert.equal(status, 201, JSON.stringify(body));
    assert.equal(body.condition, condition);
    return [first, second];
  }

  async function end(job: string, to: string, body: object = {}): Promise<string> {
    const id = await on.run(job, body);
    const claim = { ...(await on.claim(id)), started_at: new Date().toISOString() };
    if (to === 'completed') await on.queue.complete([claim]);
    else await on.queue.settle([{ ...claim, to, error: 'it broke', error_class: 'server' }]);
    return id;
  }

  const status = async (id: string): Promise<string> => (await on.read(id)).status;

  async function close(): Promise<void> {
    const open = await on.app.sql<{ run_id: string }>('select run_id from run_waiting');
    for (const { run_id } of open) await on.call('DELETE', `/v1/runs/${run_id}`);
    await on.close();
  }

  return { ...on, settle, depend, pair, end, status, close };
}
