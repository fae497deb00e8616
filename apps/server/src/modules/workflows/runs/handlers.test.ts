// What the handler of a step is told of the workflow it works for.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { SeenRequest } from '../../../../test/endpoint.ts';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

it('a handler learns its workflow run, its step and its place in a list; a run of its own has none', async () => {
  const on = await workflowApp();
  const seen: SeenRequest[] = [];
  const note =
    (body: unknown, status = 200) =>
    (request: SeenRequest) => {
      seen.push(request);
      return { status, body };
    };
  on.answers['work'] = note({});
  on.answers['undo'] = note({});
  on.answers['bad'] = note({}, 400);
  await on.job('work');
  const undo = await on.job('undo');
  await on.job('bad');
  await on.workflow(
    'told',
    [
      { step_ref: 'first', job_slug: 'work', compensation_job_id: undo },
      {
        step_ref: 'each',
        step_type: 'map',
        job_slug: 'work',
        map_items: [7, 8],
        depends_on: ['first'],
      },
      { step_ref: 'last', job_slug: 'bad', depends_on: ['each'] },
    ],
    { compensate_on_failure: true },
  );
  const id = await on.trigger('told');
  await until('the compensation', () => seen.some(({ path }) => path.endsWith('/undo')));
  const told = seen
    .map(({ headers }) => [
      headers['x-strait-workflow-run-id'],
      headers['x-strait-workflow-step'],
      headers['x-strait-workflow-map-index'],
    ])
    .toSorted((a, b) => String(a.slice(1)).localeCompare(String(b.slice(1))));
  assert.deepEqual(told, [
    [id, 'each', '0'],
    [id, 'each', '1'],
    [id, 'first', undefined],
    [id, 'first', undefined],
    [id, 'last', undefined],
  ]);

  seen.length = 0;
  await on.call('POST', '/v1/jobs/work/trigger', {});
  await until('the run of its own', () => seen.length === 1);
  const [alone] = seen;
  assert.ok(alone);
  assert.equal(
    Object.keys(alone.headers).some((name) => name.startsWith('x-strait-workflow')),
    false,
  );
  await on.close();
});
