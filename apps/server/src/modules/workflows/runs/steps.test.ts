// What people do to single steps: from each state where they may, and where they may not.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  for (const slug of ['a', 'b', 'c', 'shaky', 'held']) await on.job(slug);
  on.answers['a'] = () => ({ body: { n: 1 } });
});
after(() => on.close());

type Row = Readonly<Record<string, unknown>>;
const job = (step_ref: string, job_slug: string, ...depends_on: string[]) => ({
  step_ref,
  job_slug,
  depends_on,
});
/** The key of the project is who does it. */
const act = (id: string, step: string, verb: string, body?: object) =>
  on.call('POST', `/v1/workflow-runs/${id}/steps/${step}/${verb}`, body);
const codeOf = async (answer: ReturnType<typeof act>) => {
  const { status, body } = await answer;
  return `${status} ${body.code ?? ''}`.trim();
};
const rows = (text: string, ...values: unknown[]) => on.app.sql<Row>(text, ...values);
const triggersOf = async (id: string) =>
  (
    await rows(
      `select s.step_ref || ' ' || t.status as it from event_triggers t join workflow_step_runs s on s.id = t.workflow_step_run_id
        where s.workflow_run_id = $1 order by 1`,
      id,
    )
  ).map(({ it: text }) => text);
const approvalsOf = (id: string) =>
  rows(
    `select status, approved_by like 'apikey:%' as by_key, error from workflow_step_approvals where workflow_run_id = $1`,
    id,
  );
const decisionsOf = async (id: string, decision: string) =>
  (
    await rows(
      `select step_ref from workflow_step_decisions
        where workflow_run_id = $1 and decision_type = 'operator' and decision = $2 order by step_ref`,
      id,
      decision,
    )
  ).map(({ step_ref }) => step_ref);
const auditsOf = async (id: string) =>
  (
    await rows(
      `select action || ' ' || (details ->> 'step_ref') as it from audit_events
        where resource_type = 'workflow_step_run' and details ->> 'workflow_run_id' = $1 order by 1`,
      id,
    )
  ).map(({ it: text }) => text);
const callsOf = (name: string) => on.called.filter((call) => call.job === name);
const attemptsOf = async (id: string) =>
  Object.fromEntries(
    Object.entries(await on.steps(id)).map(([ref, step]) => [
      ref,
      (step as { attempt: number }).attempt,
    ]),
  );

/** Jobs `held` wait until they are let go. */
function hold(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  on.answers['held'] = async () => {
    await promise;
    return { body: {} };
  };
  return () => {
    delete on.answers['held'];
    resolve();
  };
}

const waiting = [
  { step_ref: 'ok', step_type: 'approval', approvers: ['nobody'] },
  { step_ref: 'nap', step_type: 'sleep', sleep_duration: '1h' },
  {
    step_ref: 'told',
    step_type: 'wait_for_event',
    event_key: 'told:{{payload.n}}',
    output_transform: '$.inner',
  },
  job('between', 'b', 'ok'),
  {
    ...job('last', 'c', 'ok', 'nap', 'told', 'between'),
    payload: { ok: '{{parent_outputs.ok}}', told: '{{parent_outputs.told}}' },
  },
];

