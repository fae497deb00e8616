// Who stands first, and so is a finding when nobody promotes him: with nothing that promotes, everybody who could start.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';
import { checkIdleRoom } from './store.sql.ts';

let on: Awaited<ReturnType<typeof runActions>>;
before(async () => {
  on = await runActions();
});
after(() => on.close());

const idle = async () =>
  (await checkIdleRoom(on.app.db, { limit: 99 })).map(({ run_id }) => run_id).toSorted();

it('of lanes that share a limit only the first is kept from what is free', async () => {
  const job = (settings: object) => on.makeJob({ max_concurrency: 1, ...settings });
  const [one, other] = [await job({}), await job({})];
  const keyed = await job({ max_concurrency: 2, max_concurrency_per_key: 1 });
  const key = (concurrency_key: string) => on.run(keyed, { concurrency_key });
  const started = [await on.run(one), await on.run(other), await key('a'), await key('b')];
  const next = [await on.run(one), await on.run(other), await key('a')];
  await key('c');
  await key('b');
  assert.deepEqual(await idle(), [], 'nothing is free');
  const [first, second, third] = started;
  for (const id of [first, second, third]) await on.call('DELETE', `/v1/runs/${id}`);
  assert.deepEqual(
    await idle(),
    next.toSorted(),
    'one of three keys of the job, one of each other job',
  );

  const endpoint = `update endpoint_admission set max_in_flight = $1`;
  await on.app.sql(
    `insert into endpoint_admission (project_id, endpoint, closed, share, probe_at, max_in_flight)
     select distinct project_id, endpoint, false, 1, strait_now(), 9 from jobs where slug = any ($1)`,
    [one, other, keyed],
  );
  assert.deepEqual(await idle(), [next[0]], 'of an endpoint that takes so many');
  await on.app.sql(endpoint, 1);
  assert.deepEqual(await idle(), [], 'it has all that it takes');
  await on.app.sql(endpoint, null);
  assert.deepEqual(await idle(), next.toSorted());

  await on.app.sql(
    `insert into project_quotas (project_id, max_executing_runs) select project_id, $2 from jobs where slug = $1`,
    one,
    2,
  );
  assert.deepEqual(await idle(), [next[0]], 'of a project');
  await on.call('POST', '/v1/runs/bulk-cancel-all', { status: 'queued' });
});
