import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;
let held: PromiseWithResolvers<void>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  for (const slug of ['a', 'bad', 'held']) await on.job(slug);
  on.answers['bad'] = () => ({ status: 400, body: { no: true } });
  held = Promise.withResolvers();
  on.answers['held'] = async () => {
    await held.promise;
    return { body: {} };
  };
});
after(async () => {
  held.resolve();
  await on.close();
});

const job = (step_ref: string, job_slug: string, more: object = {}) => ({
  step_ref,
  job_slug,
  ...more,
});
const get = async (path: string) => {
  const { status, body } = await on.internal('GET', path);
  assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
  return body;
};
const status = async (path: string) => (await on.internal('GET', path)).status;
// oxlint-disable-next-line typescript/no-explicit-any
const byRef = (list: any[]) => Object.fromEntries(list.map((one) => [one.step_ref, one]));

describe('the graph of a run', () => {
  it('v50: the longest way by what was, then by what is expected, and what remains', async () => {
    await on.workflow('longest', [
      job('a', 'a'),
      job('b', 'held', { depends_on: ['a'], timeout_secs_override: 60 }),
      job('c', 'a', { depends_on: ['b'], timeout_secs_override: 30 }),
      job('d', 'a', { depends_on: ['a'], condition: { type: 'eq', left: 1, right: 2 } }),
      { step_ref: 'ok', step_type: 'approval', approvers: ['*'] },
    ]);
    const id = await on.trigger('longest');
    await on.stepReaches(id, 'b', 'running');
    await on.stepReaches(id, 'd', 'skipped');
    await on.app.sql(
      `update workflow_step_runs
          set started_at = case step_ref when 'a' then strait_now() - interval '20 s' else strait_now() - interval '10 s' end,
              finished_at = case step_ref when 'a' then strait_now() - interval '19.9 s' end
        where workflow_run_id = $1 and step_ref in ('a', 'b')`,
      id,
    );
    const graph = await get(`/v1/workflow-runs/${id}/graph`);
    assert.deepEqual(graph.critical_path, ['a', 'b', 'c']);
    assert.equal(graph.critical_path_estimate_ms, 90_100);
    const remaining = graph.critical_path_remaining_ms;
    assert.ok(remaining <= 80_000 && remaining > 70_000, String(remaining));
    assert.deepEqual(graph.edges, [
      { from: 'a', to: 'b' },
      { from: 'a', to: 'd' },
      { from: 'b', to: 'c' },
    ]);
    assert.deepEqual([graph.roots, graph.runnable, graph.version], [['a', 'ok'], [], 1]);
    const nodes = byRef(graph.nodes);
    assert.deepEqual(
      [nodes['a'].status, nodes['a'].duration_ms, nodes['a'].type, nodes['a'].attempt],
      ['completed', 100, 'job', 1],
    );
    assert.deepEqual(
      [nodes['c'].status, nodes['c'].wait_reason, nodes['c'].depends_on],
      ['waiting', 'dependencies', ['b']],
    );
    assert.deepEqual([nodes['ok'].type, nodes['ok'].wait_reason], ['approval', 'approval']);
    await on.internal('DELETE', `/v1/workflow-runs/${id}`);
    const over = await get(`/v1/workflow-runs/${id}/graph`);
    assert.equal(over.critical_path_remaining_ms, 0);
  });

  it('names what only a limit or a pause holds back as runnable', async () => {
    await on.workflow(
      'limited',
      [job('x', 'held'), job('y', 'a'), job('z', 'a', { depends_on: ['y'] })],
      {
        max_parallel_steps: 1,
      },
    );
    const id = await on.trigger('limited');
    await on.stepReaches(id, 'x', 'running');
    const graph = await get(`/v1/workflow-runs/${id}/graph`);
    assert.deepEqual(graph.runnable, ['y']);
    await on.internal('DELETE', `/v1/workflow-runs/${id}`);
    assert.deepEqual((await get(`/v1/workflow-runs/${id}/graph`)).runnable, []);
  });
});

