// Workflows that follow the end of a job run.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../test/run-actions.ts';

let on: Awaited<ReturnType<typeof runActions>>;
before(async () => {
  on = await runActions();
});
after(() => on.close());

const follow = async (): Promise<void> => {
  while ((await on.app.composition.modules.chaining.follow()).again);
};
const gate = { step_ref: 'gate', step_type: 'approval', approvers: ['*'] };
async function workflow(slug: string, settings: object = {}): Promise<string> {
  const body = { name: slug, slug, steps: [gate], ...settings };
  const made = await on.call('POST', '/v1/workflows', body);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}
const runsOf = async (slug: string) =>
  (await on.call('GET', `/v1/workflows/${slug}/runs`)).body.data;

/** Takes a fresh run to an end through the queue's verbs. */
async function end(job: string, to: string, result?: unknown) {
  const id = await on.run(job, { payload: { in: 1 } });
  const claim = { ...(await on.claim(id)), started_at: new Date().toISOString() };
  if (to === 'completed') await on.queue.complete([{ ...claim, result: JSON.stringify(result) }]);
  else await on.queue.settle([{ ...claim, to, error: 'it broke', error_class: 'server' }]);
  return id;
}
const notes = async (run_id: string): Promise<string> =>
  (
    await on.app.sql<{ message: string }>(
      `select message from run_events where run_id = $1 and type = 'log' order by id`,
      run_id,
    )
  )
    .map(({ message }) => message)
    .join('\n');

describe('workflows that follow jobs', () => {
  it('start once, with what the mapping says, among other ends', async () => {
    await workflow('follower');
    const next = await on.makeJob();
    const plain = await on.makeJob({ on_complete_trigger_job: next });
    const job = await on.makeJob({
      on_complete_trigger_workflow: 'follower',
      on_complete_payload_mapping: { id: 'order.id' },
    });
    const source = await end(job, 'completed', { order: { id: 7 } });
    await end(plain, 'completed', {});
    await end(job, 'dead_letter');
    await Promise.all([follow(), follow(), follow()]);
    const [run, ...others] = await runsOf('follower');
    assert.deepEqual(others, []);
    assert.deepEqual(
      [run.status, run.payload, run.triggered_by, run.created_by],
      ['running', { id: 7 }, 'job_completion', `run:${source}`],
    );
    assert.equal(run.tags.source_run_id, source);
    assert.equal(
      (await on.app.sql('select from job_runs where triggered_by = $1', 'job_completion')).length,
      1,
    );
    assert.deepEqual(await on.app.sql('select from run_endings'), []);
  });

  it('repair after a failure, by the version the run ran', async () => {
    await workflow('repair');
    const job = await on.makeJob({ on_failure_trigger_workflow: 'repair' });
    const id = await on.run(job, { payload: { in: 1 } });
    await on.call('PATCH', `/v1/jobs/${job}`, { on_failure_trigger_workflow: null });
    const claim = { ...(await on.claim(id)), started_at: new Date().toISOString() };
    await on.queue.settle([
      { ...claim, to: 'timed_out', error: 'it broke', error_class: 'server' },
    ]);
    await end(job, 'failed');
    await follow();
    const [run, ...others] = await runsOf('repair');
    assert.deepEqual(others, []);
    assert.equal(run.triggered_by, 'job_failure');
    assert.deepEqual(
      [run.payload.source_run_id, run.payload.status, run.payload.original_input],
      [id, 'timed_out', { in: 1 }],
    );
  });

  it('are left out for good when they cannot start, and wait for room', async () => {
    await workflow('off', { enabled: false });
    const full = await workflow('full', { max_concurrent_runs: 1 });
    const why = async (target: string): Promise<string> => {
      const job = await on.makeJob({ on_complete_trigger_workflow: target });
      const id = await end(job, 'completed', {});
      await follow();
      return notes(id);
    };
    assert.match(
      await why('unheard-of'),
      /workflow that follows was not started: workflow not found/,
    );
    assert.match(await why('off'), /was not started: the workflow is disabled/);
    assert.equal(await why('full'), '');
    assert.equal(await why('full'), '', 'tried again later');
    const [run, ...others] = await runsOf('full');
    assert.deepEqual(others, []);
    await on.call('DELETE', `/v1/workflow-runs/${run.id}`);
    await on.app.sql('update run_endings set due_at = now()');
    await follow();
    assert.equal((await runsOf('full')).length, 2);
    const active = await on.app.sql(
      `select from workflow_runs where workflow_id = $1 and status = 'running'`,
      full,
    );
    assert.equal(active.length, 1);
  });

  it('come to an end when their own job starts them again', async () => {
    const job = await on.makeJob();
    await workflow('loop', { steps: [{ step_ref: 'work', job_slug: job }] });
    await on.call('PATCH', `/v1/jobs/${job}`, { on_complete_trigger_workflow: 'loop' });
    assert.equal((await on.call('POST', '/v1/workflows/loop/trigger', {})).status, 201);
    let last = '';
    for (;;) {
      await follow();
      const open = await on.app.sql<{ id: string }>(
        `select r.id from job_runs r join jobs j on j.id = r.job_id where j.slug = $1 and r.status = 'queued'`,
        job,
      );
      if (!open[0]) break;
      last = open[0].id;
      const claim = { ...(await on.claim(last)), started_at: new Date().toISOString() };
      await on.queue.complete([{ ...claim, result: '{}' }]);
    }
    assert.equal((await runsOf('loop')).length, 11, 'a workflow and its job count as one');
    assert.match(await notes(last), /10 runs led to this one/);
  });
});
