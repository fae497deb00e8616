import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runActions } from './run-actions.ts';

test('no statement of the product can move a run against the table of transitions', async () => {
  const on = await runActions();
  const id = await on.ended(await on.makeJob(), 'completed');
  const back = { text: `update job_runs set status = 'queued' where id = $1`, values: [id] };
  await assert.rejects(on.app.composition.hot.query(back), /cannot go from completed to queued/);
  await on.close();
});
