import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../../test/app.ts';
import { shiftClock } from '../../../../test/database.ts';
import { createWorkflowScheduler, type WorkflowScheduler } from '../index.ts';

const MINUTE = 60_000;
let app: TestApp;
let project: TestProject;
let other: TestProject;
let scheduler: WorkflowScheduler;
const troubles: string[] = [];
/** What the database's clock is ahead of ours. */
let shift_ms = 0;

const another = (): WorkflowScheduler =>
  createWorkflowScheduler({
    db: app.composition.hot,
    triggers: app.composition.modules.workflowRuns.triggers,
    settings: { misfire_grace_ms: 5 * MINUTE },
    onSkipped: () => {},
    onTrouble: (error, workflow_id) => troubles.push(`${workflow_id}: ${String(error)}`),
  });

before(async () => {
  app = await testApp();
  [project, other] = [await app.project(), await app.project()];
  scheduler = another();
  await goTo(30_000);
});
after(() => app.close());

/** Moves the clock to this long after the next full hour. */
async function goTo(ms: number): Promise<void> {
  const hour = Math.ceil((Date.now() + shift_ms) / (60 * MINUTE)) * 60 * MINUTE;
  shift_ms = hour + ms - Date.now();
  await shiftClock(app.db, shift_ms);
}
async function advance(ms: number): Promise<void> {
  shift_ms += ms;
  await shiftClock(app.db, shift_ms);
}
const call = (method: string, path: string, body?: object, key = project.api_key) =>
  app.call(method, path, { key, ...(body && { body }) });
const round = (by = scheduler) => by.round(AbortSignal.timeout(10_000));

/** Its runs stay active. */
const gate = [{ step_ref: 'gate', step_type: 'approval', approvers: ['*'] }];
async function workflow(slug: string, settings: object = {}): Promise<string> {
  const body = { name: slug, slug, steps: gate, cron: '* * * * *', ...settings };
  const made = await call('POST', '/v1/workflows', body);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}
const change = async (id: string, body: object) => {
  const changed = await call('PATCH', `/v1/workflows/${id}`, body);
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
};
const schedule = async (id: string, query = '') =>
  (await call('GET', `/v1/workflows/${id}/schedule${query}`)).body;
const runsOf = async (id: string) => (await call('GET', `/v1/workflows/${id}/runs`)).body.data;
const outcomes = async (id: string): Promise<string[]> =>
  (await schedule(id)).recent_fires.map(({ outcome }: { outcome: string }) => outcome).toReversed();
/** Nothing of one test fires in the next. */
const stop = (id: string) => change(id, { cron: null });

