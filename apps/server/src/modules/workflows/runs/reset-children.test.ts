// Steps that run again while other runs work for them.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  for (const slug of ['make', 'each']) await on.job(slug);
});
after(() => on.close());

const act = async (id: string, step: string, verb: string) => {
  const answer = await on.call('POST', `/v1/workflow-runs/${id}/steps/${step}/${verb}`);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
};

describe('a replay of steps that started other runs', () => {
  it('cancels the child run and starts another', async () => {
    await on.workflow('child', [{ step_ref: 'ok', step_type: 'approval', approvers: ['*'] }]);
    await on.workflow('parent', [
      { step_ref: 'first', job_slug: 'make' },
      {
        step_ref: 'sub',
        step_type: 'sub_workflow',
        sub_workflow_slug: 'child',
        depends_on: ['first'],
      },
    ]);
    const id = await on.trigger('parent');
    const childOf = async () => (await on.steps(id))['sub'].child_workflow_run_id as string;
    await on.stepReaches(id, 'sub', 'running');
    const old = await childOf();
    await on.stepReaches(old, 'ok', 'approval');
    assert.deepEqual((await act(id, 'first', 'replay-subtree')).step_refs.toSorted(), [
      'first',
      'sub',
    ]);
    assert.equal((await on.read(old)).status, 'canceled');
    const { body } = await on.internal('GET', `/v1/workflow-runs/${old}/approvals`);
    assert.deepEqual(
      body.data.map(({ status }: { status: string }) => status),
      ['canceled'],
    );
    await on.stepReaches(id, 'sub', 'running');
    const next = await childOf();
    assert.notEqual(next, old);
    await on.stepReaches(next, 'ok', 'approval');
    // The end of the first child is news that comes too late.
    assert.equal((await on.read(id)).status, 'running');
    await act(next, 'ok', 'approve');
    await on.reaches(id, 'completed');
    assert.equal((await on.steps(id))['sub'].attempt, 2);
  });

  it('cancels the children of a map and goes through the list anew', async () => {
    on.answers['make'] = () => ({ body: { list: [1, 2, 3] } });
    const { promise, resolve } = Promise.withResolvers<void>();
    on.answers['each'] = async () => {
      await promise;
      return { body: { old: true } };
    };
    await on.workflow('map', [
      { step_ref: 'make', job_slug: 'make' },
      {
        step_ref: 'all',
        step_type: 'map',
        job_slug: 'each',
        depends_on: ['make'],
        map_items: '{{parent_outputs.make.list}}',
        map_max_parallel: 2,
        payload: { value: '{{item}}' },
      },
    ]);
    const id = await on.trigger('map');
    const isEach = ({ job }: { job: string }) => job === 'each';
    await until('both children to be called', () => on.called.filter(isEach).length === 2);
    on.answers['each'] = (request) => ({ body: request.body });
    await act(id, 'make', 'replay-subtree');
    resolve();
    await on.reaches(id, 'completed');
    const { all } = await on.steps(id);
    assert.deepEqual(
      all.output.map(({ value }: { value: number }) => value),
      [1, 2, 3],
    );
    assert.deepEqual([all.attempt, all.map.completed], [2, 3]);
    const children = await on.app.sql(
      `select c.attempt, c.status, count(*)::int as count, count(*) filter (where j.status = 'canceled')::int as canceled
         from workflow_map_children c join workflow_step_runs s on s.id = c.step_run_id
         left join job_runs j on j.id = c.job_run_id where s.workflow_run_id = $1 group by 1, 2 order by 1, 2`,
      id,
    );
    assert.deepEqual(children, [
      { attempt: 1, status: 'canceled', count: 3, canceled: 2 },
      { attempt: 2, status: 'completed', count: 3, canceled: 0 },
    ]);
  });
});

describe('a retry of a completed run', () => {
  it('has nothing left to do', async () => {
    await on.workflow('done', [{ step_ref: 'one', job_slug: 'make' }]);
    const id = await on.trigger('done');
    await on.reaches(id, 'completed');
    const calls = on.called.length;
    const { status, body } = await on.call('POST', `/v1/workflow-runs/${id}/retry`);
    assert.deepEqual([status, body.status], [201, 'completed'], JSON.stringify(body));
    assert.equal(on.called.length, calls);
  });
});