describe('the timeline of a run', () => {
  it('is sorted by start, says what ran beside and how long each step waited', async () => {
    await on.workflow('timed', [
      job('b', 'a', { condition: { type: 'eq', left: 1, right: 2 } }),
      job('c', 'held'),
      job('d', 'held'),
      job('e', 'a', { depends_on: ['d'] }),
    ]);
    const id = await on.trigger('timed');
    await on.stepReaches(id, 'c', 'running');
    await on.stepReaches(id, 'd', 'running');
    await on.app.sql(
      `with t as (select date_trunc('second', strait_now()) - interval '1 h' as at),
            r as (update workflow_runs set started_at = at from t where id = $1)
       update workflow_step_runs
          set started_at = at + case step_ref when 'c' then interval '5 s' else interval '3 s' end
         from t where workflow_run_id = $1 and step_ref in ('c', 'd')`,
      id,
    );
    const timeline = await get(`/v1/workflow-runs/${id}/timeline`);
    assert.deepEqual(
      timeline.steps.map(({ step_ref }: { step_ref: string }) => step_ref),
      ['d', 'c', 'b', 'e'],
    );
    const steps = byRef(timeline.steps);
    assert.deepEqual([steps['c'].wait_ms, steps['d'].wait_ms], [5000, 3000]);
    assert.deepEqual(
      [steps['c'].parallel_with, steps['c'].parallel_count, steps['d'].parallel_with],
      [['d'], 1, ['c']],
    );
    assert.ok(steps['d'].duration_ms > 3_590_000 && steps['d'].on_critical_path);
    assert.deepEqual(
      [steps['e'].parallel_count, steps['e'].duration_ms, steps['e'].wait_ms],
      [0, 0, 0],
    );
    assert.ok(timeline.total_ms >= 3_600_000);
    await on.internal('DELETE', `/v1/workflow-runs/${id}`);
  });
});

describe('what was decided', () => {
  it('is explained newest first, by step and type, page by page', async () => {
    await on.workflow(
      'decided',
      [
        job('x', 'held'),
        job('y', 'a'),
        job('z', 'a'),
        {
          step_ref: 'no',
          step_type: 'approval',
          approvers: ['*'],
          condition: { type: 'eq', left: 1, right: 2 },
        },
      ],
      { max_parallel_steps: 1 },
    );
    const id = await on.trigger('decided');
    await on.stepReaches(id, 'x', 'running');
    const path = `/v1/workflow-runs/${id}/explain`;
    const all = await get(path);
    const said = all.data.map(
      (one: Record<string, string>) =>
        `${one['step_ref']} ${one['decision_type']}/${one['decision']}`,
    );
    assert.deepEqual(said.toSorted(), [
      'no condition/skip',
      'y scheduler/wait',
      'z scheduler/wait',
    ]);
    const waits = all.data.find((one: Record<string, string>) => one['step_ref'] === 'y');
    assert.deepEqual(waits.details, { running: 1, limit: 1 });
    const one = await get(`${path}?step_ref=y`);
    assert.deepEqual([one.data.length, one.data[0].step_ref], [1, 'y']);
    assert.deepEqual((await get(`${path}?step_ref=y&decision_type=condition`)).data, []);
    const first = await get(`${path}?limit=2`);
    const second = await get(`${path}?limit=2&cursor=${first.next_cursor}`);
    assert.deepEqual([...first.data, ...second.data], all.data);
    assert.deepEqual([first.has_more, second.has_more], [true, false]);
    assert.equal(await status(`${path}?decision_type=guess`), 400);
    const force = (reason: unknown) =>
      on.internal('POST', `/v1/workflow-runs/${id}/steps/z/force-complete`, { reason });
    for (const reason of ['x'.repeat(1001), 7]) {
      const { status: code, body } = await force(reason);
      assert.equal(code, 400);
      assert.match(body.error, /^body\.reason/);
    }
    assert.equal((await force('done by hand')).status, 200);
    const [forced] = (await get(`${path}?step_ref=z&decision_type=operator`)).data;
    assert.deepEqual([forced.decision, forced.explanation], ['force_complete', 'done by hand']);
    const [audit] = await on.app.sql<{ details: Record<string, string> }>(
      `select details from audit_events where action = 'workflow_step.force_complete'`,
    );
    assert.equal(audit?.details['reason'], 'done by hand');
    await on.internal('DELETE', `/v1/workflow-runs/${id}`);
  });
});