describe('schedules of workflows', () => {
  it('an instant makes one run, whatever number of schedulers there are', async () => {
    const id = await workflow('nightly');
    await round();
    assert.deepEqual(await runsOf(id), [], 'nothing fires before its instant');
    const { next_fire_at } = await schedule(id);
    await advance(MINUTE);
    await Promise.all([scheduler, another(), another()].map(round));
    await round();
    const [run, ...others] = await runsOf(id);
    assert.deepEqual(others, []);
    assert.deepEqual(
      [run.status, run.triggered_by, run.created_by, run.payload],
      ['running', 'cron', 'system:cron', undefined],
    );
    const seen = await schedule(id);
    assert.deepEqual([seen.last_run_id, seen.last_fire_at], [run.id, next_fire_at]);
    assert.deepEqual(seen.recent_fires, [
      { fire_at: next_fire_at, outcome: 'created', workflow_run_id: run.id },
    ]);
    assert.equal(Date.parse(seen.next_fire_at), Date.parse(next_fire_at) + MINUTE);
    await stop(id);
  });

  it('skip_if_running counts paused runs; a limit that is reached skips as well', async () => {
    const single = await workflow('single', { skip_if_running: true });
    const limited = await workflow('limited', { max_concurrent_runs: 1 });
    const free = await workflow('free');
    await advance(MINUTE);
    await round();
    const [run] = await runsOf(single);
    assert.equal((await call('POST', `/v1/workflow-runs/${run.id}/pause`)).body.status, 'paused');
    await advance(MINUTE);
    await round();
    assert.deepEqual(await outcomes(single), ['created', 'skipped']);
    assert.deepEqual(await outcomes(limited), ['created', 'skipped']);
    assert.deepEqual(await outcomes(free), ['created', 'created']);
    const [skipped] = (await schedule(limited)).recent_fires;
    assert.equal(skipped.reason, 'workflow max concurrent runs reached');
    assert.equal((await call('DELETE', `/v1/workflow-runs/${run.id}`)).status, 200);
    await advance(MINUTE);
    await round();
    assert.deepEqual(await outcomes(single), ['created', 'skipped', 'created']);
    for (const id of [single, limited, free]) await stop(id);
  });

  it('an edit writes the schedule with the workflow; disabled and deleted ones do not fire', async () => {
    const id = await workflow('edited');
    await change(id, { cron: '30 9 * * *', cron_timezone: 'Asia/Kolkata' });
    const seen = await schedule(id, '?count=3');
    assert.deepEqual(
      [seen.status, seen.timezone, seen.next_fires.length, seen.next_fires[0].slice(11)],
      ['active', 'Asia/Kolkata', 3, '04:00:00.000Z'],
    );
    await change(id, { cron: '* * * * *', cron_timezone: null, enabled: false });
    assert.equal((await schedule(id)).status, 'disabled');
    const gone = await workflow('gone');
    const copy = (await call('POST', `/v1/workflows/${gone}/clone`)).body.id;
    assert.equal((await call('DELETE', `/v1/workflows/${gone}`)).status, 204);
    await advance(MINUTE);
    await round();
    assert.deepEqual(await runsOf(id), []);
    assert.deepEqual(await app.sql('select from workflow_runs where workflow_id = $1', gone), []);
    assert.equal(
      (await call('GET', `/v1/workflows/${copy}/schedule`)).body.code,
      'workflow_schedule_not_found',
    );
    await change(id, { enabled: true });
    await round();
    assert.deepEqual(await outcomes(id), [], 'nothing is made up for');
    await advance(MINUTE);
    await round();
    assert.deepEqual(await outcomes(id), ['created']);
    const foreign = await call('GET', `/v1/workflows/${id}/schedule`, undefined, other.api_key);
    assert.equal(foreign.body.code, 'workflow_not_found');
    await stop(id);
  });

  it('what is wrong with one stops no other', async () => {
    const unreadable = await workflow('unreadable');
    const empty = await workflow('empty', { steps: [] });
    const broken = await workflow('broken');
    const good = await workflow('good');
    await app.sql(
      `update workflow_schedules set cron = 'every day' where workflow_id = $1`,
      unreadable,
    );
    // A version that is not what the program expects: its start throws.
    await app.sql(
      `update workflow_version_steps s set step_type = 'magic' from workflow_versions v
        where v.id = s.workflow_version_id and v.workflow_id = $1`,
      broken,
    );
    await advance(MINUTE);
    await round();
    assert.deepEqual(await outcomes(good), ['created']);
    assert.deepEqual(await outcomes(empty), ['refused']);
    const bad = await schedule(unreadable);
    assert.equal(bad.status, 'invalid');
    assert.match(bad.problem, /cannot be read/);
    assert.deepEqual(await outcomes(broken), [], 'it is tried again');
    assert.match(troubles.join('\n'), new RegExp(broken));
    for (const id of [unreadable, empty, broken, good])
      await app.sql('delete from workflow_schedules where workflow_id = $1', id);
  });

  it('after an outage the newest instant fires, if it is not too late', async () => {
    const often = await workflow('often');
    const rare = await workflow('rare', { cron: '0 * * * *' });
    await goTo(20 * MINUTE + 30_000);
    await round();
    assert.deepEqual(await outcomes(often), ['created']);
    assert.deepEqual(await outcomes(rare), ['missed']);
    for (const id of [often, rare]) await stop(id);
  });

  it('a workflow that an older program changed gets its schedule back', async () => {
    const id = await workflow('upgraded');
    await app.sql('delete from workflow_schedules where workflow_id = $1', id);
    const stray = await workflow('stray');
    await app.sql('update workflows set cron = null where id = $1', stray);
    await scheduler.repair();
    await round();
    assert.equal((await schedule(id)).status, 'active');
    assert.equal((await call('GET', `/v1/workflows/${stray}/schedule`)).status, 404);
    await stop(id);
  });
});
