import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { testApp, type TestApp } from '../../../../test/app.ts';

describe('definitions of workflows', () => {
  let app: TestApp;
  let key: string;
  let project_id: string;
  let job_id: string;
  let stranger: string;
  let made = 0;

  const call = (method: string, path: string, body?: unknown, by = key) =>
    app.call(method, path, { key: by, ...(body === undefined ? {} : { body }) });
  const newSlug = () => `w-${++made}`;
  const newJob = async (slug: string, by = key) => {
    const body = { name: slug, slug, endpoint_url: 'http://127.0.0.1:9/x' };
    return String((await call('POST', '/v1/jobs', body, by)).body.id);
  };
  const create = async (steps: readonly object[], more: object = {}) => {
    const slug = newSlug();
    const answer = await call('POST', '/v1/workflows', { name: slug, slug, steps, ...more });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  };
  const step = (step_ref: string, depends_on: string[] = [], more: object = {}) => ({
    step_ref,
    depends_on,
    job_id,
    ...more,
  });

  before(async () => {
    app = await testApp();
    const [mine, theirs] = [await app.project('Mine'), await app.project('Theirs')];
    ({ api_key: key, project_id } = mine);
    stranger = theirs.api_key;
    job_id = await newJob('work');
  });
  after(() => app.close());

  it('say what was sent, under the names we have for it and in its order', async () => {
    const workflow = await create(
      [
        { step_ref: 'z', job_slug: 'work', payload: 0, timeout_secs: 7 },
        { step_ref: 'b', type: 'approval', approvers: ['ann'], depends_on: ['z', 'z'] },
        { step_ref: 'a', sleep_duration: '1m30s', depends_on: ['b'] },
        { step_ref: 'm', step_type: 'map', job_id, map_items: [1], map_collect: false },
      ],
      { timezone: 'Europe/Berlin', cron: '0 3 * * *', tags: { team: 'a' }, webhook_url: 'ignored' },
    );
    const read = await call('GET', `/v1/workflows/${workflow.slug}`);
    assert.deepEqual(read.body, workflow);
    const { steps, cron_timezone, version, version_id } = read.body;
    assert.deepEqual([cron_timezone, version], ['Europe/Berlin', 1]);
    assert.match(version_id, /^ver_[0-9a-z]{12}$/);
    const shown = steps.map((one: Record<string, unknown>) => [
      one['step_ref'],
      one['step_type'],
      one['depends_on'],
      one['workflow_id'],
    ]);
    assert.deepEqual(shown, [
      ['z', 'job', [], workflow.id],
      ['b', 'approval', ['z'], workflow.id],
      ['a', 'sleep', ['b'], workflow.id],
      ['m', 'map', [], workflow.id],
    ]);
    assert.deepEqual([steps[0].job_id, steps[0].payload], [job_id, 0]);
    assert.deepEqual([steps[0].timeout_secs_override, 'map_collect' in steps[0]], [7, false]);
    assert.deepEqual([steps[1].approval_approvers, 'payload' in steps[1]], [['ann'], false]);
    assert.deepEqual([steps[2].sleep_duration_secs, steps[3].map_collect], [90, false]);
  });

  it('are kept as one document per version', async () => {
    const { id, version_id } = await create([step('one', [], { payload: { a: null } })]);
    interface Snapshot {
      readonly workflow: { readonly workflow_id: string };
      readonly steps: readonly { readonly payload: unknown }[];
    }
    const rows = await app.sql<{ definition: Snapshot }>(
      'select definition from workflow_snapshots where workflow_id = $1 and version_id = $2',
      id,
      version_id,
    );
    assert.deepEqual(
      rows.map(({ definition: { workflow, steps } }) => [
        workflow.workflow_id,
        steps.map(({ payload }) => payload),
      ]),
      [[id, [{ a: null }]]],
    );
  });

  it('may be empty, and may call themselves', async () => {
    assert.deepEqual((await create([])).steps, []);
    const slug = newSlug();
    const steps = [{ step_ref: 'again', sub_workflow_slug: slug }];
    const { body } = await call('POST', '/v1/workflows', { name: slug, slug, steps });
    assert.equal(body.steps[0].sub_workflow_id, body.id);
  });

  it('that are wrong are refused with the field that is wrong', async () => {
    const foreign = await newJob('theirs', stranger);
    const theirs = await call('POST', '/v1/workflows', { name: 'T', slug: 't' }, stranger);
    const taken = await create([]);
    const cases: readonly (readonly [string, object])[] = [
      ['body.slug', { slug: '00000000-0000-7000-8000-000000000000' }],
      ['body.slug', { slug: 'a/b' }],
      ['body.slug', { slug: taken.slug }],
      ['body.name', { name: ' ' }],
      ['body.cron', { cron: '* * *' }],
      ['body.cron_timezone', { cron_timezone: 'Nowhere' }],
      ['body.timezone', { cron_timezone: 'UTC', timezone: 'Europe/Berlin' }],
      ['body.timeout_secs', { timeout_secs: -1 }],
      ['body.backwards', { backwards: true }],
      ['body.steps[0].step_ref', { steps: [step('1a')] }],
      ['body.steps[1].step_ref', { steps: [step('a'), step('a')] }],
      ['body.steps[0].depends_on[0]', { steps: [step('a', ['a'])] }],
      ['body.steps[1].depends_on[1]', { steps: [step('a'), step('b', ['a', 'c'])] }],
      ['body.steps[0].depends_on', { steps: [step('a', ['b']), step('b', ['a'])] }],
      ['body.steps[0].job_id', { steps: [{ step_ref: 'a' }] }],
      ['body.steps[0].job_id', { steps: [step('a', [], { job_id: foreign })] }],
      ['body.steps[0].job_id', { steps: [step('a', [], { job_id: 'work' })] }],
      ['body.steps[0].job_slug', { steps: [{ step_ref: 'a', job_slug: 'theirs' }] }],
      [
        'body.steps[0].compensation_job_id',
        { steps: [step('a', [], { compensation_job_id: 'x' })] },
      ],
      [
        'body.steps[0].sub_workflow_id',
        { steps: [{ step_ref: 'a', workflow_id: theirs.body.id }] },
      ],
      ['body.steps[0].type', { steps: [step('a', [], { type: 'job', step_type: 'sleep' })] }],
      ['body.steps[0].sleep_duration', { steps: [{ step_ref: 'a', sleep_duration: 'long' }] }],
      ['body.steps[0].condition.type', { steps: [step('a', [], { condition: { type: 'if' } })] }],
      ['body.steps[0].output_transform', { steps: [step('a', [], { output_transform: 'a..b' })] }],
      ['body.steps[0].step_type', { steps: [step('a', [], { step_type: 'loop' })] }],
      ['body.steps', { steps: Array.from({ length: 1001 }, (_, index) => step(`s${index}`)) }],
      [
        'body.steps[0].event_notify_url',
        {
          steps: [{ step_ref: 'a', event_key: 'k', event_notify_url: 'ftp://example.com/x' }],
        },
      ],
    ];
    const before_all = await app.sql('select id from workflows');
    for (const [path, more] of cases) {
      const body = { name: 'Wrong', slug: newSlug(), ...more };
      const answer = await call('POST', '/v1/workflows', body);
      const said = JSON.stringify([more, answer.body]).slice(0, 900);
      assert.equal(
        answer.status,
        path === 'body.slug' && answer.body.code === 'workflow_slug_taken' ? 409 : 400,
        said,
      );
      assert.equal(answer.body.details?.[0]?.path, path, said);
    }
    assert.deepEqual(await app.sql('select id from workflows'), before_all);
  });

  it('keep to what the installation allows: so many steps, no URLs of its inside', async () => {
    const settings = { WF_MAX_STEP_CAP: '1', ALLOW_PRIVATE_ENDPOINTS: 'false' };
    await using strict = await testApp({ settings });
    const { api_key } = await strict.project();
    const refusal = async (...steps: object[]) => {
      const body = { name: 'A', slug: 'a', steps };
      const answer = await strict.call('POST', '/v1/workflows', { key: api_key, body });
      return [answer.status, answer.body.code, answer.body.details?.[0].path];
    };
    const sleep = (step_ref: string) => ({ step_ref, sleep_duration_secs: 1 });
    assert.deepEqual(await refusal(sleep('a'), sleep('b')), [
      400,
      'invalid_workflow',
      'body.steps',
    ]);
    const event_notify_url = 'http://169.254.169.254/latest';
    assert.deepEqual(await refusal({ step_ref: 'a', event_key: 'k', event_notify_url }), [
      400,
      'invalid_url',
      'body.steps[0].event_notify_url',
    ]);
  });

  it('with a thousand steps are stored and read whole', async () => {
    const refs = Array.from({ length: 1000 }, (_, index) => `s${999 - index}`);
    const steps = refs.map((ref, index) => step(ref, index === 0 ? [] : [refs[index - 1] ?? '']));
    const { id } = await create(steps);
    const { body } = await call('GET', `/v1/workflows/${id}`);
    assert.deepEqual(
      body.steps.map((one: { step_ref: string }) => one.step_ref),
      refs,
    );
    const plan = await call('POST', `/v1/workflows/${id}/plan`, {});
    assert.deepEqual(plan.body.topological_order, refs);
  });

  it('are listed newest first, by tag and state, page by page', async () => {
    const { api_key } = await app.project('Lists');
    const slugs: string[] = [];
    for (const [index, team] of ['a', 'b', 'a', 'a'].entries()) {
      const slug = `l-${index}`;
      const body = { name: slug, slug, tags: { team }, enabled: index !== 3 };
      assert.equal((await call('POST', '/v1/workflows', body, api_key)).status, 201);
      slugs.unshift(slug);
    }
    const list = async (query: string) => {
      const { body } = await call('GET', `/v1/workflows?${query}`, undefined, api_key);
      return { ...body, slugs: body.data.map(({ slug }: { slug: string }) => slug) };
    };
    const first = await list('limit=3');
    assert.deepEqual([first.slugs, first.has_more], [slugs.slice(0, 3), true]);
    assert.deepEqual((await list(`limit=3&cursor=${first.next_cursor}`)).slugs, slugs.slice(3));
    assert.deepEqual((await list('tag_key=team&tag_value=a')).slugs, ['l-3', 'l-2', 'l-0']);
    assert.deepEqual((await list('enabled=false')).slugs, ['l-3']);
    const answer = await call('GET', '/v1/workflows?tag_value=a', undefined, api_key);
    assert.equal(answer.status, 400);
  });

  it('can be copied under another name, off the schedule', async () => {
    const original = await create([step('a', [], { payload: { x: 1 } })], {
      cron: '* * * * *',
      tags: { team: 'a' },
    });
    await call('PATCH', `/v1/workflows/${original.id}`, { enabled: false });
    const copy = await call('POST', `/v1/workflows/${original.id}/clone`);
    assert.equal(copy.status, 201, JSON.stringify(copy.body));
    const { name, slug, version, enabled, cron, tags, steps } = copy.body;
    assert.deepEqual([name, slug], [`${original.name} (copy)`, `${original.slug}-copy`]);
    assert.deepEqual([version, enabled, cron, tags], [1, true, undefined, { team: 'a' }]);
    assert.deepEqual([steps[0].payload, steps[0].job_id], [{ x: 1 }, job_id]);
    assert.equal((await call('POST', `/v1/workflows/${original.id}/clone`)).status, 409);
    const named = await call('POST', `/v1/workflows/${original.id}/clone`, { slug: newSlug() });
    assert.equal(named.status, 201);
  });

  it('can be tried, planned and drawn without being stored', async () => {
    const { id, version } = await create([step('b', ['a']), step('a'), step('c', ['a', 'b'])]);
    const path = `/v1/workflows/${id}`;
    assert.deepEqual((await call('POST', `${path}/dry-run`)).body, { valid: true, step_count: 3 });
    const tried = await call('POST', `${path}/dry-run`, { steps: [step('x', ['y'])] });
    assert.deepEqual(
      [tried.status, tried.body.details[0].path],
      [400, 'body.steps[0].depends_on[0]'],
    );
    const plan = await call('POST', `${path}/plan`, { step_overrides: [{ step_ref: 'a' }] });
    assert.deepEqual(plan.body, {
      workflow_id: id,
      workflow_version: version,
      step_count: 2,
      roots: ['b'],
      topological_order: ['b', 'c'],
    });
    const unknown = await call('POST', `${path}/plan`, { step_overrides: [{ step_ref: 'q' }] });
    assert.deepEqual(
      [unknown.status, unknown.body.details[0].path],
      [400, 'body.step_overrides[0].step_ref'],
    );
    const { body: graph } = await call('GET', `${path}/graph`);
    assert.deepEqual(graph, {
      workflow_id: id,
      roots: ['a'],
      adjacency: { a: ['b', 'c'], b: ['c'], c: [] },
    });
    const { body: drawn } = await call('GET', `${path}/graph?format=dot`);
    assert.match(drawn.dot, /^digraph workflow \{\n[^]*"a" -> "b";\n[^]*\}\n$/);
    assert.equal('adjacency' in drawn, false);
    const empty = await create([]);
    assert.equal((await call('POST', `/v1/workflows/${empty.id}/plan`, {})).status, 400);
  });

  it('take names that mean something to JavaScript as names', async () => {
    const { id } = await create([step('__proto__'), step('constructor', ['__proto__'])]);
    const path = `/v1/workflows/${id}`;
    const { body: graph } = await call('GET', `${path}/graph`);
    assert.deepEqual(Object.entries(graph.adjacency), [
      ['__proto__', ['constructor']],
      ['constructor', []],
    ]);
    const changed = await call('PATCH', path, { steps: [step('__proto__', [], { payload: 1 })] });
    assert.equal(changed.status, 200, JSON.stringify(changed.body));
    const { body: diff } = await call('GET', `${path}/versions/1/diff/2`);
    assert.deepEqual(
      [diff.removed_steps, diff.changed_steps],
      [
        ['constructor'],
        [{ step_ref: '__proto__', fields: [{ name: 'payload', from: null, to: 1 }] }],
      ],
    );
  });

  it('keep to what the project allows, wherever they are written', async () => {
    const { api_key, project_id: id } = await app.project('Rules');
    const deploy = { step_ref: 'deploy', job_id: await newJob('deploy', api_key) };
    const policy = `/v1/workflow-policies/${id}`;
    const none = await call('GET', policy, undefined, api_key);
    assert.deepEqual([none.body.max_depth, none.body.require_approval_for_deploy], [0, false]);
    const original = await call(
      'POST',
      '/v1/workflows',
      { name: 'A', slug: 'a', steps: [deploy] },
      api_key,
    );
    assert.equal(original.status, 201);
    const rules = { require_approval_for_deploy: true, forbidden_step_types: [' Sleep '] };
    const put = await call('PUT', policy, rules, api_key);
    assert.deepEqual([put.status, put.body.forbidden_step_types], [200, ['sleep']]);
    const path = '/v1/workflows/a';
    for (const [method, where, body] of [
      ['POST', '/v1/workflows', { name: 'B', slug: 'b', steps: [deploy] }],
      ['PATCH', path, { steps: [deploy] }],
      ['POST', `${path}/clone`, {}],
      ['POST', `${path}/dry-run`, {}],
    ] as const) {
      const { status, body: answer } = await call(method, where, body, api_key);
      assert.deepEqual([status, answer.code], [400, 'workflow_policy_violated'], where);
      assert.equal(answer.details[0].path, 'body.steps[0]');
    }
    // What is there already may be changed otherwise; a run of it is refused when it is triggered.
    assert.equal((await call('PATCH', path, { description: 'x' }, api_key)).status, 200);
    assert.equal((await call('PUT', policy, { forbidden_step_types: ['x'] }, api_key)).status, 400);
    assert.equal(
      (await call('PUT', `/v1/workflow-policies/${project_id}`, {}, api_key)).status,
      404,
    );
    assert.equal((await call('PUT', policy, {}, api_key)).body.require_approval_for_deploy, false);
  });
});
