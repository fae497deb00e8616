import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';
import { createReaper, type Reaped, type ReaperSettings } from './reaper.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;
const reaped: Reaped[] = [];
const errors: unknown[] = [];

before(async () => {
  on = await workflowApp({ log_level: 'error' });
  const { engine } = on.app.composition;
  const own = engine?.services.find(({ name }) => name === 'reaper of workflow runs');
  assert.ok(own, 'the application has the loop; here rounds are run by hand');
  await own.stop(AbortSignal.timeout(5_000));
  for (const slug of ['a', 'bad', 'held', 'undo', 'each']) await on.job(slug);
  on.answers['a'] = () => ({ body: { n: 1 } });
  on.answers['bad'] = () => ({ status: 400, body: {} });
  on.answers['held'] = async () => {
    await released.promise;
    return { body: {} };
  };
});
let released = Promise.withResolvers<void>();
afterEach(() => {
  released.resolve();
  released = Promise.withResolvers<void>();
});
after(() => on.close());

async function sweep(
  settings: ReaperSettings = { stall_action: 'reconcile', stall_threshold_secs: 900 },
): Promise<[action: string, step_ref?: string][]> {
  reaped.length = 0;
  errors.length = 0;
  const { modules, hot } = on.app.composition;
  await createReaper({
    db: hot,
    endings: modules.endings,
    progression: modules.workflowRuns.progression,
    settings,
    onReaped: (one) => reaped.push(one),
    onError: (error) => errors.push(error),
  }).sweep(new AbortController().signal);
  return reaped.map(({ action, step_ref }) => (step_ref ? [action, step_ref] : [action]));
}

/** As if everything had happened an hour earlier. */
async function age(): Promise<void> {
  const hour = `interval '1 hour'`;
  for (const statement of [
    `update workflow_runs set created_at = created_at - ${hour}, started_at = started_at - ${hour}, finished_at = finished_at - ${hour}`,
    `update workflow_step_runs set created_at = created_at - ${hour}, started_at = started_at - ${hour}, finished_at = finished_at - ${hour}`,
    `update workflow_run_events set created_at = created_at - ${hour}`,
    `update compensation_runs set started_at = started_at - ${hour}`,
    `update event_triggers set received_at = received_at - ${hour}, updated_at = updated_at - ${hour}`,
    `update job_runs set finished_at = finished_at - ${hour}`,
  ])
    await on.app.sql(statement);
}

/** While `run` goes on, rows of the table pass through this body of a trigger first. */
async function withTrigger(
  table: string,
  when: 'insert' | 'update',
  body: string,
  run: () => Promise<void>,
): Promise<void> {
  await on.app.sql(
    `create function tamper() returns trigger language plpgsql as $$ begin ${body} end $$`,
  );
  await on.app.sql(
    `create trigger tamper before ${when} on ${table} for each row execute function tamper()`,
  );
  try {
    await run();
  } finally {
    await on.app.sql(`drop trigger tamper on ${table}`);
    await on.app.sql('drop function tamper()');
  }
}
const withoutEnds = (run: () => Promise<void>) =>
  withTrigger('step_endings', 'insert', 'return null;', run);

const jobsOf = (id: string, status: string) =>
  on.app.sql<{ id: string }>(
    `select j.id from job_runs j join workflow_step_runs s on s.id = j.workflow_step_run_id
      where s.workflow_run_id = $1 and j.status = $2 order by j.id`,
    id,
    status,
  );
const jobsReach = (id: string, status: string, count = 1) =>
  until(`${count} job runs of ${id} to be ${status}`, async () => {
    return (await jobsOf(id, status)).length === count;
  });

const approval = { step_ref: 'ok', step_type: 'approval', approvers: ['*'] };
const job = (step_ref: string, job_slug: string, more: object = {}) => ({
  step_ref,
  job_slug,
  ...more,
});
const cancel = (id: string) => on.internal('DELETE', `/v1/workflow-runs/${id}`);

