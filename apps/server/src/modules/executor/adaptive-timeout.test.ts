// ADAPTIVE_TIMEOUT, as an endpoint sees it: the deadline it is given.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { TestApp, TestProject } from '../../../test/app.ts';
import { scriptedEndpoint, type ScriptedEndpoint } from '../../../test/endpoint.ts';
import { on, started } from '../../../test/failing-endpoints.ts';
import { createAdaptiveTimeout } from './adaptive-timeout.ts';

let app: TestApp;
let project: TestProject;
before(async () => ({ app, project } = await started({ ADAPTIVE_TIMEOUT: 'true' })));
after(() => app.close());

/** How long the next run of a job is given when so many runs took `secs` each. */
async function givenSecs(
  endpoint: ScriptedEndpoint,
  runs: number,
  secs: number,
  status = 'completed',
): Promise<number> {
  const strait = on(app, project);
  const slug = await strait.job(endpoint.url, { timeout_secs: 10 });
  const ids = [];
  for (let n = 0; n < runs; n++) {
    // Held back by its schedule: no attempt of it asks before there is a history.
    ids.push(
      await strait.trigger(slug, { scheduled_at: new Date(Date.now() + 3_600_000).toISOString() }),
    );
  }
  await strait.call('POST', '/v1/runs/bulk-cancel', { run_ids: ids });
  await app.sql(
    `update job_runs set status = $3, finished_at = strait_now(), started_at = strait_now() - make_interval(secs => $2)
      where id = any ($1)`,
    ids,
    secs,
    status,
  );
  const id = await strait.trigger(slug);
  const { started_at } = await strait.ended(id, 'completed');
  const { headers } = endpoint.requests.at(-1) ?? {};
  return (Date.parse(String(headers?.['x-strait-deadline'])) - Date.parse(started_at)) / 1000;
}

it('a job whose successes take long gives its attempts half as much again, from twenty samples on', async () => {
  await using endpoint = await scriptedEndpoint();
  const near = (given: number, secs: number) =>
    assert.ok(Math.abs(given - secs) < 5, `given ${given}, expected ${secs}`);
  near(await givenSecs(endpoint, 20, 40), 60);
  near(await givenSecs(endpoint, 19, 40), 10);
  near(await givenSecs(endpoint, 20, 2), 10);
  near(await givenSecs(endpoint, 20, 40, 'dead_letter'), 10);
});

it('what history cannot say leaves the time-out as it is', async () => {
  const errors: string[] = [];
  const adapt = createAdaptiveTimeout({
    db: {
      query: () => Promise.reject(new Error('away')),
    },
    monotonic: () => 0,
    onError: (_error, what) => void errors.push(what),
  });
  assert.equal(await adapt('job', 5_000), 5_000);
  assert.deepEqual(errors, ['durations of a job']);
});
