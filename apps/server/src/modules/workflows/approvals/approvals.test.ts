import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { callersOf, type CallAs } from '../../../../test/workflow-callers.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;
let as: CallAs;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  await on.job('go');
  as = await callersOf(on, {
    ann: 'operator',
    bob: 'operator',
    carl: 'operator',
    root: 'admin',
    vera: 'viewer',
  });
  await on.app.sql(
    `insert into known_actors (id, email) values ('bob', 'Bob@Known.example'), ('carl', 'carl@known.example')`,
  );
});
after(() => on.close());

const stepPath = (id: string, step: string, verb: string) =>
  `/v1/workflow-runs/${id}/steps/${step}/${verb}`;
const approval = (step_ref: string, approvers: readonly string[], more: object = {}) => ({
  step_ref,
  step_type: 'approval',
  approvers,
  ...more,
});
const job = (step_ref: string, more: object = {}) => ({ step_ref, job_slug: 'go', ...more });
const approvalsOf = async (id: string) => {
  const { status, body } = await on.internal('GET', `/v1/workflow-runs/${id}/approvals`);
  assert.equal(status, 200, JSON.stringify(body));
  return body.data;
};
const audits = async (step_run_id: string): Promise<string[]> =>
  (
    await on.app.sql<{ action: string; actor_id: string }>(
      'select action, actor_id from audit_events where resource_id = $1 order by created_at, id',
      step_run_id,
    )
  ).map(({ action, actor_id }) => `${action} ${actor_id}`);

/** What the run, the step, who approved and who canceled see, by who won. */
const OUTCOMES = {
  approved: ['completed', 'completed', 200, 409],
  canceled: ['canceled', 'canceled', 409, 200],
  timed_out: ['failed', 'failed', 409, 409],
} as const;

const ROUNDS = process.env['STRAIT_SCENARIOS'] === 'full' ? 50 : 15;

