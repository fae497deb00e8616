import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Queryable, StatementCall } from '../../../platform/db/query.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';
import { listTriggers } from '../../events/reading/store.sql.ts';
import * as inspection from './inspection.sql.ts';
import * as store from './store.sql.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
});
after(() => on.close());

const STEPS = 1000;
const ok = { step_type: 'approval', approvers: ['*'] };
const get = async (path: string) => {
  const { status, body } = await on.internal('GET', path);
  assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
  return body;
};

describe('lists of workflow runs', () => {
  it('V9: filters combine with and', async () => {
    const red = await on.workflow('red', [{ step_ref: 'x', ...ok }], { tags: { team: 'red' } });
    await on.workflow('blue', [{ step_ref: 'x', ...ok }], { tags: { team: 'blue' } });
    const labels = { tier: 'gold' };
    const one = await on.trigger('red', { labels, triggered_by: 'script' });
    const two = await on.trigger('red', { labels: { tier: 'lead' } });
    const three = await on.trigger('blue', { labels });
    const four = await on.trigger('red', { labels, triggered_by: 'script' });
    for (const id of [four, three]) await on.internal('DELETE', `/v1/workflow-runs/${id}`);
    const find = async (query: string) =>
      // oxlint-disable-next-line typescript/no-explicit-any
      (await get(`/v1/workflow-runs?${query}`)).data.map(({ id }: any) => id);
    const tag = 'tag_key=team&tag_value=red';
    assert.deepEqual(await find(tag), [four, two, one]);
    assert.deepEqual(await find(`${tag}&status=canceled`), [four]);
    assert.deepEqual(await find('status=canceled'), [four, three]);
    assert.deepEqual(await find(`${tag}&label_key=tier&label_value=gold`), [four, one]);
    assert.deepEqual(await find(`${tag}&label_key=tier&status=running`), [two, one]);
    assert.deepEqual(await find(`workflow_id=${red}&triggered_by=script&status=running`), [one]);
    assert.deepEqual(await find('workflow_id=red&status=running'), [two, one]);
    assert.deepEqual(await find('workflow_id=nothing'), []);
    assert.deepEqual(await find('tag_key=team&status=running'), [two, one]);
    assert.deepEqual(await find('tag_key=none'), []);
    const first = await get(`/v1/workflow-runs?${tag}&limit=2`);
    const second = await get(`/v1/workflow-runs?${tag}&limit=2&cursor=${first.next_cursor}`);
    assert.deepEqual([first.data.length, second.data.length, second.data[0].id], [2, 1, one]);
    for (const id of [one, two]) await on.internal('DELETE', `/v1/workflow-runs/${id}`);
  });

  it('read a page by an index, however many runs there are', async () => {
    const workflow_id = await on.workflow('many', [{ step_ref: 'x', ...ok }]);
    const other = await on.app.project();
    await on.app.sql(
      `insert into workflow_runs (workflow_id, project_id, status, created_at)
       select $1, case when n % 2 = 0 then $2 else $3 end, case when n % 100 < 2 then 'failed' else 'completed' end,
              strait_now() - make_interval(secs => n)
         from generate_series(1, 20000) n`,
      workflow_id,
      on.project.project_id,
      other.project_id,
    );
    await on.app.sql('analyze workflow_runs');
    await on.app.sql(
      `insert into event_triggers (event_key, project_id, source_type, trigger_type, workflow_run_id, status, expires_at)
       select id, project_id, 'workflow_step', 'event', id, 'received', strait_now() from workflow_runs where workflow_id = $1`,
      workflow_id,
    );
    await on.app.sql('analyze event_triggers');
    const { project_id } = on.project;
    const all = {
      project_id,
      workflow_id: null,
      status: null,
      triggered_by: null,
      tag_key: null,
      tag_value: null,
      label_key: null,
      label_value: null,
      before_created_at: null,
      before_id: null,
      limit: 51,
    };
    const rowsRead = (run: (db: Queryable) => Promise<unknown>) => planOf(project_id, run);
    const lists = [{}, { status: 'failed' }, { workflow_id }, { workflow_id, status: 'failed' }];
    for (const filter of lists) {
      const plan = await rowsRead((db) => store.listRuns(db, { ...all, ...filter }));
      assert.ok(!plan.scans.includes('workflow_runs'), JSON.stringify([filter, plan]));
      assert.ok(plan.rows <= 600, JSON.stringify([filter, plan]));
    }
    const key = { project_id, workflow_id };
    const counted = await rowsRead((db) => inspection.countByVersion(db, key));
    assert.ok(
      !counted.scans.includes('workflow_runs') && counted.rows < 100,
      JSON.stringify(counted),
    );
    const waits = await rowsRead((db) =>
      listTriggers(db, {
        project_id,
        status: null,
        workflow_run_id: 'of no run',
        source_types: ['workflow_step'],
        before_requested_at: null,
        before_id: null,
        limit: 51,
      }),
    );
    assert.ok(!waits.scans.includes('event_triggers') && waits.rows < 10, JSON.stringify(waits));
  });
});

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Plan[];
}

