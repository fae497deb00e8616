import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  for (const slug of ['do', 'bad', 'undo', 'undo-bad']) await on.job(slug);
  on.answers['do'] = () => ({ body: { booking: 7 } });
  for (const slug of ['bad', 'undo-bad']) on.answers[slug] = () => ({ status: 400, body: {} });
});
after(() => on.close());

const step = async (step_ref: string, undo: string | null, more: object = {}) => ({
  step_ref,
  job_slug: 'do',
  ...(undo === null ? {} : { compensation_job_id: await idOf(undo) }),
  ...more,
});
const ids = new Map<string, string>();
async function idOf(slug: string): Promise<string> {
  const known = ids.get(slug) ?? (await on.internal('GET', `/v1/jobs/${slug}`)).body.id;
  ids.set(slug, known);
  return known;
}
const failing = (...depends_on: string[]) => ({ step_ref: 'last', job_slug: 'bad', depends_on });

const compensate = (id: string) => on.internal('POST', `/v1/workflow-runs/${id}/compensate`);
const plan = async (id: string) =>
  (await on.internal('GET', `/v1/workflow-runs/${id}/compensation-plan`)).body;
const planned = async (id: string) =>
  (await plan(id)).steps.map((one: { step_ref: string; status: string }) => [
    one.step_ref,
    one.status,
  ]);
const becomes = (id: string, status: string) =>
  until(`run ${id} to be ${status}`, async () => (await on.read(id)).status === status);
const history = async (id: string) =>
  (
    await on.app.sql<{ to_status: string }>(
      'select to_status from workflow_run_events where workflow_run_id = $1 and step_ref is null order by id',
      id,
    )
  ).map(({ to_status }) => to_status);
const undone = (id: string) =>
  on.called
    .filter(({ job, body }) => job.startsWith('undo') && ofRun(body) === id)
    .map(({ body }) => (body as { step_ref: string }).step_ref);
const ofRun = (body: unknown) => (body as { workflow_run_id?: string }).workflow_run_id;