describe('approvals', () => {
  it('are decided by those who are named, as themselves', async () => {
    await on.workflow('named', [
      approval('by_id', ['BOB']),
      approval('by_mail_said', ['ann@example.com']),
      approval('by_mail_known', ['bob@known.example']),
      approval('by_role', ['role:ADMIN']),
      approval('by_all', ['*']),
      job('after', { depends_on: ['by_id', 'by_mail_said', 'by_mail_known', 'by_role', 'by_all'] }),
    ]);
    const id = await on.trigger('named');
    await on.stepReaches(id, 'by_all', 'approval');
    const post = (user: string, step: string, body: object = {}, email?: string) =>
      as(user, 'POST', stepPath(id, step, 'approve'), body, email);
    const codeOf = async (answer: ReturnType<typeof post>) => {
      const { status, body } = await answer;
      return `${status} ${body.code}`;
    };
    for (const step of ['by_id', 'by_mail_said', 'by_role'])
      assert.equal(await codeOf(post('carl', step)), '403 not_an_approver', step);
    const refused = await post('carl', 'by_mail_said');
    assert.equal(refused.body.error, 'the approval is for ann@example.com to decide, not for carl');
    // With another address now: the one that was known of him is over.
    assert.equal(
      await codeOf(post('bob', 'by_mail_known', {}, 'bob@new.example')),
      '403 not_an_approver',
    );
    assert.equal(await codeOf(post('carl', 'by_id', { approver: 'bob' })), '403 approver_mismatch');
    const key = await on.call('POST', stepPath(id, 'by_id', 'approve'), { approver: 'bob' });
    assert.deepEqual([key.status, key.body.code], [403, 'approver_mismatch']);
    assert.equal(await codeOf(post('vera', 'by_all')), '403 forbidden');
    assert.equal((await on.states(id))['by_id'], 'approval');

    const done = await post('bob', 'by_id', { approver: 'Bob' });
    assert.equal(done.status, 200, JSON.stringify(done.body));
    const { workflow_run, step_run, approval: row } = done.body;
    assert.equal(workflow_run.status, 'running');
    assert.deepEqual(
      [row.status, row.approved_by, row.step_ref],
      ['approved', 'bob', 'by_id'],
      JSON.stringify(row),
    );
    assert.equal(step_run.status, 'completed');
    assert.deepEqual(step_run.output, {
      approved: true,
      approved_by: 'bob',
      approved_at: step_run.output.approved_at,
    });
    assert.equal((await post('ann', 'by_mail_said', {}, 'ANN@example.com')).status, 200);
    assert.equal((await post('bob', 'by_mail_known')).status, 200);
    assert.equal((await post('root', 'by_role')).status, 200);
    const last = await on.call('POST', stepPath(id, 'by_all', 'approve'), {});
    assert.match(String(last.body.approval.approved_by), /^apikey:/);
    await on.reaches(id, 'completed');

    // The same again is nothing new; anything else comes too late.
    const again = await post('bob', 'by_id');
    assert.deepEqual([again.status, again.body.approval.approved_by], [200, 'bob']);
    assert.equal(
      await codeOf(as('bob', 'POST', stepPath(id, 'by_id', 'reject'), {})),
      '409 approval_already_decided',
    );
    assert.equal(await codeOf(post('ann', 'by_all')), '409 approval_already_decided');
    assert.equal(await codeOf(post('ann', 'after')), '409 workflow_step_not_asking');
    assert.equal(await codeOf(post('ann', 'nothing')), '404 workflow_step_not_found');
    assert.deepEqual(await audits(step_run.id), ['workflow_step.approve bob']);
  });

  it('without a time to decide wait for ever, and no event decides them', async () => {
    await on.workflow('ever', [approval('ok', ['*'])]);
    const id = await on.trigger('ever');
    await on.stepReaches(id, 'ok', 'approval');
    const [row] = await approvalsOf(id);
    assert.equal(row.expires_at, undefined);
    const [events] = await on.app.sql<{ count: number }>(
      `select count(*)::int as count from event_triggers t join workflow_step_runs s on s.id = t.workflow_step_run_id
        where s.workflow_run_id = $1 or t.event_key like 'approval:%'`,
      id,
    );
    assert.equal(events?.count, 0);
    for (const key of [`approval:${id}:ok`, row.id]) {
      const sent = await on.internal('POST', `/v1/events/${key}/send`, { payload: {} });
      assert.equal(sent.status, 404, JSON.stringify(sent.body));
    }
    assert.equal((await on.states(id))['ok'], 'approval');
  });

  it('go on in a run that is paused, and nothing starts', async () => {
    await on.workflow('paused', [approval('ok', ['*']), job('after', { depends_on: ['ok'] })]);
    const id = await on.trigger('paused');
    await on.stepReaches(id, 'ok', 'approval');
    await on.internal('POST', `/v1/workflow-runs/${id}/pause`);
    const { body } = await as('ann', 'POST', stepPath(id, 'ok', 'approve'));
    assert.deepEqual([body.workflow_run.status, body.step_run.status], ['paused', 'completed']);
    assert.equal((await on.states(id))['after'], 'dependencies');
    await on.internal('POST', `/v1/workflow-runs/${id}/resume`);
    await on.reaches(id, 'completed');
  });

  for (const [on_failure, status, error, dependent] of [
    ['fail_workflow', 'failed', 'step ok failed: approval rejected: too early', 'canceled'],
    ['skip_dependents', 'failed', 'step ok failed: approval rejected: too early', 'skipped'],
    ['continue', 'completed', undefined, 'completed'],
  ] as const)
    it(`rejected under ${on_failure} make the run ${status}`, async () => {
      const slug = `reject-${on_failure.replace('_', '-')}`;
      await on.workflow(slug, [
        approval('ok', ['ann'], { on_failure, retry_max_attempts: 3 }),
        job('after', { depends_on: ['ok'] }),
      ]);
      const id = await on.trigger(slug);
      await on.stepReaches(id, 'ok', 'approval');
      const reject = (user: string) =>
        as(user, 'POST', stepPath(id, 'ok', 'reject'), { reason: 'too early' });
      assert.equal((await reject('bob')).status, 403);
      const { body } = await reject('ann');
      assert.deepEqual(
        [body.step_run.status, body.step_run.error, body.approval.status],
        ['failed', 'approval rejected: too early', 'rejected'],
        JSON.stringify(body),
      );
      assert.equal(body.approval.approved_by, 'ann');
      assert.equal((await reject('ann')).status, 200);
      const run = await on.reaches(id, status);
      assert.equal(run.error, error);
      assert.equal((await on.states(id))['after'], dependent);
      assert.deepEqual(await audits(body.step_run.id), ['workflow_step.reject ann']);
    });

  it('of a step that runs again are asked again', async () => {
    await on.workflow('again', [approval('ok', ['ann']), approval('other', ['ann'])]);
    const id = await on.trigger('again');
    await on.stepReaches(id, 'ok', 'approval');
    const approve = () => as('ann', 'POST', stepPath(id, 'ok', 'approve'));
    await approve();
    await on.internal('POST', `/v1/workflow-runs/${id}/pause`);
    assert.equal((await as('bob', 'POST', stepPath(id, 'ok', 'retry'))).status, 200);
    // What was approved before the reset says nothing about the step now.
    assert.equal((await approve()).body.code, 'approval_already_decided');
    await on.internal('POST', `/v1/workflow-runs/${id}/resume`);
    assert.equal((await on.states(id))['ok'], 'approval');
    assert.equal((await approve()).body.step_run.attempt, 2);
    const statuses = (await approvalsOf(id)).map(({ status }: { status: string }) => status);
    assert.deepEqual(statuses.toSorted(), ['approved', 'approved', 'pending']);
  });

  it('of a cost gate start the job, or fail the step', async () => {
    await on.job('dear');
    await on.workflow('once', [{ step_ref: 'work', job_slug: 'dear' }]);
    const first = await on.trigger('once');
    await on.reaches(first, 'completed');
    await on.app.sql(
      `insert into run_usage (run_id, provider, model, cost_microusd) values ($1, 'p', 'm', 5000)`,
      (await on.steps(first))['work'].job_run_id,
    );
    await on.workflow('gated', [
      { step_ref: 'work', job_slug: 'dear', cost_gate_threshold_microusd: 1000 },
    ]);
    const calls = () => on.called.filter(({ job: name }) => name === 'dear').length;
    const before_gate = calls();
    const [yes, no] = [await on.trigger('gated'), await on.trigger('gated')];
    await on.stepReaches(no, 'work', 'cost_gate');
    assert.equal((await on.states(yes))['work'], 'cost_gate');
    assert.equal(calls(), before_gate);
    const [row] = await approvalsOf(yes);
    assert.deepEqual([row.kind, row.approvers, row.status], ['cost_gate', [], 'pending']);

    assert.equal((await as('vera', 'POST', stepPath(yes, 'work', 'approve'))).status, 403);
    const approved = await as('carl', 'POST', stepPath(yes, 'work', 'approve'));
    assert.equal(approved.status, 200, JSON.stringify(approved.body));
    assert.equal(approved.body.approval.approved_by, 'carl');
    assert.notEqual(approved.body.step_run.status, 'completed');
    await on.reaches(yes, 'completed');
    assert.equal(calls(), before_gate + 1);
    assert.equal((await as('carl', 'POST', stepPath(yes, 'work', 'approve'))).status, 200);

    await as('ann', 'POST', stepPath(no, 'work', 'reject'), {});
    const failed = await on.reaches(no, 'failed');
    assert.equal(failed.error, 'step work failed: approval rejected');
    assert.equal(calls(), before_gate + 1);

    // Nobody decided in time: what the step says then.
    await on.workflow('lax', [
      {
        step_ref: 'work',
        job_slug: 'dear',
        cost_gate_threshold_microusd: 1000,
        cost_gate_default_action: 'approve',
      },
    ]);
    const late = await on.trigger('lax');
    await on.stepReaches(late, 'work', 'cost_gate');
    await on.app.sql(
      `update workflow_step_approvals set expires_at = strait_now() where workflow_run_id = $1`,
      late,
    );
    await on.reaches(late, 'completed');
    const [passed] = await approvalsOf(late);
    assert.deepEqual([passed.status, passed.approved_by], ['approved', 'system:cost-gate-timeout']);
    assert.equal(calls(), before_gate + 2);
  });

  it('approve, time-out and cancel at once: exactly one wins (v60)', async () => {
    await on.workflow('race', [approval('ok', ['*'], { approval_timeout_secs: 3600 })]);
    const { callbacks } = on.app.composition.modules.workflowRuns;
    const won = { approved: 0, timed_out: 0, canceled: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const id = await on.trigger('race');
      await on.app.sql(
        `update workflow_step_approvals set expires_at = strait_now() - interval '1 ms' where workflow_run_id = $1`,
        id,
      );
      const acts = [
        () => on.call('POST', stepPath(id, 'ok', 'approve'), {}),
        () => on.call('DELETE', `/v1/workflow-runs/${id}`),
        () => callbacks.timers.ring(),
      ];
      // Each is first as often as the others; in the last rounds it is through before they come.
      const answers: unknown[] = [];
      const act = async (at: number) => {
        const turn = (at + round) % 3;
        answers[turn] = await acts[turn]?.();
      };
      const first = act(0);
      if (round >= ROUNDS - 3) await first;
      await Promise.all([first, act(1), act(2)]);
      const [approve, cancel] = answers as { status: number }[];
      const [after_all] = await on.app.sql<{
        status: keyof typeof OUTCOMES;
        run: string;
        step: string;
      }>(
        `select a.status, r.status as run, s.status as step
           from workflow_step_approvals a join workflow_step_runs s on s.id = a.workflow_step_run_id
           join workflow_runs r on r.id = a.workflow_run_id where r.id = $1`,
        id,
      );
      assert.ok(after_all);
      const { status, run, step } = after_all;
      assert.deepEqual([run, step, approve?.status, cancel?.status], OUTCOMES[status], status);
      won[status] += 1;
    }
    assert.ok(
      Object.values(won).every((times) => times > 0),
      JSON.stringify(won),
    );
  });

  it('remind once, when half of their time is over', async () => {
    await on.workflow('slow', [
      approval('ok', ['*'], { approval_timeout_secs: 3600 }),
      approval('later', ['*'], { approval_timeout_secs: 3600 }),
    ]);
    const id = await on.trigger('slow');
    await on.stepReaches(id, 'later', 'approval');
    const rows = await on.app.sql<{ id: string; half: boolean }>(
      `select id, remind_at - requested_at = interval '30 minutes' and expires_at - requested_at = interval '1 hour' as half
         from workflow_step_approvals where workflow_run_id = $1`,
      id,
    );
    assert.deepEqual(
      rows.map(({ half }) => half),
      [true, true],
    );
    await on.app.sql(
      `update workflow_step_approvals a set remind_at = strait_now() - interval '1 ms'
         from workflow_step_runs s where s.id = a.workflow_step_run_id and s.workflow_run_id = $1 and s.step_ref = 'ok'`,
      id,
    );
    const { reminders } = on.app.composition.modules.workflowRuns;
    await Promise.all([reminders.remind(), reminders.remind()]);
    await reminders.remind();
    const told = await on.app.sql(
      `select step_ref, from_status, to_status from workflow_run_events where workflow_run_id = $1 and reason = 'approval reminder'`,
      id,
    );
    assert.deepEqual(told, [{ step_ref: 'ok', from_status: 'waiting', to_status: 'waiting' }]);
    const reminded = (await approvalsOf(id)).map(
      ({ reminded_at }: { reminded_at?: string }) => reminded_at !== undefined,
    );
    assert.deepEqual(reminded.toSorted(), [false, true]);
  });

  it('wait in the inbox of those who may decide them, and nobody else sees them', async () => {
    await on.workflow('inbox', [
      approval('mine', ['ÄNN@example.com', 'bob']),
      approval('theirs', ['carl']),
    ]);
    const id = await on.trigger('inbox');
    await on.stepReaches(id, 'theirs', 'approval');
    const inbox = async (user: string, query = '', email?: string) => {
      const { status, body } = await as(
        user,
        'GET',
        `/v1/approvals?limit=100${query}`,
        undefined,
        email,
      );
      assert.equal(status, 200, JSON.stringify(body));
      return body.data
        .filter((row: { workflow_run_id: string }) => row.workflow_run_id === id)
        .map((row: { step_ref: string }) => row.step_ref);
    };
    assert.deepEqual(await inbox('bob'), ['mine']);
    assert.deepEqual(await inbox('carl'), ['theirs']);
    assert.deepEqual(await inbox('root'), []);
    assert.deepEqual(await inbox('ann', '', 'änn@example.com'), ['mine']);
    for (const user of ['vera', 'zoe'])
      assert.equal((await as(user, 'GET', '/v1/approvals')).status, 403);
    const wrong = await as('bob', 'GET', '/v1/approvals?status=open');
    assert.equal(wrong.status, 400);

    await as('bob', 'POST', stepPath(id, 'mine', 'approve'));
    assert.deepEqual(await inbox('bob'), []);
    assert.deepEqual(await inbox('bob', '&status=approved'), ['mine']);

    const pages: string[] = [];
    for (let cursor = ''; ;) {
      const { body } = await on.internal(
        'GET',
        `/v1/workflow-runs/${id}/approvals?limit=1${cursor}`,
      );
      pages.push(...body.data.map((row: { step_ref: string }) => row.step_ref));
      if (!body.has_more) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    assert.deepEqual(pages.toSorted(), ['mine', 'theirs']);

    const other = await on.app.project('other');
    const strange = (method: string, path: string) =>
      on.app.call(method, path, { key: other.api_key });
    for (const [method, path] of [
      ['POST', stepPath(id, 'theirs', 'approve')],
      ['POST', stepPath(id, 'theirs', 'reject')],
      ['GET', `/v1/workflow-runs/${id}/approvals`],
    ] as const)
      assert.equal((await strange(method, path)).status, 404, path);
    assert.deepEqual((await strange('GET', '/v1/approvals')).body.data, []);
    assert.equal((await on.states(id))['theirs'], 'approval');
  });
});