describe('a run as a whole', () => {
  it('has labels, and a bundle of everything for debugging', async () => {
    await on.workflow('inner', [job('one', 'held')]);
    await on.workflow('whole', [
      job('a', 'a'),
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'inner' },
      { step_ref: 'ok', step_type: 'approval', approvers: ['ann'] },
      { step_ref: 'told', step_type: 'wait_for_event', event_key: 'whole{{payload.n}}' },
    ]);
    const id = await on.trigger('whole', { payload: { n: 1 }, labels: { team: 'red', tier: '1' } });
    await on.stepReaches(id, 'a', 'completed');
    await on.stepReaches(id, 'told', 'event');
    assert.deepEqual(await get(`/v1/workflow-runs/${id}/labels`), {
      labels: { team: 'red', tier: '1' },
    });
    const bundle = await get(`/v1/workflow-runs/${id}/debug`);
    assert.equal(bundle.workflow_run.id, id);
    assert.deepEqual(Object.keys(byRef(bundle.steps)).toSorted(), ['a', 'ok', 'sub', 'told']);
    assert.equal(byRef(bundle.steps)['a'].output, undefined);
    assert.deepEqual(
      [bundle.approvals[0].step_ref, bundle.approvals[0].approvers],
      ['ok', ['ann']],
    );
    assert.deepEqual(
      [bundle.event_triggers[0].event_key, bundle.event_triggers[0].status],
      ['whole1', 'waiting'],
    );
    assert.deepEqual([bundle.job_runs.length, bundle.job_runs[0].step_ref], [1, 'a']);
    assert.deepEqual([bundle.child_runs.length, bundle.child_runs[0].step_ref], [1, 'sub']);
    assert.ok(bundle.events.some((event: Record<string, unknown>) => event['attempt'] === 1));
    assert.deepEqual(bundle.truncated, []);
    await on.internal('DELETE', `/v1/workflow-runs/${id}`);
  });

  it('compares with another', async () => {
    const first = await on.trigger('whole', { payload: { n: 2 } });
    const second = await on.trigger('whole', {
      payload: { n: 3 },
      step_overrides: [{ step_ref: 'sub' }],
    });
    await on.stepReaches(first, 'a', 'completed');
    await on.stepReaches(second, 'a', 'completed');
    await on.internal('DELETE', `/v1/workflow-runs/${first}`);
    const both = await get(`/v1/workflow-runs/${first}/compare/${second}`);
    assert.deepEqual([both.run_a.id, both.run_b.id, both.status_diff], [first, second, true]);
    assert.deepEqual([both.only_in_a, both.only_in_b], [['sub'], []]);
    const steps = byRef(both.step_diffs);
    assert.deepEqual(Object.keys(steps), ['a', 'ok', 'told']);
    assert.deepEqual([steps['ok'].status_a, steps['ok'].status_b], ['canceled', 'waiting']);
    assert.ok(steps['a'].duration_ms_a >= 0 && steps['a'].duration_ms_b >= 0);
    await on.internal('DELETE', `/v1/workflow-runs/${second}`);
    assert.equal(await status(`/v1/workflow-runs/${first}/compare/nothing`), 404);
  });
});