describe('steps that have not started or wait', () => {
  it('are skipped, and what they wait for is given up', async () => {
    await on.workflow('skips', waiting);
    const id = await on.trigger('skips', { payload: { n: 1 } });
    await on.stepReaches(id, 'told', 'event');
    // The first of them waits for its dependencies.
    for (const step of ['between', 'ok', 'nap', 'told']) {
      const { status, body } = await act(id, step, 'skip', { reason: `no ${step}` });
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual([body.step_run.status, body.step_run.error], ['skipped', `no ${step}`]);
    }
    await on.reaches(id, 'completed');
    assert.deepEqual(await approvalsOf(id), [{ status: 'rejected', by_key: true, error: 'no ok' }]);
    assert.deepEqual(await triggersOf(id), ['nap canceled', 'told canceled']);
    const all = ['between', 'nap', 'ok', 'told'];
    assert.deepEqual(await decisionsOf(id, 'skip'), all);
    assert.deepEqual(
      await auditsOf(id),
      all.map((step) => `workflow_step.skip ${step}`),
    );
    assert.equal(await codeOf(act(id, 'last', 'skip')), '409 workflow_run_not_active');
    assert.equal(await codeOf(act(id, 'nothing', 'skip')), '404 workflow_step_not_found');
  });

  it('are completed by force, with the output that is given', async () => {
    await on.workflow('forces', waiting);
    const id = await on.trigger('forces', { payload: { n: 2 } });
    await on.stepReaches(id, 'told', 'event');
    const told = { inner: 1, outer: 2 };
    const first = await act(id, 'told', 'force-complete', { result: told });
    assert.equal(first.status, 200, JSON.stringify(first.body));
    // Not transformed.
    assert.deepEqual(first.body.step_run.output, told);
    assert.equal((await act(id, 'nap', 'force-complete')).body.step_run.status, 'completed');
    assert.equal((await act(id, 'between', 'force-complete', {})).status, 200);
    assert.equal((await act(id, 'ok', 'force-complete', { result: 'yes' })).status, 200);
    await on.reaches(id, 'completed');
    assert.deepEqual(await approvalsOf(id), [{ status: 'approved', by_key: true, error: null }]);
    assert.deepEqual(await triggersOf(id), ['nap canceled', 'told canceled']);
    const { body } = callsOf('c').at(-1) ?? {};
    assert.deepEqual([(body as Row)['ok'], (body as Row)['told']], ['yes', told]);
    assert.deepEqual(await decisionsOf(id, 'force_complete'), ['between', 'nap', 'ok', 'told']);
    assert.equal(await codeOf(act(id, 'ok', 'force-complete')), '409 workflow_run_not_active');
  });

  it('are those that wait for room, for a next attempt or at a cost gate, too', async () => {
    const release = hold();
    on.answers['shaky'] = () => ({ status: 400, body: {} });
    await on.workflow(
      'waits',
      [
        { ...job('again', 'shaky'), retry_max_attempts: 2, retry_initial_delay_secs: 3600 },
        { ...job('busy', 'held'), concurrency_key: 'one' },
        { ...job('full', 'a'), concurrency_key: 'one' },
        { step_ref: 'ok', step_type: 'approval', approvers: ['*'], approval_timeout_secs: 3600 },
        { ...job('last', 'b', 'again', 'busy', 'full', 'ok'), payload: {} },
      ],
      {},
    );
    for (const verb of ['skip', 'force-complete']) {
      const id = await on.trigger('waits');
      await on.stepReaches(id, 'again', 'retry');
      assert.deepEqual(await on.states(id), {
        again: 'retry',
        busy: 'running',
        full: 'capacity',
        last: 'dependencies',
        ok: 'approval',
      });
      for (const step of ['again', 'full', 'ok'])
        assert.equal((await act(id, step, verb)).status, 200, step);
      // What it would have come to later comes to nothing.
      await rows(
        `update workflow_step_approvals set expires_at = strait_now() where workflow_run_id = $1`,
        id,
      );
      await rows(
        `update workflow_step_runs set next_retry_at = strait_now() where workflow_run_id = $1`,
        id,
      );
      await on.app.composition.modules.workflowRuns.callbacks.timers.ring();
      const end = verb === 'skip' ? 'skipped' : 'completed';
      const { again, full, ok } = await on.states(id);
      assert.deepEqual([again, full, ok], [end, end, end]);
      await on.internal('DELETE', `/v1/workflow-runs/${id}`);
    }
    release();
    delete on.answers['shaky'];
  });

  it('are not what runs or has ended', async () => {
    const release = hold();
    await on.workflow('runs', [job('done', 'a'), job('busy', 'held', 'done')]);
    const id = await on.trigger('runs');
    await on.stepReaches(id, 'busy', 'running');
    for (const verb of ['skip', 'force-complete'])
      for (const step of ['done', 'busy'])
        assert.equal(await codeOf(act(id, step, verb)), '409 workflow_step_not_waiting');
    for (const verb of ['retry', 'replay-subtree'])
      assert.equal(await codeOf(act(id, 'busy', verb)), '409 workflow_step_not_terminal');
    release();
    await on.reaches(id, 'completed');
    assert.deepEqual(await auditsOf(id), []);
  });
});

