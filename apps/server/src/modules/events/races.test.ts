// Several ends of one wait of a step at the same moment: exactly one of them happens, and the step follows it.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { until } from '../../../test/until.ts';
import { workflowApp } from '../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  await on.workflow('race', [
    { step_ref: 'wait', step_type: 'wait_for_event', event_key: 'race/{{payload.n}}' },
    { step_ref: 'gate', step_type: 'approval', approvers: ['*'], depends_on: ['wait'] },
  ]);
});
after(() => on.close());

const ROUNDS = process.env['STRAIT_SCENARIOS'] === 'full' ? 50 : 15;

const ENDS: Readonly<Record<string, { step: string; error: string | undefined; run: string }>> = {
  received: { step: 'completed', error: undefined, run: 'running' },
  canceled: { step: 'failed', error: 'event trigger canceled by user', run: 'failed' },
  timed_out: { step: 'failed', error: 'event trigger timed out', run: 'failed' },
};

it('send, cancel and deadline', { timeout: 60_000 }, async () => {
  const { timers } = on.app.composition.modules.workflowRuns.callbacks;
  const won: Record<string, number> = { received: 0, canceled: 0, timed_out: 0 };
  const round = async (n: number): Promise<void> => {
    const id = await on.trigger('race', { payload: { n } });
    const event = (method: string, what = '', body?: unknown) =>
      on.call(method, `/v1/events/${encodeURIComponent(`race/${n}`)}${what}`, body);
    // Who is first changes from round to round.
    const turns = [
      () => event('POST', '/send', { payload: n }),
      () => event('DELETE'),
      async () => {
        await on.app.sql(
          `update event_triggers set expires_at = now() where event_key = $1 and status = 'waiting'`,
          `race/${n}`,
        );
        await timers.ring();
        return { status: 0, body: undefined };
      },
    ];
    const answers = await Promise.all(
      [...turns.slice(n % 3), ...turns.slice(0, n % 3)].map((turn) => turn()),
    );
    const { status } = (await event('GET')).body;
    const winners = answers.filter((answer) => answer.status === 200);
    assert.ok(winners.length <= 1, 'two of them were told that they ended it');
    for (const answer of answers) assert.ok([0, 200, 409].includes(answer.status));
    if (status === 'timed_out') assert.equal(winners.length, 0);
    else assert.equal(winners[0]?.body.status, status);
    won[status] = (won[status] ?? 0) + 1;
    const { wait } = await on.steps(id);
    const run = await on.read(id);
    assert.deepEqual({ step: wait.status, error: wait.error, run: run.status }, ENDS[status]);
  };
  for (let n = 0; n < ROUNDS; n += 5)
    await Promise.all([n, n + 1, n + 2, n + 3, n + 4].map((one) => round(one)));
  assert.equal(
    Object.values(won).reduce((sum, one) => sum + one),
    ROUNDS,
  );
  const [twice] = await on.app.sql<{ n: number }>(
    `select count(*)::int as n from (
       select workflow_run_id from workflow_run_events where step_ref = 'wait' and to_status in ('completed', 'failed')
        group by 1 having count(*) > 1) x`,
  );
  assert.equal(twice?.n, 0);
});

it('sends to one prefix and to single keys, of parents and their children', async () => {
  await on.workflow('child', [
    { step_ref: 'wait', step_type: 'wait_for_event', event_key: 'multi/{{payload.n}}/child' },
  ]);
  await on.workflow('parent', [
    {
      step_ref: 'sub',
      step_type: 'sub_workflow',
      sub_workflow_slug: 'child',
      payload: { n: '{{payload.n}}' },
    },
    { step_ref: 'wait', step_type: 'wait_for_event', event_key: 'multi/{{payload.n}}/parent' },
  ]);
  const ids = await Promise.all([1, 2, 3, 4].map((n) => on.trigger('parent', { payload: { n } })));
  const keys = [1, 2, 3, 4].flatMap((n) => [`multi/${n}/child`, `multi/${n}/parent`]);
  const under = () => on.call('POST', '/v1/events/prefix/multi%2F/send', { payload: 'all' });
  const one = (key: string) =>
    on.call('POST', `/v1/events/${encodeURIComponent(key)}/send`, { payload: 'one' });
  const answers = await Promise.all([under(), ...keys.map(one), under()]);
  const resolved = answers.map(({ status, body }) => {
    assert.ok(status === 200 || body.code === 'event_already_received', JSON.stringify(body));
    return status === 200 ? ((body.resolved as number | undefined) ?? 1) : 0;
  });
  assert.equal(
    resolved.reduce((sum, n) => sum + n),
    8,
  );
  for (const id of ids) await on.reaches(id, 'completed');
});

it('several who deliver one emitted event: the step that waits has it once', async () => {
  const { emits } = on.app.composition.modules;
  const ids = await Promise.all([100, 101, 102].map((n) => on.trigger('race', { payload: { n } })));
  await on.app.sql(
    `insert into event_emits (project_id, event_key, payload, sent_by)
     select $1, 'race/' || n, to_jsonb(i), 'auto-emit' from unnest(array[100, 101, 102]) n, unnest(array[1, 2]) i`,
    on.project.project_id,
  );
  await Promise.all([emits.follow(), emits.follow(), emits.follow(), emits.follow()]);
  for (const id of ids) {
    const { wait } = await on.steps(id);
    assert.deepEqual([wait.status, [1, 2].includes(wait.output)], ['completed', true]);
  }
  await until(
    'all of them to be gone',
    async () => (await on.app.sql('select from event_emits')).length === 0,
  );
});
