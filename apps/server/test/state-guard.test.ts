import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runActions } from './run-actions.ts';
import { workflowApp } from './workflow-runs.ts';

test('no statement of the product can move a run against the table of transitions', async () => {
  const on = await runActions();
  const id = await on.ended(await on.makeJob(), 'completed');
  const back = { text: `update job_runs set status = 'queued' where id = $1`, values: [id] };
  await assert.rejects(
    on.app.composition.hot.query(back),
    /job_runs cannot go from completed to queued/,
  );
  await on.close();
});

test('nor a workflow run or a step of it', async () => {
  const on = await workflowApp({ mode: 'api', start: false });
  await on.workflow('w', [{ step_ref: 'ok', step_type: 'approval', approvers: ['ann'] }]);
  const id = await on.trigger('w');
  assert.equal((await on.internal('DELETE', `/v1/workflow-runs/${id}`)).status, 200);
  const { hot } = on.app.composition;
  const moves = [
    [`update workflow_runs set status = 'running' where id = $1`, /workflow_runs cannot go from/],
    [
      `update workflow_step_runs set state = 'r', status = 'running', wait_reason = null where workflow_run_id = $1`,
      /workflow_step_runs cannot go from canceled to running/,
    ],
  ] as const;
  for (const [text, refusal] of moves)
    await assert.rejects(hot.query({ text, values: [id] }), refusal);
  await on.close();
});
