// Ways in which runs of the original hung (workflow-semantics §27.1, S9 to S12).
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'fatal' });
  for (const slug of ['a', 'bad', 'off']) await on.job(slug);
  await on.internal('PATCH', '/v1/jobs/off', { enabled: false });
  on.answers['bad'] = () => ({ status: 400, body: {} });
});
after(() => on.close());

const sub = (sub_workflow_slug: string, more: object = {}) => ({
  step_ref: 'sub',
  step_type: 'sub_workflow',
  sub_workflow_slug,
  ...more,
});
const approval = { step_ref: 'ok', step_type: 'approval', approvers: ['*'] };

describe('a workflow run', () => {
  it('whose first step cannot start has failed when the trigger answers, or goes on (S9)', async () => {
    await on.workflow('dead', [
      { step_ref: 'first', job_slug: 'off' },
      { step_ref: 'next', job_slug: 'a', depends_on: ['first'] },
    ]);
    const { body } = await on.internal('POST', '/v1/workflows/dead/trigger', {});
    assert.deepEqual(
      [body.status, body.error],
      ['failed', 'step first failed: the job is disabled'],
    );
    assert.deepEqual(await on.states(body.id), { first: 'failed', next: 'canceled' });

    await on.workflow('limps', [
      { step_ref: 'first', job_slug: 'off', on_failure: 'continue' },
      { step_ref: 'next', job_slug: 'a', depends_on: ['first'] },
    ]);
    await on.reaches(await on.trigger('limps'), 'completed');
  });

  it('is there with its steps and their work, or not at all (S9)', async () => {
    await on.workflow('whole', [
      { step_ref: 'a', job_slug: 'a' },
      { step_ref: 'b', step_type: 'wait_for_event', event_key: 'whole' },
    ]);
    const left = async () => {
      const [row] = await on.app.sql<{ runs: string; jobs: string }>(
        `select (select count(*) from workflow_runs) as runs,
                (select count(*) from job_runs where workflow_step_run_id is not null) as jobs`,
      );
      return [row?.runs, row?.jobs];
    };
    const before = await left();
    await on.app.sql(
      `create function fall() returns trigger language plpgsql as $$ begin raise exception 'fallen'; end $$`,
    );
    // The last thing that beginning it writes.
    await on.app.sql(
      'create trigger fall before insert on workflow_run_events for each row execute function fall()',
    );
    const answer = await on.internal('POST', '/v1/workflows/whole/trigger', {});
    await on.app.sql('drop trigger fall on workflow_run_events');
    assert.equal(answer.status, 500);
    assert.deepEqual(await left(), before);
    await on.trigger('whole');
  });

  it('fails where a workflow that it needs cannot start (S10)', async () => {
    await on.workflow('closed', [approval]);
    await on.workflow('needs', [sub('closed')]);
    const off = await on.internal('PATCH', '/v1/workflows/closed', { enabled: false });
    assert.equal(off.status, 200);
    const run = await on.reaches(await on.trigger('needs'), 'failed');
    assert.equal(run.error, 'step sub failed: the workflow is disabled');

    await on.workflow('deep', []);
    const made = await on.internal('PATCH', '/v1/workflows/deep', {
      steps: [sub('deep', { max_nesting_depth: 1 })],
    });
    assert.equal(made.status, 200, JSON.stringify(made.body));
    const deep = await on.reaches(await on.trigger('deep'), 'failed');
    assert.match(deep.error, /max nesting depth exceeded/);
  });

  it('hears of a child that was canceled or timed out (S11)', async () => {
    await on.workflow('waits', [approval]);
    await on.workflow('above', [sub('waits')]);
    const id = await on.trigger('above');
    const child = (await on.steps(id))['sub'].child_workflow_run_id;
    await on.internal('DELETE', `/v1/workflow-runs/${child}`);
    const canceled = await on.reaches(id, 'failed');
    assert.match(canceled.error, /sub-workflow .* ended with status canceled$/);

    await on.workflow('slow', [approval], { timeout_secs: 1 });
    await on.workflow('patient', [sub('slow')]);
    const timedOut = await on.reaches(await on.trigger('patient'), 'failed');
    assert.match(timedOut.error, /sub-workflow .* ended with status timed_out$/);
  });

  it('fails where nothing can continue it', async () => {
    const next = { step_ref: 'next', step_type: 'continue_as_new' };
    await on.workflow('emptied', [approval, { ...next, depends_on: ['ok'] }]);
    const emptied = await on.trigger('emptied');
    await on.workflow('at-once', [next]);
    for (const slug of ['emptied', 'at-once'])
      await on.internal('PATCH', `/v1/workflows/${slug}`, { steps: [] });
    const approved = await on.internal('POST', `/v1/workflow-runs/${emptied}/steps/ok/approve`, {});
    assert.equal(approved.status, 200, JSON.stringify(approved.body));
    // The second has failed before it began.
    for (const id of [emptied, await on.trigger('at-once', { version: 1 })])
      assert.equal(
        (await on.reaches(id, 'failed')).error,
        'the run cannot continue with version 2: it has no steps',
      );

    // A workflow without active runs can be deleted, and a step of an old run can be retried.
    await on.workflow('deleted', [
      { step_ref: 'a', job_slug: 'bad' },
      { ...next, depends_on: ['a'] },
    ]);
    const deleted = await on.trigger('deleted');
    await on.reaches(deleted, 'failed');
    assert.equal((await on.internal('DELETE', '/v1/workflows/deleted')).status, 204);
    const answer = on.answers['bad'];
    delete on.answers['bad'];
    const retried = await on.internal('POST', `/v1/workflow-runs/${deleted}/steps/a/retry`);
    assert.equal(retried.status, 200, JSON.stringify(retried.body));
    await until('the run to have failed for another reason', async () =>
      /cannot continue: the workflow was deleted/.test((await on.read(deleted)).error ?? ''),
    );
    if (answer) on.answers['bad'] = answer;
  });

  it('fails with its step although it is paused (S12)', async () => {
    const release = Promise.withResolvers<void>();
    on.answers['a'] = async () => {
      await release.promise;
      return { status: 400, body: {} };
    };
    await on.workflow('paused', [{ step_ref: 'a', job_slug: 'a' }, approval]);
    const id = await on.trigger('paused');
    await on.stepReaches(id, 'a', 'running');
    assert.equal(
      (await on.internal('POST', `/v1/workflow-runs/${id}/pause`)).body.status,
      'paused',
    );
    release.resolve();
    await on.reaches(id, 'failed');
    delete on.answers['a'];
    assert.deepEqual(await on.states(id), { a: 'failed', ok: 'canceled' });
  });
});
