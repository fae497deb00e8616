// Several ends of one wait of a step at the same moment: exactly one of them happens, and the step follows it.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
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
