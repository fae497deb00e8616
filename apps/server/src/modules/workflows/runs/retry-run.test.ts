import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  for (const slug of ['a', 'shaky', 'held']) await on.job(slug);
  on.answers['a'] = () => ({ body: { n: 1 } });
});
after(() => on.close());

const job = (step_ref: string, job_slug: string, ...depends_on: string[]) => ({
  step_ref,
  job_slug,
  depends_on,
});
const asks = { step_ref: 'ok', step_type: 'approval', approvers: ['*'] };
const retry = (id: string, key?: string) =>
  on.call('POST', `/v1/workflow-runs/${id}/retry`, undefined, key);
const bulk = (verb: string, workflow_run_ids: readonly string[]) =>
  on.call('POST', `/v1/workflow-runs/bulk-${verb}`, { workflow_run_ids });
const auditsOf = async (action: string, id: string) =>
  on.app.sql<{ details: { new_run_id?: string } }>(
    'select details from audit_events where action = $1 and resource_id = $2',
    action,
    id,
  );
async function asking(slug: string): Promise<string> {
  const id = await on.trigger(slug);
  await on.stepReaches(id, 'ok', 'approval');
  return id;
}

describe('a retry of a workflow run', () => {
  it('is another run of the same version, with all it was given and what it completed', async () => {
    on.answers['shaky'] = () => ({ status: 400, body: {} });
    await on.workflow(
      'order',
      [
        job('first', 'a'),
        job('left_out', 'a'),
        {
          ...job('bad', 'shaky', 'first'),
          payload: { of: '{{name}}', n: '{{parent_outputs.first.n}}' },
        },
      ],
      { timeout_secs: 3600, max_parallel_steps: 3, tags: { team: 'x' } },
    );
    const old = await on.trigger('order', {
      payload: { name: 'Al' },
      tags: { of: 'run' },
      labels: { customer: 'c1' },
      step_overrides: [{ step_ref: 'left_out' }],
    });
    await on.reaches(old, 'failed');
    const changed = await on.internal('PATCH', '/v1/workflows/order', {
      steps: [job('new', 'a')],
      tags: { team: 'y' },
      max_parallel_steps: 9,
    });
    assert.equal(changed.status, 200, JSON.stringify(changed.body));
    await on.app.sql(
      `update workflow_runs set expires_at = expires_at - interval '1 day' where id = $1`,
      old,
    );
    delete on.answers['shaky'];
    const calls = on.called.length;

    const { status, body } = await retry(old);
    assert.equal(status, 201, JSON.stringify(body));
    const before_retry = await on.read(old);
    assert.deepEqual([body.triggered_by, body.retry_of_run_id], ['retry', old]);
    assert.match(body.created_by, /^apikey:/);
    for (const field of [
      'workflow_id',
      'workflow_version',
      'workflow_version_id',
      'workflow_snapshot_id',
      'payload',
      'tags',
      'max_parallel_steps',
    ])
      assert.deepEqual(body[field], before_retry[field], field);
    assert.ok(body.workflow_snapshot_id);
    const left_ms = Date.parse(body.expires_at) - Date.now();
    assert.ok(left_ms > 3_500_000 && left_ms < 3_700_000, `${left_ms} ms are left`);
    const labels = await on.app.sql(
      'select label_key, label_value from workflow_run_labels where workflow_run_id = $1',
      body.id,
    );
    assert.deepEqual(labels, [{ label_key: 'customer', label_value: 'c1' }]);

    await on.reaches(body.id, 'completed');
    assert.deepEqual(await on.states(body.id), { first: 'completed', bad: 'completed' });
    assert.deepEqual((await on.steps(body.id))['first'].output, { n: 1 });
    const [only, ...more] = on.called.slice(calls);
    assert.deepEqual([only?.job, more.length], ['shaky', 0]);
    assert.deepEqual(only?.body, {
      name: 'Al',
      of: 'Al',
      n: 1,
      parent_outputs: { first: { n: 1 } },
    });
    assert.equal((await on.read(old)).status, 'failed');
    assert.deepEqual(await auditsOf('workflow_run.retry', old), [
      { details: { new_run_id: body.id } },
    ]);
  });

  it('asks conditions again and gives no links to a parent', async () => {
    await on.workflow('inner', [
      { ...job('maybe', 'a'), condition: { type: 'eq', left: '{{payload.n}}', right: 2 } },
      asks,
    ]);
    await on.workflow('outer', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'inner' },
    ]);
    const parent = await on.trigger('outer', { payload: { n: 1 } });
    await on.stepReaches(parent, 'sub', 'running');
    const child = (await on.steps(parent))['sub'].child_workflow_run_id;
    await on.stepReaches(child, 'ok', 'approval');
    assert.equal((await on.states(child))['maybe'], 'skipped');
    assert.equal((await on.internal('DELETE', `/v1/workflow-runs/${child}`)).status, 200);
    const { status, body } = await retry(child);
    assert.equal(status, 201, JSON.stringify(body));
    assert.deepEqual(
      [body.parent_workflow_run_id, body.parent_step_run_id],
      [undefined, undefined],
    );
    const [decisions] = await on.app.sql<{ count: number }>(
      `select count(*)::int as count from workflow_step_decisions
        where workflow_run_id = $1 and step_ref = 'maybe' and decision_type = 'condition'`,
      body.id,
    );
    assert.equal(decisions?.count, 1);
  });

  it('is refused where another run would be, and for a run that has not ended', async () => {
    const id = await on.workflow('limited', [asks], { max_concurrent_runs: 1 });
    const running = await asking('limited');
    const codeOf = async (of: string) => {
      const { status, body } = await retry(of);
      return `${status} ${body.code}`;
    };
    assert.equal(await codeOf(running), '409 workflow_run_not_retryable');
    await on.internal('POST', `/v1/workflow-runs/${running}/pause`);
    assert.equal(await codeOf(running), '409 workflow_run_not_retryable');
    await on.internal('DELETE', `/v1/workflow-runs/${running}`);
    const answers = await Promise.all([retry(running), retry(running), retry(running)]);
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, 409, 409]);
    assert.equal(await codeOf(running), '409 workflow_runs_limit_reached');
    const disabled = await on.internal('PATCH', `/v1/workflows/${id}`, { enabled: false });
    assert.equal(disabled.status, 200, JSON.stringify(disabled.body));
    assert.equal(await codeOf(running), '409 workflow_disabled');
    const { api_key } = await on.app.project('other');
    assert.equal((await retry(running, api_key)).body.code, 'workflow_run_not_found');
    assert.equal(await codeOf('nothing'), '404 workflow_run_not_found');
  });

  it('is not there for a run that goes on as a new one', async () => {
    await on.workflow('chain', [
      {
        step_ref: 'next',
        step_type: 'continue_as_new',
        condition: { type: 'eq', left: '{{payload.n}}', right: 0 },
        payload: { n: 1 },
      },
    ]);
    const id = await on.trigger('chain', { payload: { n: 0 } });
    await on.reaches(id, 'completed');
    assert.equal((await retry(id)).body.code, 'workflow_run_not_retryable');
  });

  it('does what was undone again, and what built on it', async () => {
    on.answers['shaky'] = () => ({ status: 400, body: {} });
    await on.workflow('undone', [
      job('book', 'a'),
      job('print', 'a', 'book'),
      job('beside', 'a'),
      job('bad', 'shaky', 'print', 'beside'),
    ]);
    const id = await on.trigger('undone');
    await on.reaches(id, 'failed');
    await on.app.sql(
      `insert into compensation_runs (workflow_run_id, step_run_id, step_ref, job_id, position, status, started_at)
       select workflow_run_id, id, step_ref, 'j', 0, 'completed', strait_now() from workflow_step_runs where workflow_run_id = $1 and step_ref = 'book'`,
      id,
    );
    delete on.answers['shaky'];
    const { body } = await retry(id);
    await on.reaches(body.id, 'completed');
    const ran = Object.entries(await on.steps(body.id))
      .filter(([, step]) => (step as { job_run_id?: string }).job_run_id !== undefined)
      .map(([ref]) => ref);
    assert.deepEqual(ran.toSorted(), ['bad', 'book', 'print']);
  });
});

