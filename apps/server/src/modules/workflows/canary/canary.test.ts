// Two versions side by side, with real runs. All 10,000 triggers through the API: STRAIT_SCENARIOS=full.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

const FULL = process.env['STRAIT_SCENARIOS'] === 'full';
const TRIGGERS = FULL ? 10_000 : 200;
/** Over four standard deviations. */
const TOLERANCE = FULL ? 0.02 : 0.13;
/** As good as all, and not the end. */
const NEARLY_ALL = 99.999999;

let on: Awaited<ReturnType<typeof workflowApp>>;
before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  for (const slug of ['good', 'bad']) await on.job(slug);
  on.answers['bad'] = () => ({ status: 400, body: {} });
});
after(() => on.close());

const step = (job_slug: string) => ({ step_ref: 'work', job_slug });
/** Version 1 does `first`, version 2, the current one, `second`. */
async function twoVersions(slug: string, first: object, second: object): Promise<void> {
  await on.workflow(slug, [first]);
  const changed = await on.internal('PATCH', `/v1/workflows/${slug}`, { steps: [second] });
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
}
const create = (slug: string, more: object = {}) =>
  on.internal('POST', '/v1/canary-deployments', {
    workflow_id: slug,
    source_version: 1,
    target_version: 2,
    traffic_pct: 0,
    ...more,
  });
async function canary(slug: string, more: object = {}) {
  const made = await create(slug, more);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
}
const look = async (slug: string) =>
  (await on.internal('GET', `/v1/workflows/${slug}/canary`)).body;
const change = (slug: string, body: object) =>
  on.internal('PATCH', `/v1/workflows/${slug}/canary`, body);
const versionOf = async (id: string): Promise<number> => (await on.read(id)).workflow_version;
/** As if the interval was over. */
async function promote(slug: string): Promise<void> {
  const { id } = await look(slug);
  await on.app.sql('update canary_deployments set due_at = strait_now() where id = $1', id);
  await on.app.composition.modules.workflowRuns.canaries.promote();
}

