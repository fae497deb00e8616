// Runs that are deferred instead of refused: how far, and that they lock what triggers lock, for several jobs in one transaction.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';

let on: Awaited<ReturnType<typeof runActions>>;
before(async () => {
  on = await runActions();
});
after(() => on.close());

it('triggers and replays of jobs that share rates and a queue do not wait for each other in a circle', async () => {
  const named = (...names: string[]) =>
    names.map((name) => ({ name, max: 1_000, window_secs: 60 }));
  const own = { rate_limit_max: 1_000, rate_limit_window_secs: 60 };
  const a = await on.makeJob({ ...own, rate_limit_keys: named('first', 'second') });
  const b = await on.makeJob({ ...own, rate_limit_keys: named('first') });
  const quotas = `/v1/projects/${on.project.project_id}/quotas`;
  const headers = on.app.internal;
  const set = await on.app.call('PUT', quotas, { headers, body: { max_queued_runs: 100_000 } });
  assert.equal(set.status, 200);
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) ids.push(await on.ended(a, 'failed'), await on.ended(b, 'failed'));
  // More at once than there are connections.
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, n) => [
      await on.call('POST', `/v1/jobs/${a}/trigger`, {}),
      await on.call('POST', `/v1/jobs/${b}/trigger`, {}),
      await on.call('POST', '/v1/runs/bulk-replay', {
        run_ids: n % 2 === 0 ? ids : ids.toReversed(),
      }),
    ]),
  );
  const statuses = Map.groupBy(answers.flat(), ({ status }) => status);
  assert.deepEqual(
    new Map([...statuses].map(([status, of]) => [status, of.length])),
    new Map([
      [201, 120],
      [200, 60],
    ]),
  );
});

it('a run is deferred to an instant that the database knows, however far its turn is', async () => {
  const job = await on.makeJob({ rate_limit_max: 1, rate_limit_window_secs: 2_147_483_647 });
  const id = await on.run(job);
  await on.call('DELETE', `/v1/runs/${id}`);
  // As if it had been asked for often.
  await on.app.sql(
    `update rate_limit_levels set level = 200 where bucket = (select 'job:' || id from jobs where slug = $1)`,
    job,
  );
  const { status, body } = await on.post(id, 'replay');
  assert.equal(status, 201, JSON.stringify(body));
  assert.equal(new Date(body.scheduled_at).getUTCFullYear(), 9999);
});
