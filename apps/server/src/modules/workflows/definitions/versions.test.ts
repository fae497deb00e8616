import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { testApp, type TestApp } from '../../../../test/app.ts';

describe('workflows that change and go', () => {
  let app: TestApp;
  let key: string;
  let project_id: string;
  let made = 0;

  const call = (method: string, path: string, body?: unknown) =>
    app.call(method, path, { key, ...(body === undefined ? {} : { body }) });
  const newJob = async () => {
    const slug = `j-${++made}`;
    const body = { name: slug, slug, endpoint_url: 'http://127.0.0.1:9/x' };
    return String((await call('POST', '/v1/jobs', body)).body.id);
  };
  const create = async (steps: readonly object[], more: object = {}) => {
    const slug = `w-${++made}`;
    const answer = await call('POST', '/v1/workflows', { name: slug, slug, steps, ...more });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  };
  const sleep = (step_ref: string, more: object = {}) => ({
    step_ref,
    sleep_duration_secs: 5,
    ...more,
  });
  const addRun = (workflow_id: string, status: string, version = 1) =>
    app.sql(
      `insert into workflow_runs (workflow_id, project_id, status, workflow_version) values ($1, $2, $3, $4)`,
      workflow_id,
      project_id,
      status,
      version,
    );
  const left = async (workflow_id: string) => {
    const [counts] = await app.sql<Record<string, number>>(
      `select (select count(*)::int from workflows where id = $1) as workflows,
              (select count(*)::int from workflow_versions where workflow_id = $1) as versions,
              (select count(*)::int from workflow_steps where workflow_id = $1) as steps`,
      workflow_id,
    );
    return counts;
  };

  before(async () => {
    app = await testApp();
    ({ api_key: key, project_id } = await app.project());
  });
  after(() => app.close());

  it('keep every version with its steps, whatever comes later', async () => {
    const first = await create([sleep('a'), sleep('b', { depends_on: ['a'] })], {
      tags: { t: '1' },
    });
    const path = `/v1/workflows/${first.id}`;
    const second = await call('PATCH', path, {
      steps: [sleep('b', { sleep_duration_secs: 9 }), sleep('c')],
      description: 'new',
      backwards_compatible: true,
    });
    assert.equal(second.status, 200, JSON.stringify(second.body));
    assert.deepEqual(
      [second.body.version, second.body.previous_version_id, second.body.backwards_compatible],
      [2, first.version_id, true],
    );
    const third = await call('PATCH', path, { name: 'Other' });
    // Said of one change only.
    assert.deepEqual([third.body.version, third.body.backwards_compatible], [3, undefined]);
    assert.deepEqual((await call('GET', path)).body.steps.length, 2);

    const versions = await call('GET', `${path}/versions`);
    const numbers = (of: { version: number }[]) => of.map(({ version }) => version);
    assert.deepEqual(numbers(versions.body), [3, 2, 1]);
    assert.deepEqual(numbers((await call('GET', `${path}/versions?limit=1`)).body), [3]);
    for (const ref of ['1', first.version_id, versions.body[2].id]) {
      const { body } = await call('GET', `${path}/versions/${ref}`);
      assert.deepEqual([body.version, body.tags, body.description], [1, { t: '1' }, undefined]);
      const steps = await call('GET', `${path}/versions/${ref}/steps`);
      assert.deepEqual(steps.body, first.steps);
    }
    assert.equal((await call('GET', `${path}/versions/4`)).status, 404);

    const { body: diff } = await call('GET', `${path}/versions/1/diff/3`);
    assert.deepEqual(diff, {
      from_version_id: first.version_id,
      to_version_id: third.body.version_id,
      added_steps: ['c'],
      removed_steps: ['a'],
      changed_steps: [
        {
          step_ref: 'b',
          fields: [
            { name: 'depends_on', from: ['a'], to: [] },
            { name: 'sleep_duration_secs', from: 5, to: 9 },
          ],
        },
      ],
      workflow_changes: [
        { name: 'name', from: first.name, to: 'Other' },
        { name: 'description', from: null, to: 'new' },
      ],
    });
  });

  it('are not changed by somebody who saw an older version', async () => {
    const { id, version_id } = await create([sleep('a')]);
    const path = `/v1/workflows/${id}`;
    const tries = ['x', 'y', 'z'].map((ref) =>
      call('PATCH', path, { version_id, steps: [sleep(ref)] }),
    );
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    assert.deepEqual(statuses.sort(), [200, 409, 409]);
    const { body } = await call('GET', path);
    assert.deepEqual([body.version, body.steps.length], [2, 1]);
    assert.equal((await left(id))?.['versions'], 2);
  });

  it('say which runs an update leaves on the version before', async () => {
    const { id } = await create([sleep('a')]);
    for (const status of ['pending', 'running', 'paused', 'completed']) await addRun(id, status);
    const { body } = await call('PATCH', `/v1/workflows/${id}`, { steps: [sleep('b')] });
    assert.equal(body.active_runs_on_previous_version, 3);
    const audited = await app.sql<{ action: string }>(
      `select action from audit_events where resource_id = $1 order by created_at, id`,
      id,
    );
    const actions = audited.map(({ action }) => action);
    assert.deepEqual(actions, [
      'workflow.created',
      'workflow.updated',
      'workflow.updated_breaking',
    ]);
    const next = await call('PATCH', `/v1/workflows/${id}`, {
      name: 'x',
      backwards_compatible: true,
    });
    assert.equal(next.body.active_runs_on_previous_version, undefined);
  });

  it('that break a rule are not changed at all', async () => {
    const other = await create([]);
    const { id, version_id } = await create([sleep('a')]);
    const path = `/v1/workflows/${id}`;
    for (const [status, body] of [
      [409, { slug: other.slug }],
      [400, { cron: 'x' }],
      [400, { steps: [{ step_ref: 'a', job_id: 'nothing' }] }],
      [400, { steps: null }],
    ] as const)
      assert.equal((await call('PATCH', path, body)).status, status, JSON.stringify(body));
    const { body } = await call('GET', path);
    assert.deepEqual([body.version_id, body.steps[0].step_ref], [version_id, 'a']);
    assert.equal((await call('PATCH', '/v1/workflows/nothing', {})).status, 404);
  });

  it('go with everything they had, and free their name and their jobs', async () => {
    const job_id = await newJob();
    const { id, slug } = await create([{ step_ref: 'a', job_id }]);
    for (let version = 2; version <= 25; version += 1)
      await call('PATCH', `/v1/workflows/${id}`, { description: String(version) });
    assert.equal((await call('DELETE', `/v1/workflows/${id}`)).status, 204);
    assert.deepEqual(await left(id), { workflows: 0, versions: 0, steps: 0 });
    assert.equal((await call('DELETE', `/v1/workflows/${id}`)).status, 404);
    assert.equal((await call('POST', '/v1/workflows', { name: 'A', slug })).status, 201);
    assert.equal((await call('DELETE', `/v1/jobs/${job_id}`)).status, 204);
  });

  it('wait for active runs, and leave ended ones their versions until they go', async () => {
    const { id, slug } = await create([sleep('a')]);
    await addRun(id, 'paused');
    const refused = await call('DELETE', `/v1/workflows/${id}`);
    assert.deepEqual([refused.status, refused.body.code], [409, 'workflow_has_active_runs']);
    assert.equal((await call('GET', `/v1/workflows/${id}`)).status, 200);
    await app.sql(`update workflow_runs set status = 'completed' where workflow_id = $1`, id);
    assert.equal((await call('DELETE', `/v1/workflows/${slug}`)).status, 204);
    assert.equal((await call('GET', `/v1/workflows/${id}`)).status, 404);
    const listed = await call('GET', '/v1/workflows?limit=100');
    assert.ok(!listed.body.data.some((one: { id: string }) => one.id === id));
    assert.deepEqual(await left(id), { workflows: 1, versions: 1, steps: 0 });

    const { workflowDefinitions } = app.composition.modules;
    const finish = () => workflowDefinitions.finishDeletions(new AbortController().signal);
    await app.sql(`update workflows set deleting_at = now() - interval '1 hour' where id = $1`, id);
    await finish();
    assert.deepEqual(await left(id), { workflows: 1, versions: 1, steps: 0 });
    await app.sql('delete from workflow_runs where workflow_id = $1', id);
    await finish();
    assert.deepEqual(await left(id), { workflows: 0, versions: 0, steps: 0 });
  });

  it('hold the jobs of their steps, but not those of earlier versions', async () => {
    const [job_id, compensation_job_id] = [await newJob(), await newJob()];
    const { id } = await create([{ step_ref: 'a', job_id, compensation_job_id }]);
    for (const used of [job_id, compensation_job_id]) {
      const refused = await call('DELETE', `/v1/jobs/${used}`);
      assert.deepEqual([refused.status, refused.body.code], [409, 'job_in_use']);
    }
    await call('PATCH', `/v1/workflows/${id}`, { steps: [sleep('a')] });
    assert.equal((await call('DELETE', `/v1/jobs/${job_id}`)).status, 204);
    const { body } = await call('GET', `/v1/workflows/${id}/versions/1/steps`);
    assert.deepEqual([body[0].step_ref, body[0].job_id], ['a', undefined]);
  });

  it('of a workflow that is saved and its job that is deleted at the same moment one wins', async () => {
    for (let round = 0; round < 10; round += 1) {
      const job_id = await newJob();
      const slug = `race-${round}`;
      const body = { name: slug, slug, steps: [{ step_ref: 'a', job_id }] };
      const [saved, deleted] = await Promise.all([
        call('POST', '/v1/workflows', body),
        call('DELETE', `/v1/jobs/${job_id}`),
      ]);
      const outcome = [saved.status, deleted.status];
      assert.ok(
        ['201 409', '400 204'].includes(outcome.join(' ')),
        JSON.stringify([outcome, saved.body]),
      );
    }
  });
});