describe('one step of a run', () => {
  it('is read by its name, with the children of a map', async () => {
    await on.workflow('listed', [
      {
        step_ref: 'all',
        step_type: 'map',
        job_slug: 'bad',
        map_items: [10, 20, 30, 40, 50],
        map_max_parallel: 2,
        map_tolerated_failures: 5,
      },
      job('next', 'a', { depends_on: ['all'] }),
    ]);
    const id = await on.trigger('listed');
    await on.reaches(id, 'completed');
    const path = `/v1/workflow-runs/${id}/steps`;
    const step = await get(`${path}/all`);
    assert.deepEqual([step.step_ref, step.status, step.map.failed], ['all', 'completed', 5]);
    const first = await get(`${path}/all/children?limit=3`);
    const second = await get(`${path}/all/children?limit=3&cursor=${first.next_cursor}`);
    const children = [...first.data, ...second.data];
    assert.deepEqual(
      children.map((child) => [child.index, child.item, child.status]),
      [10, 20, 30, 40, 50].map((item, index) => [index, item, 'failed']),
    );
    assert.ok(children.every((child) => child.job_run_id && child.error));
    assert.deepEqual(
      [first.has_more, second.has_more, second.next_cursor],
      [true, false, undefined],
    );
    assert.deepEqual((await get(`${path}/all/children?status=running`)).data, []);
    assert.equal((await get(`${path}/all/children?status=failed&limit=100`)).data.length, 5);
    assert.deepEqual((await get(`${path}/next/children`)).data, []);
    assert.equal(await status(`${path}/nothing`), 404);
    assert.equal(await status(`${path}/nothing/children`), 404);
    assert.equal(await status(`${path}/all/children?cursor=x`), 400);
  });
});

describe('versions of a workflow', () => {
  it('V6: count exactly who follows them, however many there are', async () => {
    await on.workflow('followed', [{ step_ref: 'ok', step_type: 'approval', approvers: ['*'] }]);
    const old = [await on.trigger('followed'), await on.trigger('followed')];
    await on.internal('PATCH', '/v1/workflows/followed', { description: 'second' });
    const fresh = await on.trigger('followed');
    await on.internal('POST', `/v1/workflow-runs/${fresh}/pause`);
    await on.internal('DELETE', `/v1/workflow-runs/${old[0]}`);
    // More than the 500 that the original looked at.
    await on.app.sql(
      `insert into workflow_runs (workflow_id, project_id, status, workflow_version, created_at)
       select workflow_id, project_id, 'completed', 1, strait_now() - interval '1 d'
         from workflow_runs, generate_series(1, 700) where id = $1`,
      fresh,
    );
    const { workflow_id, versions } = await get('/v1/workflows/followed/active-versions');
    const [second, first] = versions;
    assert.equal(workflow_id, (await on.read(fresh)).workflow_id);
    assert.deepEqual([second.version, second.paused, second.running, second.total], [2, 1, 0, 1]);
    assert.deepEqual([first.version, first.running, first.total], [1, 1, 1]);
    assert.equal(second.version_id, (await on.read(fresh)).workflow_version_id);

    const impact = await get('/v1/workflows/followed/versions/1/impact');
    assert.deepEqual(
      [impact.version, impact.matching_runs, impact.sampled_runs, impact.version_id],
      [1, 702, 702, first.version_id],
    );
    const { completed, running, canceled, failed } = impact.by_status;
    assert.deepEqual([completed, running, canceled, failed], [700, 1, 1, 0]);
    const named = await get(`/v1/workflows/followed/versions/${second.version_id}/impact`);
    assert.deepEqual([named.matching_runs, named.by_status.paused], [1, 1]);
    assert.equal(await status('/v1/workflows/followed/versions/9/impact'), 404);
    assert.equal(await status('/v1/workflows/nothing/active-versions'), 404);
    await on.internal('DELETE', `/v1/workflow-runs/${old[1]}`);
    await on.internal('DELETE', `/v1/workflow-runs/${fresh}`);
    assert.deepEqual((await get('/v1/workflows/followed/active-versions')).versions, []);
  });
});