describe('the reaper of workflow runs', () => {
  it('leaves alone what waits, however long (S8), and what a slow queue has not come to', async () => {
    await on.workflow('inner', [approval], { max_concurrent_runs: 1 });
    await on.workflow('waits', [
      { ...approval, step_ref: 'on_approval' },
      { step_ref: 'on_event', step_type: 'wait_for_event', event_key: 'later' },
      { step_ref: 'on_sleep', step_type: 'sleep', sleep_duration: '2h' },
      job('on_retry', 'bad', { retry_max_attempts: 2, retry_initial_delay_secs: 3600 }),
      job('runs', 'held'),
      { step_ref: 'inner', step_type: 'sub_workflow', sub_workflow_slug: 'inner' },
      { step_ref: 'map', step_type: 'map', job_slug: 'held', map_items: [1, 2] },
      job('after', 'a', { depends_on: ['on_approval'] }),
    ]);
    const id = await on.trigger('waits');
    await on.stepReaches(id, 'on_retry', 'retry');
    await on.workflow('full', [
      { step_ref: 'quota', step_type: 'sub_workflow', sub_workflow_slug: 'inner' },
    ]);
    const full = await on.trigger('full');
    await on.stepReaches(full, 'quota', 'capacity');
    const slow = await on.job('slow');
    await on.internal('POST', `/v1/jobs/${slow}/pause`, {});
    await on.workflow('queued', [job('slow', 'slow')]);
    const queued = await on.trigger('queued');
    // An end that is there, and whose turn has not come: a failed try postpones it.
    await on.workflow('postponed', [job('a', 'a')]);
    let postponed = '';
    await withTrigger(
      'step_endings',
      'insert',
      `new.due_at := strait_now() + interval '1 hour'; return new;`,
      async () => {
        postponed = await on.trigger('postponed');
        await jobsReach(postponed, 'completed');
      },
    );
    await jobsReach(id, 'executing', 3);
    await age();
    assert.deepEqual(await sweep(), []);
    assert.deepEqual(errors, []);
    await on.app.sql('update step_endings set due_at = strait_now()');
    await on.reaches(postponed, 'completed');
    for (const run of [id, full, queued]) await cancel(run);
  });

  it('looks again at a run that stalled, only counts it, or fails it (S8)', async () => {
    await on.workflow('stalls', [approval, job('next', 'a', { depends_on: ['ok'] })]);
    const stall = async () => {
      const id = await on.trigger('stalls');
      // Its approval was given, and nothing came of it.
      await on.app.sql(
        `update workflow_step_runs set state = 'C', status = 'completed', wait_reason = null
          where workflow_run_id = $1 and step_ref = 'ok'`,
        id,
      );
      return id;
    };
    const id = await stall();
    assert.deepEqual(await sweep(), [], 'nothing has happened for long: not yet');
    await age();
    const threshold = { stall_threshold_secs: 900 };
    assert.deepEqual(await sweep({ stall_action: 'log_only', ...threshold }), [['stalled_run']]);
    assert.deepEqual(await on.states(id), { ok: 'completed', next: 'dependencies' });
    assert.deepEqual(await sweep(), [['stalled_run_reconciled']]);
    await on.reaches(id, 'completed');

    const other = await stall();
    await age();
    const failing = { stall_action: 'fail_workflow', ...threshold } as const;
    assert.deepEqual(await sweep(failing), [['stalled_run_failed']]);
    const run = await on.reaches(other, 'failed');
    assert.equal(run.error, 'workflow stalled');
    assert.deepEqual(await on.states(other), { ok: 'completed', next: 'canceled' });
    assert.deepEqual(await sweep(failing), []);
  });

  it('tells steps of ends they never heard of: the step is marked, and the graph goes on (S13)', async () => {
    await on.workflow('orphans', [
      job('one', 'a'),
      { step_ref: 'map', step_type: 'map', job_slug: 'each', map_items: [1, 2] },
      job('last', 'each', { depends_on: ['one', 'map'], payload: '{{parent_outputs.one}}' }),
    ]);
    let id = '';
    await withoutEnds(async () => {
      id = await on.trigger('orphans');
      await jobsReach(id, 'completed', 3);
    });
    assert.deepEqual(await sweep(), [], 'it may still be told');
    await age();
    assert.deepEqual((await sweep()).toSorted(), [
      ['orphan_step', 'map'],
      ['orphan_step', 'map'],
      ['orphan_step', 'one'],
    ]);
    await on.reaches(id, 'completed');
    const steps = await on.steps(id);
    assert.deepEqual([steps['one'].status, steps['one'].output], ['completed', { n: 1 }]);
    assert.equal(steps['map'].map.completed, 2);
    assert.deepEqual(await sweep(), []);
  });

  it('fails a step whose job run is gone', async () => {
    await on.workflow('gone', [job('one', 'a')]);
    let id = '';
    await withoutEnds(async () => {
      id = await on.trigger('gone');
      await jobsReach(id, 'completed');
    });
    const run_id = (await on.steps(id))['one'].job_run_id;
    await on.app.sql('delete from run_events where run_id = $1', run_id);
    await on.app.sql('delete from job_runs where id = $1', run_id);
    await age();
    assert.deepEqual(await sweep(), [['orphan_step', 'one']]);
    const run = await on.reaches(id, 'failed');
    assert.match(run.error, /job run ended with status system_failed/);
  });

  it('goes on undoing a run whose compensation was never heard of', async () => {
    const { body } = await on.internal('GET', '/v1/jobs/undo');
    await on.workflow('undone', [
      job('one', 'a', { compensation_job_id: body.id }),
      job('fails', 'bad', { depends_on: ['one'] }),
    ]);
    const id = await on.trigger('undone');
    await on.reaches(id, 'failed');
    await withoutEnds(async () => {
      await on.internal('POST', `/v1/workflow-runs/${id}/compensate`);
      await jobsReach(id, 'completed', 2);
    });
    await age();
    assert.deepEqual(await sweep(), [['orphan_step', 'one']]);
    await until('the run to be compensated', async () => {
      return (await on.read(id)).status === 'compensated';
    });
  });

  it('tells parents of children they never heard of', async () => {
    await on.workflow('short', [job('one', 'a')]);
    await on.workflow('deaf', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'short' },
      job('after', 'a', { depends_on: ['sub'] }),
    ]);
    let id = '';
    await withTrigger(
      'workflow_runs',
      'update',
      'new.news_due_at := null; return new;',
      async () => {
        id = await on.trigger('deaf');
        const child = (await on.steps(id))['sub'].child_workflow_run_id;
        await on.reaches(child, 'completed');
      },
    );
    assert.deepEqual(await sweep(), []);
    await age();
    assert.deepEqual(await sweep(), [['orphan_child', 'sub']]);
    await on.reaches(id, 'completed');
    assert.deepEqual((await on.steps(id))['sub'].output, { one: { n: 1 } });
  });

  it('lets steps go on whose event has come, and one that fails holds up no other', async () => {
    const wait = (event_key: string) => ({
      step_ref: 'wait',
      step_type: 'wait_for_event',
      event_key,
    });
    await on.workflow('receives', [wait('{{payload.key}}')]);
    const ids = [];
    for (const key of ['k1', 'k2', 'k3'])
      ids.push(await on.trigger('receives', { payload: { key } }));
    const [first = '', second = '', third = ''] = ids;
    await on.app.sql(
      `update event_triggers set status = 'received', received_at = strait_now(), response_payload = '{"paid": true}'
        where event_key in ('k1', 'k2')`,
    );
    await on.app.sql(`delete from event_triggers where event_key = 'k3'`);
    assert.deepEqual(await sweep(), []);
    await age();
    const broken = `if new.workflow_run_id = '${first}' then raise exception 'broken'; end if; return new;`;
    await withTrigger('workflow_step_runs', 'update', broken, async () => {
      assert.deepEqual(
        (await sweep()).map(([action]) => action),
        ['forgotten_wait', 'forgotten_wait'],
      );
      assert.match(String(errors[0]), /broken/);
    });
    assert.deepEqual((await on.steps(second))['wait'].output, { paid: true });
    await on.reaches(second, 'completed');
    const gone = await on.reaches(third, 'failed');
    assert.match(gone.error, /event trigger canceled/);
    assert.deepEqual(await sweep(), [['forgotten_wait', 'wait']]);
    await on.reaches(first, 'completed');
  });

  it('ends children whose parent is over', async () => {
    await on.workflow('child', [approval]);
    await on.workflow('parent', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'child' },
    ]);
    const id = await on.trigger('parent');
    const child = (await on.steps(id))['sub'].child_workflow_run_id;
    await on.app.sql(
      `update workflow_runs set status = 'timed_out', finished_at = strait_now() where id = $1`,
      id,
    );
    await on.app.sql(
      `update workflow_step_runs set state = 'R', status = 'canceled' where workflow_run_id = $1`,
      id,
    );
    assert.deepEqual(await sweep(), []);
    await age();
    assert.deepEqual(await sweep(), [['stray_child']]);
    const run = await on.reaches(child, 'canceled');
    assert.equal(run.error, 'parent workflow timed_out');
  });

  it('counts what it does', async () => {
    const { modules, metrics } = on.app.composition;
    await on.workflow('counted', [
      { step_ref: 'wait', step_type: 'wait_for_event', event_key: 'k9' },
    ]);
    const id = await on.trigger('counted');
    await on.app.sql(`update event_triggers set status = 'received' where event_key = 'k9'`);
    await age();
    await modules.workflowRuns.reaper.sweep(new AbortController().signal);
    await on.reaches(id, 'completed');
    assert.match(
      await metrics.text(),
      /^strait_workflow_reaper_actions_total\{action="forgotten_wait"\} 1$/m,
    );
  });
});