describe('undoing a workflow run', () => {
  it('runs the jobs of completed steps in reverse order, one at a time, with their outputs', async () => {
    const workflow = [
      await step('a', 'undo', { compensation_timeout_secs: 77 }),
      await step('b', 'undo', { depends_on: ['a'] }),
      await step('c', 'undo', { depends_on: ['a'] }),
      await step('none', null, { depends_on: ['b', 'c'] }),
      failing('none'),
    ];
    await on.workflow('trip', workflow);
    const id = await on.trigger('trip');
    await on.reaches(id, 'failed');
    const before = await plan(id);
    assert.equal(before.can_compensate, true);
    assert.deepEqual(await planned(id), [
      ['c', 'planned'],
      ['b', 'planned'],
      ['a', 'planned'],
    ]);

    const release = Promise.withResolvers<void>();
    on.answers['undo'] = async () => {
      await release.promise;
      return { body: {} };
    };
    const answer = await compensate(id);
    assert.deepEqual([answer.status, answer.body.status], [200, 'compensating']);
    assert.equal(answer.body.finished_at, undefined);
    await until('the first undo', () => undone(id).length === 1);
    assert.deepEqual(await planned(id), [
      ['c', 'running'],
      ['b', 'pending'],
      ['a', 'pending'],
    ]);
    assert.equal((await compensate(id)).status, 409, 'a second call is refused');
    release.resolve();
    delete on.answers['undo'];
    await becomes(id, 'compensated');
    assert.deepEqual(undone(id), ['c', 'b', 'a']);
    const call = on.called.findLast(({ body }) => ofRun(body) === id);
    assert.deepEqual(call?.body, {
      booking: 7,
      original_output: { booking: 7 },
      step_ref: 'a',
      workflow_run_id: id,
    });
    const { steps } = await plan(id);
    for (const one of steps) {
      assert.equal(one.status, 'completed');
      assert.ok(one.started_at <= one.finished_at);
    }
    const [run] = await on.app.sql<{ timeout: number; step: string }>(
      'select timeout_secs_override as timeout, workflow_step_run_id as step from job_runs where id = $1',
      steps[2].job_run_id,
    );
    assert.deepEqual(run, { timeout: 77, step: (await on.steps(id))['a'].id });
    const ended = await on.read(id);
    assert.match(ended.error, /^step last failed/, 'why it was undone stays');
    assert.ok(ended.finished_at);
    assert.deepEqual((await history(id)).slice(-3), ['failed', 'compensating', 'compensated']);
    assert.equal((await compensate(id)).status, 409, 'and so is one after the end');
    const retry = await on.app.sql<{ action: string }>(
      `select action from audit_events where resource_id = $1 and action = 'workflow_run.compensate'`,
      id,
    );
    assert.equal(retry.length, 1);
  });

  it('goes on where one cannot be undone or its job cannot be started', async () => {
    await on.job('undo-gone');
    await on.workflow('part', [
      await step('a', 'undo'),
      await step('b', 'undo-bad'),
      await step('c', 'undo-gone'),
      failing('a', 'b', 'c'),
    ]);
    const id = await on.trigger('part');
    await on.reaches(id, 'failed');
    const off = await on.internal('PATCH', `/v1/jobs/undo-gone`, { enabled: false });
    assert.equal(off.status, 200);
    await compensate(id);
    await becomes(id, 'compensation_failed');
    assert.deepEqual(await planned(id), [
      ['c', 'failed'],
      ['b', 'failed'],
      ['a', 'completed'],
    ]);
    const { steps } = await plan(id);
    assert.equal(steps[0].error, 'the job is disabled');
    assert.ok(steps[0].finished_at && steps[0].job_run_id === undefined);
    assert.ok(steps[1].finished_at && steps[1].job_run_id);
  });

  it('is done at once where there is nothing to undo, and refused where the run has not failed', async () => {
    await on.workflow('nothing', [failing()]);
    const id = await on.trigger('nothing');
    await on.reaches(id, 'failed');
    const both = await Promise.all([compensate(id), compensate(id)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 409], 'once, whoever asks');
    assert.equal((await on.read(id)).status, 'compensated');
    assert.deepEqual((await plan(id)).steps, []);

    await on.workflow('good', [await step('a', 'undo')]);
    const good = await on.trigger('good');
    await on.reaches(good, 'completed');
    const refused = await compensate(good);
    assert.deepEqual([refused.status, refused.body.code], [409, 'workflow_run_not_compensable']);
    assert.deepEqual(await planned(good), [['a', 'planned']]);
  });

  it('starts by itself where the version says so, when a run fails or times out', async () => {
    const settings = { compensate_on_failure: true };
    await on.workflow('auto', [await step('a', 'undo'), failing('a')], settings);
    const id = await on.trigger('auto');
    await becomes(id, 'compensated');
    assert.deepEqual(undone(id), ['a']);
    assert.deepEqual(await history(id), ['running', 'failed', 'compensating', 'compensated']);

    // What a run follows is frozen.
    const wait = { step_ref: 'ok', step_type: 'approval', approvers: ['*'], depends_on: ['a'] };
    await on.workflow('late', [await step('a', 'undo'), wait], { ...settings, timeout_secs: 1 });
    const late = await on.trigger('late');
    await on.internal('PATCH', '/v1/workflows/late', { compensate_on_failure: null });
    const { body } = await on.internal('GET', '/v1/workflows/late/versions/1/diff/2');
    assert.deepEqual(body.workflow_changes, [
      { name: 'compensate_on_failure', from: true, to: false },
    ]);
    await becomes(late, 'compensated');
    assert.deepEqual((await history(late)).slice(-3), ['timed_out', 'compensating', 'compensated']);
  });

  it('keeps no parent waiting: it hears of the failure at once', async () => {
    const release = Promise.withResolvers<void>();
    on.answers['undo'] = async () => {
      await release.promise;
      return { body: {} };
    };
    const settings = { compensate_on_failure: true };
    await on.workflow('inner', [await step('a', 'undo'), failing('a')], settings);
    await on.workflow('outer', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'inner' },
    ]);
    const id = await on.trigger('outer');
    const run = await on.reaches(id, 'failed');
    assert.match(run.error, /^step sub failed: step last failed/);
    const child = (await on.steps(id))['sub'].child_workflow_run_id;
    assert.equal((await on.read(child)).status, 'compensating');
    release.resolve();
    delete on.answers['undo'];
    await becomes(child, 'compensated');
    assert.equal((await on.read(id)).status, 'failed');
  });

  it('can be canceled, and no step runs again meanwhile', async () => {
    const release = Promise.withResolvers<void>();
    on.answers['undo'] = async () => {
      await release.promise;
      return { body: {} };
    };
    await on.workflow('halt', [
      await step('a', 'undo'),
      await step('b', 'undo'),
      failing('a', 'b'),
    ]);
    const id = await on.trigger('halt');
    await on.reaches(id, 'failed');
    await compensate(id);
    await until('the first undo', () => undone(id).length === 1);
    const again = async () => {
      const { status, body } = await on.internal('POST', `/v1/workflow-runs/${id}/steps/a/retry`);
      return [status, body.code];
    };
    assert.deepEqual(await again(), [409, 'workflow_run_not_resettable']);
    const canceled = await on.internal('DELETE', `/v1/workflow-runs/${id}`);
    assert.deepEqual([canceled.status, canceled.body.status], [200, 'canceled']);
    release.resolve();
    delete on.answers['undo'];
    assert.deepEqual(await planned(id), [
      ['b', 'failed'],
      ['a', 'failed'],
    ]);
    const [run] = await on.app.sql<{ status: string }>(
      'select status from job_runs where id = $1',
      (await plan(id)).steps[0].job_run_id,
    );
    assert.equal(run?.status, 'canceled');
    assert.deepEqual(undone(id), ['b']);
    assert.deepEqual(await again(), [409, 'workflow_run_not_resettable']);
  });

  it('begins with the end of the run or not at all, and a crash on the way loses nothing', async () => {
    await on.workflow(
      'crash',
      [await step('a', 'undo'), await step('b', 'undo'), failing('a', 'b')],
      { compensate_on_failure: true },
    );
    const seen: string[] = [];
    /** What transactions that write such a row leave behind when they fall over just then. */
    const fallOn = async (event: string, left: () => Promise<string>) => {
      await on.app.sql('create sequence falls');
      await on.app.sql(
        `create function fall() returns trigger language plpgsql as
         $$ begin perform nextval('falls'); raise exception 'fallen'; end $$`,
      );
      await on.app.sql(
        `create trigger fall before ${event} on compensation_runs for each row execute function fall()`,
      );
      return async () => {
        await until('the transaction to fall', async () => {
          const [falls] = await on.app.sql<{ called: boolean }>(
            'select is_called as called from falls',
          );
          return falls?.called === true;
        });
        seen.push(await left());
        await on.app.sql('drop trigger fall on compensation_runs');
        await on.app.sql('drop function fall()');
        await on.app.sql('drop sequence falls');
      };
    };
    let id = '';
    const began = await fallOn('insert', async () => {
      const [rows] = await on.app.sql<{ rows: string }>(
        'select count(*) as rows from compensation_runs where workflow_run_id = $1',
        id,
      );
      return `${(await on.read(id)).status} ${rows?.rows}`;
    });
    id = await on.trigger('crash');
    await began();
    const release = Promise.withResolvers<void>();
    on.answers['undo'] = async () => {
      await release.promise;
      return { body: {} };
    };
    await until('the first undo', () => undone(id).length === 1);
    const ended = await fallOn('update', async () => JSON.stringify(await planned(id)));
    release.resolve();
    await ended();
    delete on.answers['undo'];
    await becomes(id, 'compensated');
    assert.deepEqual(seen, ['running 0', '[["b","running"],["a","pending"]]']);
    assert.deepEqual(undone(id), ['b', 'a'], 'each once');
  });

  it('waits while the queue of the project is full, and goes on by itself', async () => {
    await on.workflow('full', [await step('a', 'undo'), failing('a')]);
    const id = await on.trigger('full');
    await on.reaches(id, 'failed');
    const quota = (most: number) =>
      on.app.sql(
        `insert into project_quotas (project_id, max_queued_runs) values ($1, $2)
         on conflict (project_id) do update set max_queued_runs = excluded.max_queued_runs`,
        on.project.project_id,
        most,
      );
    const held = await on.job('held');
    await on.internal('POST', `/v1/jobs/${held}/pause`, {});
    await quota(1);
    assert.equal((await on.internal('POST', `/v1/jobs/${held}/trigger`, {})).status, 201);
    assert.equal((await compensate(id)).body.status, 'compensating');
    assert.deepEqual(await planned(id), [['a', 'pending']]);
    await quota(0);
    await becomes(id, 'compensated');
  });
});
