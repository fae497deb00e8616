import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  for (const slug of ['a', 'b', 'c', 'bad', 'each']) await on.job(slug);
  on.answers['a'] = () => ({ body: { n: 1 } });
  on.answers['b'] = () => ({ body: { list: [1, 2, 3] } });
  on.answers['bad'] = () => ({ status: 400, body: { no: true } });
  on.answers['each'] = (request) => ({ body: request.body });
});
after(() => on.close());

const job = (step_ref: string, job_slug: string, more: object = {}) => ({
  step_ref,
  job_slug,
  ...more,
});

describe('workflow runs', () => {
  it('go from step to step, with outputs in payloads', async () => {
    await on.workflow('chain', [
      job('first', 'a'),
      job('second', 'b', { depends_on: ['first'] }),
      job('join', 'c', {
        depends_on: ['first', 'second'],
        payload: { n: '{{parent_outputs.first.n}}', who: '{{name}}' },
      }),
    ]);
    const id = await on.trigger('chain', { payload: { name: 'Al' } });
    await on.reaches(id, 'completed');
    const call = on.called.findLast(({ job: name }) => name === 'c');
    assert.deepEqual(call?.body, {
      name: 'Al',
      n: 1,
      who: 'Al',
      parent_outputs: { first: { n: 1 }, second: { list: [1, 2, 3] } },
    });
    const steps = await on.steps(id);
    assert.deepEqual([steps['join'].deps_completed, steps['join'].deps_required], [2, 2]);
    assert.deepEqual(steps['first'].output, { n: 1 });
  });

  it('fail with their step, and cancel what runs beside it', async () => {
    const release = Promise.withResolvers<void>();
    on.answers['c'] = async () => {
      await release.promise;
      return { body: {} };
    };
    await on.workflow('fails', [
      job('slow', 'c'),
      job('bad', 'bad'),
      { step_ref: 'wait', step_type: 'wait_for_event', event_key: 'never' },
    ]);
    const id = await on.trigger('fails');
    const run = await on.reaches(id, 'failed');
    assert.match(String(run.error), /^step bad failed: /);
    assert.deepEqual(await on.states(id), { slow: 'canceled', bad: 'failed', wait: 'canceled' });
    release.resolve();
    delete on.answers['c'];
    const [trigger] = await on.app.sql<{ status: string }>(
      `select status from event_triggers where event_key = 'never'`,
    );
    assert.equal(trigger?.status, 'canceled');
  });

  it('sleep, and go through a list', async () => {
    await on.workflow('map', [
      { step_ref: 'nap', step_type: 'sleep', sleep_duration: '1s' },
      job('make', 'b', { depends_on: ['nap'] }),
      {
        step_ref: 'all',
        step_type: 'map',
        job_slug: 'each',
        depends_on: ['make'],
        map_items: '{{parent_outputs.make.list}}',
        map_max_parallel: 2,
        payload: { value: '{{item}}' },
      },
      job('last', 'each', { depends_on: ['all'] }),
    ]);
    const id = await on.trigger('map');
    await on.reaches(id, 'completed');
    const steps = await on.steps(id);
    assert.deepEqual(
      steps['all'].output.map(({ value }: { value: number }) => value),
      [1, 2, 3],
    );
    assert.deepEqual(steps['all'].map, { total: 3, started: 3, completed: 3, failed: 0 });
  });

  it('start other workflows and take their outputs', async () => {
    await on.workflow('child', [job('one', 'a'), job('two', 'b', { depends_on: ['one'] })]);
    await on.workflow('parent', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'child' },
      job('after', 'each', { depends_on: ['sub'] }),
    ]);
    const id = await on.trigger('parent');
    await on.reaches(id, 'completed');
    const steps = await on.steps(id);
    assert.deepEqual(steps['sub'].output, { one: { n: 1 }, two: { list: [1, 2, 3] } });
    const child = await on.read(steps['sub'].child_workflow_run_id);
    assert.equal(child.parent_workflow_run_id, id);
  });

  it('continue as new with the state they carry', async () => {
    await on.workflow('again', [
      job('work', 'a', { condition: { type: 'lt', left: '{{payload.n}}', right: 3 } }),
      {
        step_ref: 'next',
        step_type: 'continue_as_new',
        depends_on: ['work'],
        condition: {
          type: 'all_of',
          conditions: [
            { type: 'step_status', step_ref: 'work', status: 'completed' },
            { type: 'lt', left: '{{payload.n}}', right: 1 },
          ],
        },
        payload: { n: 1 },
      },
    ]);
    const id = await on.trigger('again', { payload: { n: 0 } });
    await on.reaches(id, 'completed');
    const { body } = await on.internal('GET', '/v1/workflows/again/runs');
    assert.equal(body.data.length, 2);
    assert.equal(body.data[0].continues_run_id, id);
    await on.reaches(body.data[0].id, 'completed');
  });

  it('that continue others keep their labels, and the steps they leave out', async () => {
    const steps = [
      { step_ref: 'ok', step_type: 'approval', approvers: ['*'] },
      { step_ref: 'next', step_type: 'continue_as_new', depends_on: ['ok'] },
      job('charge', 'a'),
      job('gone', 'a'),
    ];
    await on.workflow('labelled', steps);
    const first = await on.trigger('labelled', {
      labels: { customer: 'c1' },
      step_overrides: [{ step_ref: 'charge' }, { step_ref: 'gone' }],
    });
    await on.internal('PATCH', '/v1/workflows/labelled', { steps: steps.slice(0, 3) });
    await on.internal('POST', `/v1/workflow-runs/${first}/steps/ok/approve`, {});
    const found = await on.internal('GET', '/v1/workflow-runs?label_key=customer&label_value=c1');
    const [next] = found.body.data;
    assert.deepEqual([next.continues_run_id, next.workflow_version], [first, 2]);
    assert.deepEqual(await on.states(next.id), { next: 'dependencies', ok: 'approval' });
    await on.internal('DELETE', `/v1/workflow-runs/${next.id}`);
  });

  it('that continue as new below a step have no more time than it gave', async () => {
    await on.workflow('endless', [
      { step_ref: 'ok', step_type: 'approval', approvers: ['*'] },
      {
        step_ref: 'next',
        step_type: 'continue_as_new',
        condition: { type: 'lt', left: '{{payload.n}}', right: 1 },
        depends_on: ['ok'],
        payload: { n: 1 },
      },
    ]);
    const sub = { step_type: 'sub_workflow', sub_workflow_slug: 'endless', timeout_secs: 600 };
    await on.workflow('patient', [{ step_ref: 'sub', payload: { n: 0 }, ...sub }]);
    const id = await on.trigger('patient');
    const child = (await on.steps(id))['sub'].child_workflow_run_id;
    const approved = await on.internal('POST', `/v1/workflow-runs/${child}/steps/ok/approve`, {});
    assert.equal(approved.status, 200);
    const rows = await on.app.sql<{ timeout_secs: number; status: string }>(
      `select timeout_secs, status from workflow_runs where parent_workflow_run_id = $1 and expires_at is not null order by id`,
      id,
    );
    assert.deepEqual(rows, [
      { timeout_secs: 600, status: 'completed' },
      { timeout_secs: 600, status: 'running' },
    ]);
    await on.internal('DELETE', `/v1/workflow-runs/${id}`);
  });

  it('skip by a condition on a long text, whatever its characters', async () => {
    const condition = { type: 'eq', left: '{{payload.text}}', right: 'short' };
    await on.workflow('long', [job('work', 'a', { condition })]);
    // The decision shows the beginning of the text: one of these two is cut within a character.
    for (const text of ['😀'.repeat(400), `x${'😀'.repeat(400)}`])
      await on.reaches(await on.trigger('long', { payload: { text } }), 'completed');
  });

  it('start with a version that could be, or not at all', async () => {
    const { status, body } = await on.internal('POST', '/v1/workflows/long/trigger', {
      version: 2_147_483_648,
    });
    assert.equal(status, 400);
    assert.match(body.error, /^body\.version/);
  });

  it('are canceled, paused and resumed', async () => {
    await on.workflow('held', [
      { step_ref: 'ok', step_type: 'approval', approvers: ['*'] },
      job('go', 'a', { depends_on: ['ok'] }),
    ]);
    const id = await on.trigger('held');
    await on.stepReaches(id, 'ok', 'approval');
    assert.equal(
      (await on.internal('POST', `/v1/workflow-runs/${id}/pause`)).body.status,
      'paused',
    );
    assert.equal((await on.internal('POST', `/v1/workflow-runs/${id}/pause`)).status, 200);
    assert.equal(
      (await on.internal('POST', `/v1/workflow-runs/${id}/resume`)).body.status,
      'running',
    );
    const canceled = await on.internal('DELETE', `/v1/workflow-runs/${id}`);
    assert.deepEqual(
      [canceled.status, canceled.body.status, canceled.body.error],
      [200, 'canceled', 'canceled by user'],
    );
    assert.equal((await on.internal('DELETE', `/v1/workflow-runs/${id}`)).status, 409);
    const [approval] = await on.app.sql<{ status: string }>(
      'select status from workflow_step_approvals where workflow_run_id = $1',
      id,
    );
    assert.equal(approval?.status, 'canceled');
  });
});
