import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../../test/app.ts';

let app: TestApp;
let project: TestProject;
let job_id = '';
before(async () => {
  app = await testApp();
  project = await app.project();
  const made = await call('POST', '/v1/jobs', {
    name: 'a',
    slug: 'a',
    endpoint_url: 'http://127.0.0.1:9/a',
  });
  job_id = made.body.id;
});
after(() => app.close());

const call = (method: string, path: string, body?: object) =>
  app.call(method, path, { key: project.api_key, ...(body && { body }) });
async function workflow(slug: string, steps: readonly object[]): Promise<void> {
  const made = await call('POST', '/v1/workflows', { name: slug, slug, steps });
  assert.equal(made.status, 201, JSON.stringify(made.body));
}
const simulate = (slug: string, body?: object) =>
  call('POST', `/v1/workflows/${slug}/simulate`, body);
const step = (step_ref: string, depends_on: readonly string[] = [], more: object = {}) => ({
  step_ref,
  job_id,
  depends_on,
  ...more,
});

describe('simulating a workflow', () => {
  it('without a word gives the structure', async () => {
    await workflow('order', [
      step('b', ['a'], { expected_duration_secs: 30 }),
      step('a', [], { expected_duration_secs: 10 }),
      step('c', ['a'], { expected_duration_secs: 5 }),
      { step_ref: 'nap', step_type: 'sleep', sleep_duration: '1m', depends_on: ['c'] },
    ]);
    const { status, body } = await simulate('order');
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(
      [body.mode, body.version, body.step_count, body.predicted_order],
      ['dry_run', 1, 4, ['a', 'b', 'c', 'nap']],
    );
    assert.deepEqual(
      body.execution_plan.map((one: { parallel_group: number }) => one.parallel_group),
      [0, 1, 1, 2],
    );
    assert.deepEqual(body.dag.edges.length, 3);
    assert.equal(body.estimated_duration_secs, 75);
    assert.equal(body.final_status, undefined);
    const left = await simulate('order', { step_overrides: [{ step_ref: 'a' }] });
    assert.deepEqual(left.body.predicted_order, ['b', 'c', 'nap']);
  });

  it('asks conditions with the outputs that are given', async () => {
    await workflow('branch', [
      step('check'),
      step('big', ['check'], {
        condition: { type: 'gt', left: { path: 'outputs.check.total' }, right: 100 },
      }),
      step('small', ['check'], {
        condition: { type: 'lte', left: { path: 'outputs.check.total' }, right: 100 },
      }),
      { step_ref: 'ok', step_type: 'approval', approvers: ['*'], depends_on: ['big', 'small'] },
      { step_ref: 'paid', step_type: 'wait_for_event', event_key: 'k', depends_on: ['ok'] },
    ]);
    const { body } = await simulate('branch', { step_outputs: { check: { total: 7 } } });
    assert.deepEqual(
      [body.mode, body.condition_results, body.predicted_order, body.final_status],
      ['sandbox', { big: false, small: true }, ['check', 'small', 'ok', 'paid'], 'completed'],
    );
  });

  it('shows what a failure leads to', async () => {
    await workflow('fragile', [
      step('a'),
      step('soft', ['a'], { on_failure: 'skip_dependents', retry_max_attempts: 3 }),
      step('after', ['soft']),
      step('hard', ['a']),
    ]);
    const { body } = await simulate('fragile', { failures: ['soft', 'hard'] });
    assert.equal(body.mode, 'failure_injection');
    assert.deepEqual(body.failure_paths, [
      { step_ref: 'soft', policy: 'skip_dependents', skipped: ['after'], run_status: 'failed' },
      { step_ref: 'hard', policy: 'fail_workflow', skipped: [], run_status: 'failed' },
    ]);
    assert.equal(body.final_status, 'failed');
    assert.match(body.error, /hard/);
  });

  it('refuses steps that are not there, by their place', async () => {
    const unknown = await simulate('order', { failures: ['a', 'x'], step_outputs: { y: 1 } });
    assert.deepEqual(
      [unknown.status, unknown.body.code, unknown.body.details.length],
      [400, 'invalid_workflow', 2],
    );
    assert.match(unknown.body.error, /^body\.failures\[1\]: /);
    const override = await simulate('order', { step_overrides: [{ step_ref: 'x' }] });
    assert.match(override.body.error, /step_overrides/);
    assert.equal((await simulate('nobody')).body.code, 'workflow_not_found');
  });

  it('is not kept busy by retries, items or outputs without end', async () => {
    const INT_MAX = 2_147_483_647;
    await workflow('stubborn', [step('a', [], { retry_max_attempts: INT_MAX })]);
    assert.equal(
      (await simulate('stubborn', { failures: ['a'] })).body.code,
      'simulation_too_long',
    );
    await workflow('wide', [
      {
        step_ref: 'all',
        step_type: 'map',
        job_id,
        map_items: '{{payload.items}}',
        map_max_parallel: 1000,
      },
      step('next', ['all']),
    ]);
    const { body } = await simulate('wide', {
      payload: { items: Array.from({ length: 2_000 }, (_, n) => n) },
      step_outputs: { all: 'x'.repeat(1_000) },
    });
    assert.match(body.error, /outputs of the map are too large/);
  });

  it('fails steps whose placeholders repeat what is large, instead of making it', async () => {
    const often = '{{payload.text}}'.repeat(2_000);
    const soft = { on_failure: 'continue' };
    await workflow('loud', [
      step('text', [], { payload: { often }, ...soft }),
      step('list', [], { payload: { often: Array(2_000).fill('{{payload}}') }, ...soft }),
      step('asked', [], { condition: { type: 'eq', left: often, right: 1 }, ...soft }),
      {
        step_ref: 'told',
        step_type: 'wait_for_event',
        event_key: '{{payload.text}}'.repeat(30),
        ...soft,
      },
      {
        step_ref: 'again',
        step_type: 'continue_as_new',
        payload: { often },
        depends_on: ['text', 'list', 'asked', 'told'],
      },
    ]);
    const { body } = await simulate('loud', { payload: { text: 'x'.repeat(500_000) } });
    assert.deepEqual(
      [body.final_status, body.error],
      ['failed', 'step again failed: the payload is too large'],
      JSON.stringify(body),
    );
  });

  it('writes nothing', async () => {
    for (const table of ['workflow_runs', 'job_runs', 'event_triggers'])
      assert.deepEqual(await app.sql(`select from ${table}`), [], table);
  });

  it('is what a real run does, also with placeholders that repeat what is large', async () => {
    const { status, body } = await call('POST', '/v1/workflows/loud/trigger', {
      payload: { text: 'x'.repeat(500_000) },
    });
    assert.deepEqual(
      [status, body.status, body.error],
      [201, 'failed', 'step again failed: the payload is too large'],
    );
  });
});