/** Tables read from end to end, and the most rows a node took in. */
async function planOf(project_id: string, run: (db: Queryable) => Promise<unknown>) {
  let root: Plan | undefined;
  await on.app.composition.db.tenant(project_id, (tx) =>
    run({
      query: async ({ text, values }: StatementCall) => {
        const { rows } = await tx.query({
          text: `explain (analyze, timing off, format json) ${text}`,
          values,
        });
        root = (rows[0] as { 'QUERY PLAN': { Plan: Plan }[] })['QUERY PLAN'][0]?.Plan;
        return { rows: [], rowCount: 0 };
      },
    }),
  );
  assert.ok(root);
  const flat = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(flat)];
  const nodes = flat(root);
  return {
    scans: nodes.flatMap((node) =>
      node['Node Type'] === 'Seq Scan' ? [node['Relation Name'] ?? ''] : [],
    ),
    rows: Math.max(
      ...nodes.map((node) => node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)),
    ),
  };
}

describe('a run of a thousand steps', () => {
  it('V8: is read to its last step, and as a whole in a moment (§27.5)', async (t) => {
    const ref = (at: number) => `s${String(at).padStart(4, '0')}`;
    await on.workflow(
      'wide',
      Array.from({ length: STEPS }, (_, at) => ({ step_ref: ref(at), ...ok })),
    );
    const id = await on.trigger('wide');
    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const page = await get(`/v1/workflow-runs/${id}/steps?limit=100${cursor}`);
      seen.push(...page.data.map(({ step_ref }: { step_ref: string }) => step_ref));
      if (!page.has_more) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    assert.deepEqual(
      seen,
      Array.from({ length: STEPS }, (_, at) => ref(at)),
    );

    for (const what of ['graph', 'timeline', 'why']) {
      await get(`/v1/workflow-runs/${id}/${what}`);
      const times: number[] = [];
      for (let round = 0; round < 5; round += 1) {
        const began = performance.now();
        await get(`/v1/workflow-runs/${id}/${what}`);
        times.push(performance.now() - began);
      }
      t.diagnostic(`${what}: ${Math.round(times.sort((a, b) => a - b)[2] ?? 0)} ms`);
    }
    const timeline = await get(`/v1/workflow-runs/${id}/timeline`);
    assert.equal(timeline.steps.length, STEPS);
    assert.equal(timeline.steps[500].parallel_count, STEPS - 1);
    assert.equal(timeline.steps[500].parallel_with.length, 20);
    const why = await get(`/v1/workflow-runs/${id}/why`);
    assert.deepEqual([why.unfinished_steps, why.blockers.length], [STEPS, 100]);
    assert.equal((await get(`/v1/workflow-runs/${id}/debug`)).steps.length, STEPS);
    await on.internal('DELETE', `/v1/workflow-runs/${id}`);
  });
});
