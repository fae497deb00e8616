import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { testApp, type TestApp } from '../../../../test/app.ts';
import { createWorkflowRetention } from './retention.ts';

const DAY = 86_400;
let app: TestApp;
let project_id = '';
let off = '';

before(async () => {
  app = await testApp({ log_level: 'warn' });
  project_id = (await app.project()).project_id;
  const made = await call('POST', '/v1/jobs', {
    name: 'off',
    slug: 'off',
    endpoint_url: 'http://127.0.0.1:9999/off',
    enabled: false,
  });
  off = made.body.id;
});
after(() => app.close());

const call = (method: string, path: string, body?: object) =>
  app.call(method, path, {
    headers: { ...app.internal, 'x-project-id': project_id },
    ...(body ? { body } : {}),
  });

async function workflow(slug: string, steps: readonly object[]): Promise<void> {
  const made = await call('POST', '/v1/workflows', { name: slug, slug, steps });
  assert.equal(made.status, 201, JSON.stringify(made.body));
}
async function trigger(slug: string): Promise<string> {
  const made = await call('POST', `/v1/workflows/${slug}/trigger`, { labels: { of: slug } });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}
/** As if the run had ended this long ago, and so. */
const ended = (id: string, status: string, days: number) =>
  app.sql(
    `update workflow_runs set status = $2, finished_at = strait_now() - make_interval(days => $3) where id = $1`,
    id,
    status,
    days,
  );
async function retain(): Promise<void> {
  const { hot } = app.composition;
  const { removeOldRuns } = createWorkflowRetention({ db: hot, retention_secs: 30 * DAY });
  while ((await removeOldRuns()).again);
}
const exists = async (id: string): Promise<boolean> =>
  (await call('GET', `/v1/workflow-runs/${id}`)).status === 200;
const approval = (step_ref: string) => ({ step_ref, step_type: 'approval', approvers: ['*'] });

describe('workflow runs that ended long ago', () => {
  it('go whatever they ended as (V7), younger and live ones stay', async () => {
    await workflow('any', [approval('ok')]);
    const statuses = [
      'completed',
      'failed',
      'timed_out',
      'canceled',
      'compensated',
      'compensation_failed',
    ];
    const old: string[] = [];
    const young: string[] = [];
    for (const status of statuses) {
      old.push(await trigger('any'));
      await ended(old.at(-1) ?? '', status, 31);
      young.push(await trigger('any'));
      await ended(young.at(-1) ?? '', status, 29);
    }
    for (const status of ['running', 'paused', 'compensating']) {
      young.push(await trigger('any'));
      await ended(young.at(-1) ?? '', status, 99);
    }
    await retain();
    for (const id of old) assert.equal(await exists(id), false, id);
    for (const id of young) assert.equal(await exists(id), true, id);
  });

  it('take everything under them along', async () => {
    await workflow('all', [
      approval('ok'),
      { step_ref: 'wait', step_type: 'wait_for_event', event_key: 'never' },
      { step_ref: 'map', step_type: 'map', job_id: off, map_items: [1], on_failure: 'continue' },
      { ...approval('skip'), condition: { type: 'eq', left: 1, right: 2 } },
    ]);
    const id = await trigger('all');
    await app.sql(
      `insert into compensation_runs (workflow_run_id, step_run_id, step_ref, job_id, position)
       select workflow_run_id, id, step_ref, $2, 1 from workflow_step_runs where workflow_run_id = $1 and step_ref = 'ok'`,
      id,
      off,
    );
    await app.sql(
      `insert into workflow_map_children (step_run_id, attempt, index, item)
       select id, 9, 0, '1' from workflow_step_runs where workflow_run_id = $1 and step_ref = 'map'`,
      id,
    );
    const count = async () =>
      Object.fromEntries(
        await Promise.all(
          [
            'workflow_step_runs',
            'workflow_step_decisions',
            'workflow_step_approvals',
            'workflow_run_labels',
            'workflow_run_events',
            'compensation_runs',
            'event_triggers',
          ].map(async (table) => {
            const [row] = await app.sql<{ rows: string }>(
              `select count(*) as rows from ${table} where workflow_run_id = $1`,
              id,
            );
            return [table, Number(row?.rows)] as const;
          }),
        ),
      );
    for (const [table, rows] of Object.entries(await count())) assert.ok(rows > 0, table);
    await call('DELETE', `/v1/workflow-runs/${id}`);
    await ended(id, 'canceled', 31);
    await retain();
    for (const [table, rows] of Object.entries(await count())) assert.equal(rows, 0, table);
    const [children] = await app.sql<{ rows: string }>(
      'select count(*) as rows from workflow_map_children where attempt = 9',
    );
    assert.equal(Number(children?.rows), 0);
  });

  it('stay while their parent does, and while a child of theirs lives', async () => {
    await workflow('child', [approval('ok')]);
    await workflow('parent', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'child' },
    ]);
    const [parent, other] = [await trigger('parent'), await trigger('parent')];
    const childOf = async (id: string): Promise<string> =>
      (await call('GET', `/v1/workflow-runs/${id}/steps`)).body.data[0].child_workflow_run_id;
    const [child, lively] = [await childOf(parent), await childOf(other)];
    await ended(child, 'completed', 40);
    await ended(other, 'failed', 40);
    await retain();
    assert.deepEqual(await Promise.all([parent, child, other, lively].map(exists)), [
      true,
      true,
      true,
      true,
    ]);
    await ended(parent, 'completed', 31);
    await ended(lively, 'canceled', 31);
    await retain();
    assert.deepEqual(await Promise.all([parent, child, other, lively].map(exists)), [
      false,
      false,
      false,
      false,
    ]);
  });

  it('are left to who works on them, and a deleted workflow goes after its last run', async () => {
    await workflow('last', [approval('ok')]);
    const id = await trigger('last');
    await call('DELETE', `/v1/workflow-runs/${id}`);
    await ended(id, 'canceled', 31);
    assert.equal((await call('DELETE', '/v1/workflows/last')).status, 204);
    await app.db.transaction(async (tx) => {
      await tx.query({
        text: 'select id from workflow_runs where id = $1 for update',
        values: [id],
      });
      await retain();
    });
    assert.equal(await exists(id), true);
    await retain();
    assert.equal(await exists(id), false);
    const versions = () =>
      app.sql(
        `select v.id from workflow_versions v where v.name = 'last' and project_id = $1`,
        project_id,
      );
    assert.equal((await versions()).length, 1);
    await app.sql(
      `update workflows set deleting_at = deleting_at - interval '1 hour' where name = 'last'`,
    );
    await app.composition.modules.workflowDefinitions.finishDeletions(new AbortController().signal);
    assert.equal((await versions()).length, 0);
  });

  it('find what hangs on them by an index, in every table', async () => {
    const bare = await app.sql<{ table: string; columns: string }>(
      `select c.conrelid::regclass::text as "table", c.conkey::text as columns
         from pg_constraint c
        where c.contype = 'f' and c.conparentid = 0
          and c.confrelid::regclass::text in ('workflow_runs', 'workflow_step_runs', 'event_triggers', 'workflow_versions',
              'workflow_version_steps', 'workflow_snapshots', 'workflows')
          and not exists (select from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1] and i.indisvalid)`,
    );
    assert.deepEqual(bare, []);
  });
});