describe('steps that have ended', () => {
  it('run again from a failed run, with what was canceled and skipped because of them', async () => {
    on.answers['shaky'] = () => ({ status: 400, body: {} });
    await on.workflow('fails', [
      job('first', 'a'),
      job('bad', 'shaky', 'first'),
      { ...job('after', 'b', 'bad'), payload: {} },
      { step_ref: 'ok', step_type: 'approval', approvers: ['*'], depends_on: ['first'] },
    ]);
    const id = await on.trigger('fails');
    await on.reaches(id, 'failed');
    const before_retry = callsOf('a').length;
    delete on.answers['shaky'];
    const { status, body } = await act(id, 'bad', 'retry');
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.step_run.attempt, body.step_run.error], [2, undefined]);
    await on.stepReaches(id, 'after', 'completed');
    const run = await on.read(id);
    assert.deepEqual([run.status, run.error, run.finished_at], ['running', undefined, undefined]);
    // The approval was canceled with the run: it is asked anew.
    assert.deepEqual(
      (await approvalsOf(id)).map((row) => row['status']),
      ['canceled', 'pending'],
    );
    await act(id, 'ok', 'approve');
    await on.reaches(id, 'completed');
    assert.equal(callsOf('a').length, before_retry);
    // `ok` had started before it was canceled, `after` had not.
    assert.deepEqual(await attemptsOf(id), { first: 1, bad: 2, after: 1, ok: 2 });
    assert.deepEqual(await decisionsOf(id, 'reset'), ['after', 'bad', 'ok']);
    assert.deepEqual(await auditsOf(id), ['workflow_step.approve ok', 'workflow_step.retry bad']);
  });

  const ends: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
    completed: (id) => act(id, 'ok', 'approve'),
    failed: (id) => act(id, 'ok', 'reject'),
    timed_out: async (id) => {
      await rows(`update workflow_runs set expires_at = strait_now() where id = $1`, id);
      await on.app.composition.modules.workflowRuns.callbacks.timers.ring();
      await on.reaches(id, 'timed_out');
    },
    paused: async (id) => {
      await act(id, 'ok', 'approve');
      await on.internal('POST', `/v1/workflow-runs/${id}/pause`);
    },
  };
  for (const [status, end] of Object.entries(ends))
    for (const verb of ['retry', 'replay-subtree'])
      it(`begin again from a ${status} run by ${verb}`, async () => {
        const slug = `${status.replace('_', '-')}-${verb}`;
        const other = { step_ref: 'other', step_type: 'approval', approvers: ['*'] };
        await on.workflow(
          slug,
          [
            { step_ref: 'ok', step_type: 'approval', approvers: ['*'] },
            job('leaf', 'a', 'ok'),
            // Keeps the run from ending before it is paused.
            ...(status === 'paused' ? [other] : []),
          ],
          { timeout_secs: 3600 },
        );
        const id = await on.trigger(slug);
        await on.stepReaches(id, 'ok', 'approval');
        await end(id);
        await until(`run ${id} to be ${status}`, async () => (await on.read(id)).status === status);
        assert.equal((await act(id, 'ok', verb)).status, 200);
        assert.equal((await on.read(id)).status, status === 'paused' ? 'paused' : 'running');
        if (status === 'paused') {
          assert.equal((await on.states(id))['ok'], 'pending');
          await on.internal('POST', `/v1/workflow-runs/${id}/resume`);
          await act(id, 'other', 'skip');
        }
        await on.stepReaches(id, 'ok', 'approval');
        assert.equal((await act(id, 'ok', 'approve')).status, 200);
        await on.reaches(id, 'completed');
        const steps = await on.steps(id);
        assert.deepEqual([steps['ok'].attempt, steps['leaf'].status], [2, 'completed']);
      });

  it('do not run again behind a step that has failed, nor in a canceled run', async () => {
    on.answers['shaky'] = () => ({ status: 400, body: {} });
    await on.workflow('behind', [
      { ...job('bad', 'shaky'), on_failure: 'skip_dependents' },
      job('after', 'b', 'bad'),
    ]);
    const id = await on.trigger('behind');
    await on.reaches(id, 'failed');
    delete on.answers['shaky'];
    for (const verb of ['retry', 'replay-subtree'])
      assert.equal(await codeOf(act(id, 'after', verb)), '409 workflow_step_not_resettable');
    assert.equal((await act(id, 'bad', 'retry')).status, 200);
    await on.reaches(id, 'completed');
    assert.equal((await on.states(id))['after'], 'completed');

    await on.workflow('canceled', [{ step_ref: 'ok', step_type: 'approval', approvers: ['*'] }]);
    const other = await on.trigger('canceled');
    await on.stepReaches(other, 'ok', 'approval');
    await on.internal('DELETE', `/v1/workflow-runs/${other}`);
    for (const verb of ['retry', 'replay-subtree'])
      assert.equal(await codeOf(act(other, 'ok', verb)), '409 workflow_run_not_resettable');
  });

  it('run again from a run that timed out, with its whole time', async () => {
    await on.workflow('late', [{ step_ref: 'nap', step_type: 'sleep', sleep_duration: '1h' }], {
      timeout_secs: 3600,
    });
    const id = await on.trigger('late');
    await on.stepReaches(id, 'nap', 'sleep');
    await rows(
      `update workflow_runs set expires_at = strait_now() - interval '1 hour' where id = $1`,
      id,
    );
    const { callbacks } = on.app.composition.modules.workflowRuns;
    await callbacks.timers.ring();
    await on.reaches(id, 'timed_out');
    assert.equal((await act(id, 'nap', 'retry')).status, 200);
    await callbacks.timers.ring();
    const run = await on.read(id);
    assert.equal(run.status, 'running');
    const left_ms = Date.parse(run.expires_at) - Date.now();
    assert.ok(left_ms > 3_500_000 && left_ms < 3_700_000, `${left_ms} ms are left`);
    assert.deepEqual(await triggersOf(id), ['nap canceled', 'nap waiting']);
    await act(id, 'nap', 'skip');
    await on.reaches(id, 'completed');
  });

  it('are replayed from a completed run, with all that depends on them', async () => {
    await on.workflow('tree', [
      job('root', 'a'),
      job('left', 'b', 'root'),
      job('right', 'b', 'root'),
      job('leaf', 'c', 'left'),
    ]);
    const id = await on.trigger('tree');
    await on.reaches(id, 'completed');
    const answer = await act(id, 'left', 'replay-subtree');
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.deepEqual(
      [answer.body.reset_steps, answer.body.step_refs.toSorted()],
      [2, ['leaf', 'left']],
    );
    await on.reaches(id, 'completed');
    assert.deepEqual(await attemptsOf(id), { root: 1, left: 2, right: 1, leaf: 2 });
    assert.deepEqual(await auditsOf(id), ['workflow_step.replay_subtree left']);
    assert.equal((await act(id, 'leaf', 'retry')).status, 200);
    await on.reaches(id, 'completed');
    assert.deepEqual(await decisionsOf(id, 'reset'), ['leaf', 'leaf', 'left']); // each time
    assert.equal(await codeOf(act(id, 'nothing', 'replay-subtree')), '404 workflow_step_not_found');
  });

  it('are replayed in a paused run, which stays paused, and what runs below is canceled', async () => {
    const release = hold();
    await on.workflow('still', [job('root', 'a'), job('busy', 'held', 'root')]);
    const id = await on.trigger('still');
    await on.stepReaches(id, 'busy', 'running');
    const { job_run_id } = (await on.steps(id))['busy'];
    await on.internal('POST', `/v1/workflow-runs/${id}/pause`);
    const { body } = await act(id, 'root', 'replay-subtree');
    assert.deepEqual(body.step_refs.toSorted(), ['busy', 'root']);
    assert.equal((await on.read(id)).status, 'paused');
    assert.deepEqual(await on.states(id), { root: 'pending', busy: 'dependencies' });
    const [run] = await rows('select status from job_runs where id = $1', job_run_id);
    assert.equal(run?.['status'], 'canceled');
    release();
    // Whatever was reset has not ended.
    assert.equal(await codeOf(act(id, 'root', 'retry')), '409 workflow_step_not_terminal');
    await on.internal('POST', `/v1/workflow-runs/${id}/resume`);
    await on.reaches(id, 'completed');
    assert.deepEqual(await attemptsOf(id), { root: 2, busy: 2 });
  });

  it('of a child run do not run again once the step above has ended', async () => {
    await on.workflow('below', [job('one', 'a')]);
    await on.workflow('above', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'below' },
    ]);
    const id = await on.trigger('above');
    await on.reaches(id, 'completed');
    const child = (await on.steps(id))['sub'].child_workflow_run_id;
    assert.equal(await codeOf(act(child, 'one', 'retry')), '409 workflow_run_not_resettable');
  });

  it('of another project are not there', async () => {
    await on.workflow('own', [{ step_ref: 'ok', step_type: 'approval', approvers: ['*'] }]);
    const id = await on.trigger('own');
    await on.stepReaches(id, 'ok', 'approval');
    const { api_key } = await on.app.project('other');
    for (const verb of ['skip', 'force-complete', 'retry', 'replay-subtree']) {
      const path = `/v1/workflow-runs/${id}/steps/ok/${verb}`;
      assert.equal(
        await codeOf(on.call('POST', path, undefined, api_key)),
        '404 workflow_run_not_found',
      );
    }
    assert.equal((await on.states(id))['ok'], 'approval');
  });
});