describe('many workflow runs', () => {
  it('are canceled each by itself, with what they had completed left alone', async () => {
    await on.workflow('many', [job('done', 'a'), { ...asks, depends_on: ['done'] }]);
    const [one, two, ended] = [await asking('many'), await asking('many'), await asking('many')];
    await on.internal('DELETE', `/v1/workflow-runs/${ended}`);
    const foreign = await foreignRun();
    const { status, body } = await bulk('cancel', [one, foreign, 'nothing', two, ended, one]);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body, {
      canceled: 2,
      workflow_run_ids: [one, two],
      skipped: [foreign, 'nothing', ended],
    });
    for (const id of [one, two]) {
      const run = await on.read(id);
      assert.deepEqual([run.status, run.error], ['canceled', 'canceled by user']);
      assert.deepEqual(await on.states(id), { done: 'completed', ok: 'canceled' });
      assert.equal((await auditsOf('workflow_run.cancel', id)).length, 1);
    }
    assert.equal((await auditsOf('workflow_run.cancel', ended)).length, 1);
    assert.equal(await statusOf(foreign), 'running');
  });

  it('are started again each by itself', async () => {
    await on.workflow('repeat', [asks]);
    const [active, ended] = [await asking('repeat'), await asking('repeat')];
    await on.internal('DELETE', `/v1/workflow-runs/${ended}`);
    const foreign = await foreignRun();
    const { status, body } = await bulk('replay', [active, ended, foreign, ended]);
    assert.equal(status, 200, JSON.stringify(body));
    const [first, second, third] = body.results;
    assert.deepEqual([body.total, body.replayed, body.results.length], [3, 1, 3]);
    assert.deepEqual(first, {
      original_run_id: active,
      status: 'failed',
      error: 'the run is running',
    });
    assert.deepEqual(third, {
      original_run_id: foreign,
      status: 'failed',
      error: 'workflow run not found',
    });
    assert.deepEqual([second.original_run_id, second.status], [ended, 'replayed']);
    const run = await on.read(second.new_run_id);
    assert.deepEqual([run.retry_of_run_id, run.triggered_by], [ended, 'retry']);
  });

  it('are between one and a hundred', async () => {
    for (const verb of ['cancel', 'replay']) {
      assert.equal((await bulk(verb, [])).status, 400);
      assert.equal((await bulk(verb, Array<string>(101).fill('x'))).status, 400);
      assert.equal((await bulk(verb, Array<string>(100).fill('x'))).status, 200);
    }
  });

  const statusOf = async (id: string) =>
    (await on.app.sql<{ status: string }>('select status from workflow_runs where id = $1', id))[0]
      ?.status;

  /** A run that waits in another project. */
  async function foreignRun(): Promise<string> {
    const other = await on.app.project('other');
    const send = async (path: string, body: object) => {
      const made = await on.app.call('POST', path, { key: other.api_key, body });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      return String(made.body.id);
    };
    await send('/v1/workflows', { name: 'theirs', slug: 'theirs', steps: [asks] });
    return send('/v1/workflows/theirs/trigger', {});
  }
});