describe('canaries', () => {
  // Ten thousand take longer than the runner lets a test take.
  const patience = { timeout: FULL ? 1_800_000 : 60_000 };
  it('share out the triggers that name no version', patience, async (test) => {
    const nap = { step_ref: 'nap', step_type: 'sleep', sleep_duration: '1h' };
    await twoVersions('shared', nap, { ...nap, sleep_duration: '2h' });
    await canary('shared', { traffic_pct: 30 });
    const of = new Map<number, number>();
    for (let left = TRIGGERS; left > 0; left -= 10) {
      const versions = Array.from({ length: 10 }, async () => {
        const made = await on.internal('POST', '/v1/workflows/shared/trigger', {});
        return made.body.workflow_version as number;
      });
      for (const version of await Promise.all(versions))
        of.set(version, (of.get(version) ?? 0) + 1);
    }
    assert.equal((of.get(1) ?? 0) + (of.get(2) ?? 0), TRIGGERS);
    const share = (of.get(2) ?? 0) / TRIGGERS;
    test.diagnostic(`${of.get(2) ?? 0} of ${TRIGGERS} triggers got the target`);
    assert.ok(Math.abs(share - 0.3) <= TOLERANCE, `${share}`);
    const named = await on.trigger('shared', { version: 2 });
    assert.equal(await versionOf(named), 2);
  });

  it('leave retries with their version, of runs and of steps that start workflows', async () => {
    await twoVersions('child', step('bad'), step('good'));
    await on.workflow('parent', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'child' },
    ]);
    await canary('child');
    const alone = await on.trigger('child');
    const parent = await on.trigger('parent');
    await on.reaches(alone, 'failed');
    await on.reaches(parent, 'failed');
    const first = (await on.steps(parent))['sub'].child_workflow_run_id;
    assert.deepEqual([await versionOf(alone), await versionOf(first)], [1, 1]);
    assert.equal((await change('child', { traffic_pct: NEARLY_ALL })).status, 200);
    assert.equal(await versionOf(await on.trigger('child')), 2);
    const retried = await on.internal('POST', `/v1/workflow-runs/${alone}/retry`);
    assert.equal(await versionOf(retried.body.id), 1);
    await on.internal('POST', `/v1/workflow-runs/${parent}/steps/sub/retry`);
    await until('the step to start another child', async () => {
      const next = (await on.steps(parent))['sub'].child_workflow_run_id;
      return next !== undefined && next !== first && (await versionOf(next)) === 1;
    });
  });

  it('roll a bad version back by themselves, and the source becomes current', async () => {
    await twoVersions('risky', step('good'), step('bad'));
    await canary('risky', {
      traffic_pct: NEARLY_ALL,
      auto_promote: { steps: [50], interval: '1h', failure_rate_threshold: 10 },
    });
    const few = [await on.trigger('risky'), await on.trigger('risky')];
    for (const id of few) await on.reaches(id, 'failed');
    await promote('risky');
    assert.equal((await look('risky')).status, 'active', 'two runs are too few');
    const ids = await Promise.all(Array.from({ length: 4 }, () => on.trigger('risky')));
    for (const id of ids) await on.reaches(id, 'failed');
    await promote('risky');
    const ended = await look('risky');
    assert.deepEqual([ended.status, ended.traffic_pct], ['rolled_back', 0]);
    assert.match(ended.reason, /6 of 6 runs failed, more than 10 %/);
    assert.deepEqual([ended.measured.target.failure_rate, ended.measured.source.ended], [100, 0]);
    const { body } = await on.internal('GET', '/v1/workflows/risky');
    assert.deepEqual([body.version, body.steps.length], [3, 1]);
    const id = await on.trigger('risky');
    await on.reaches(id, 'completed');
    assert.equal(await versionOf(id), 3);
    assert.equal((await change('risky', { traffic_pct: 50 })).body.code, 'canary_not_active');
    const again = await on.internal('POST', '/v1/workflows/risky/canary/rollback');
    assert.equal(again.body.code, 'canary_not_active');
  });

  it('promote a good version step by step, until it is all there is', async () => {
    await twoVersions('better', step('bad'), step('good'));
    await canary('better', { auto_promote: { steps: [20], interval: 3600 } });
    await promote('better');
    assert.equal((await look('better')).traffic_pct, 20, 'a share of nothing needs no runs');
    const ids = await Promise.all(
      Array.from({ length: 5 }, () => on.trigger('better', { version: 2 })),
    );
    for (const id of ids) await on.reaches(id, 'completed');
    await promote('better');
    const done = await look('better');
    assert.deepEqual([done.status, done.traffic_pct], ['completed', 100]);
    assert.equal((await on.internal('GET', '/v1/workflows/better')).body.version, 2);
    assert.equal(await versionOf(await on.trigger('better')), 2);
  });

  it('go by hand: an older version becomes current as a new one, steps change only afterwards', async () => {
    await twoVersions('manual', step('good'), step('bad'));
    const made = await canary('manual', { source_version: 2, target_version: 1, traffic_pct: 10 });
    assert.equal(made.auto_promote, undefined);
    const update = (body: object) => on.internal('PATCH', '/v1/workflows/manual', body);
    assert.equal((await update({ steps: [] })).body.code, 'canary_active');
    assert.equal((await update({ timeout_secs: 5 })).body.code, 'canary_active');
    assert.equal((await update({ max_concurrent_runs: 7 })).status, 200);
    assert.equal((await change('manual', { traffic_pct: 100 })).body.status, 'completed');
    const { body } = await on.internal('GET', '/v1/workflows/manual');
    assert.deepEqual([body.version, body.max_concurrent_runs], [4, 7]);
    await on.reaches(await on.trigger('manual'), 'completed');
    assert.equal((await update({ steps: [step('bad')] })).status, 200);
    const audits = await on.app.sql<{ action: string }>(
      `select action from audit_events where resource_id = $1 and action like 'canary%' order by id`,
      body.id,
    );
    assert.deepEqual(
      audits.map(({ action }) => action),
      ['canary.created', 'canary.completed'],
    );
  });

  it('are refused when they make no sense, and to strangers', async () => {
    await twoVersions('strict', step('good'), step('bad'));
    await on.workflow('empty', []);
    const refusals: [object, string][] = [
      [{ target_version: 1 }, 'invalid_canary'],
      [{ target_version: 9 }, 'workflow_version_not_found'],
      [{ workflow_id: 'nobody' }, 'workflow_not_found'],
      [{ workflow_id: 'empty' }, 'invalid_canary'],
      [{ traffic_pct: 101 }, 'invalid_request'],
      [{ auto_promote: { steps: [50, 10] } }, 'invalid_request'],
      [{ auto_promote: { steps: [50], interval: 'soon' } }, 'invalid_request'],
    ];
    for (const [more, code] of refusals)
      assert.equal((await create('strict', more)).body.code, code, JSON.stringify(more));
    assert.equal((await look('strict')).code, 'canary_not_found');
    const both = await Promise.all([create('strict'), create('strict')]);
    assert.deepEqual(both.map(({ status }) => status).toSorted(), [201, 409]);
    const stranger = (await on.app.project()).api_key;
    for (const [method, path] of [
      ['GET', 'canary'],
      ['POST', 'canary/rollback'],
    ] as const) {
      const answer = await on.call(method, `/v1/workflows/strict/${path}`, undefined, stranger);
      assert.equal(answer.body.code, 'workflow_not_found');
    }
  });
});
