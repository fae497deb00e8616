// Every operation of the composed application against everybody who must not use it. Nothing here lists
// routes: the requests are made from the operation table and from samples.ts.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { holds, scopes, type Permission } from '../../src/domain/permissions.ts';
import type { OperationSpec } from '../../src/platform/http/define-api.ts';
import { testApp, type CallOptions, type TestApp } from '../app.ts';
import { databaseDigest, type DatabaseDigest } from './database-digest.ts';
import { populateProjects, runNames, type PopulatedProject } from './populated-project.ts';
import { parametersOf, pathOf, sampleOf } from './samples.ts';

/** What anybody may ask. Adding one here is a decision. */
const publicOperations = [
  'getHealth',
  'getHealthReady',
  'getMetrics',
  'getReference',
  'getReferenceAsset',
  'getReferenceOpenapiJson',
  'getReferenceOpenapiYaml',
];

/** Conventions §2: what each system role may do. */
const roles: Readonly<Record<string, readonly Permission[]>> = {
  admin: ['*'],
  operator: [
    'jobs:read',
    'jobs:write',
    'jobs:trigger',
    'runs:read',
    'runs:write',
    'workflows:read',
    'workflows:write',
    'workflows:trigger',
    'secrets:read',
    'stats:read',
  ],
  viewer: ['jobs:read', 'runs:read', 'workflows:read', 'stats:read'],
  triggerer: ['jobs:read', 'jobs:trigger', 'runs:read', 'workflows:read', 'workflows:trigger'],
};

const nobodysId = '00000000-0000-7000-8000-000000000000';

describe('every operation keeps strangers out', () => {
  let app: TestApp;
  let digest: DatabaseDigest;
  let theirs: PopulatedProject;
  let mine: PopulatedProject;
  let operations: readonly OperationSpec[];
  const guarded = () => operations.filter(({ permission }) => permission !== 'public');
  const managed = () => guarded().filter(({ permission }) => permission !== 'run_token');
  const inRun = () => operations.filter(({ permission }) => permission === 'run_token');

  before(async () => {
    // Streams of ended runs are replayed from the database; nothing else runs in the background.
    app = await testApp({ start: true });
    digest = await databaseDigest(app);
    operations = app.composition.http.operations;
    const [first, second] = await populateProjects(app, 'aaa', 'bbb');
    assert.ok(first && second);
    [theirs, mine] = [first, second];
  });
  after(() => app.close());

  const send = (operation: OperationSpec, path: string, options: CallOptions) => {
    const sample = sampleOf(operation);
    const answer = app.call<unknown>(operation.method, path, {
      ...options,
      headers: { ...sample.headers, ...options.headers },
    });
    return within(10_000, answer, `${operation.id} did not answer: ${path}`);
  };
  const show = (operation: OperationSpec, answer: { status: number; body: unknown }) =>
    `${operation.id}: ${answer.status} ${JSON.stringify(answer.body)?.slice(0, 300)}`;

  it('without credentials, or with credentials of the wrong kind, answers 401', async () => {
    const named = operations.filter(({ permission }) => permission === 'public');
    assert.deepEqual(named.map(({ id }) => id).sort(), publicOperations);
    for (const operation of named) {
      const path = operation.path.replace(/:\w+/g, 'nothing');
      const answer = await app.call<unknown>(operation.method, path);
      assert.ok(![401, 403, 500].includes(answer.status), show(operation, answer));
    }
    for (const operation of guarded()) {
      const wrong_kind =
        operation.permission === 'run_token' ? theirs.api_key : theirs.token('executing');
      const tries: CallOptions[] = [
        {},
        { key: wrong_kind },
        { key: `strait_${'0'.repeat(64)}` },
        { headers: { 'x-internal-secret': 'guessed' } },
        { headers: { 'x-actor-id': 'root', 'x-project-id': theirs.project_id } },
      ];
      const body = sampleOf(operation).body?.(theirs);
      for (const options of tries) {
        const answer = await send(operation, pathOf(operation, theirs), { ...options, body });
        assert.equal(answer.status, 401, show(operation, answer));
      }
    }
  });

  it('with a key that lacks the permission, answers 403', async () => {
    const without = new Map<string, string>();
    for (const scope of scopes.filter((one) => one !== '*')) {
      without.set(scope, await keyWith(scopes.filter((one) => one !== '*' && one !== scope)));
    }
    for (const { id, permission, or_permission } of managed()) {
      if (or_permission === undefined) continue;
      const others = scopes.filter((one) => ![permission, or_permission, '*'].includes(one));
      without.set(id, await keyWith(others));
    }
    // No key holds this one, not even one with every scope.
    without.set('projects:manage', theirs.api_key);
    const free: string[] = [];
    const before_all = await digest.contents();
    for (const operation of managed()) {
      const { permission, or_permission } = operation;
      const key = without.get(or_permission === undefined ? permission : operation.id);
      if (operation.permission === 'authenticated') free.push(operation.id);
      else {
        assert.ok(key, `no key was made for ${operation.permission}`);
        const body = sampleOf(operation).body?.(theirs);
        const answer = await send(operation, pathOf(operation, theirs), { key, body });
        assert.equal(answer.status, 403, show(operation, answer));
      }
    }
    assert.deepEqual(await digest.contents(), before_all);
    assert.deepEqual(free.sort(), ['getV1Projects', 'getV1ProjectsByProjectID']);
  });

  async function keyWith(held: readonly string[]): Promise<string> {
    const { status, body } = await app.call<{ key: string }>('POST', '/v1/api-keys', {
      headers: { ...app.internal, 'x-project-id': theirs.project_id },
      body: { name: 'partial', scopes: held },
    });
    assert.equal(status, 201);
    return body.key;
  }

  it("with another project's key, answers 403 or 404 and changes nothing", async () => {
    const key = mine.api_key;
    const before_all = await digest.contents();
    for (const operation of managed()) {
      const { body, finds_nothing } = sampleOf(operation);
      const requests = [
        ...foreignPaths(operation).map((path) => ({ path, body: body?.(theirs) })),
        ...foreignBodies(operation),
        ...foreignProjects(operation),
      ];
      for (const { path, ...options } of requests) {
        const answer = await send(operation, path, { ...options, key });
        const refused = [403, 404].includes(answer.status);
        assert.ok(refused || answer.status === finds_nothing, show(operation, answer));
        assert.doesNotMatch(JSON.stringify(answer.body) ?? '', new RegExp(theirs.marker));
      }
      assert.deepEqual(await digest.contents(), before_all, `${operation.id} changed something`);
    }
  });

  /** With their ids in the path: all of them, and each one beside ids of the caller's own. */
  function foreignPaths(operation: OperationSpec): string[] {
    const names = parametersOf(operation);
    if (names.length === 0) return [];
    const paths = names.includes('runID')
      ? runNames.map((run) => pathOf(operation, theirs, { run }))
      : [pathOf(operation, theirs)];
    if (names.includes('jobID')) paths.push(pathOf(operation, theirs, { jobID: theirs.job_slug }));
    // A concurrency key is a word of whoever uses it, not an id.
    if (names.length > 1 && !names.includes('concurrencyKey'))
      paths.push(pathOf(operation, theirs, { [names[0] ?? '']: mine.job_id }));
    return paths;
  }

  /** With their ids in the body. */
  function foreignBodies(operation: OperationSpec) {
    const body = sampleOf(operation).body?.(theirs);
    if (parametersOf(operation).length > 0 || body === undefined) return [];
    const text = JSON.stringify(body);
    const { job_id, job_slug, workflow_run_id, runs } = theirs;
    const ids = [job_id, job_slug, workflow_run_id, ...Object.values(runs)];
    return ids.some((id) => text.includes(id)) ? [{ path: pathOf(operation, mine), body }] : [];
  }

  /** With their project named in the header, the query or the body. */
  function foreignProjects(operation: OperationSpec) {
    const path = pathOf(operation, mine);
    const body = sampleOf(operation).body?.(mine);
    const project_id = theirs.project_id;
    const shape = (operation.body as { shape?: Record<string, unknown> } | undefined)?.shape;
    return [
      { path, body, headers: { 'x-project-id': project_id } },
      { path: `${path}?project_id=${project_id}`, body },
      // The dead letters of a project are named instead of runs.
      ...(shape && 'project_id' in shape
        ? [{ path, body: { ...(body as object), project_id, run_ids: undefined } }]
        : []),
    ];
  }

  it("with another run's token, answers 403 and changes nothing", async () => {
    const before_all = await digest.contents();
    for (const operation of inRun()) {
      const { body } = sampleOf(operation);
      for (const run of runNames) {
        for (const caller of [mine, theirs]) {
          if (run === 'executing' && caller === theirs) continue; // its own
          const key = caller.token('executing');
          const path = pathOf(operation, theirs, { run });
          const answer = await send(operation, path, { key, body: body?.(theirs) });
          assert.equal(answer.status, 403, show(operation, answer));
        }
      }
    }
    assert.deepEqual(await digest.contents(), before_all);
  });

  it('shows a caller nothing of another project', async () => {
    const traces = await tracesOf(app, theirs);
    assert.ok(traces.length > 40, `${traces.length} traces`);
    const filters: Readonly<Record<string, string>> = {
      job_id: theirs.job_id,
      batch_id: theirs.batch_id,
      parent_run_id: theirs.runs.executing,
    };
    for (const operation of guarded()) {
      if (operation.method !== 'GET') continue;
      const { run = 'executing', refused = 200 } = sampleOf(operation);
      const key = operation.permission === 'run_token' ? mine.token(run) : mine.api_key;
      const path = pathOf(operation, mine, { run });
      const own = await send(operation, path, { key });
      assert.equal(own.status, refused, show(operation, own));
      const shape = (operation.query as { shape?: object } | undefined)?.shape ?? {};
      const foreign = Object.entries(filters).filter(([name]) => name in shape);
      const answers = [own];
      for (const [name, id] of foreign) {
        answers.push(await send(operation, `${path}?${name}=${id}`, { key }));
      }
      for (const { body } of answers) {
        const text = JSON.stringify(body);
        const seen = traces.filter((trace) => text.includes(trace));
        assert.deepEqual(seen, [], `${operation.id} shows what is not the caller's`);
      }
    }
  });

  it('lets users do what their role allows, no more', async () => {
    const { project_id } = await app.project('roles');
    for (const role of Object.keys(roles)) {
      await app.sql(
        `insert into project_member_roles (project_id, user_id, role_id)
         select $1::text, $2::text, id from project_roles where project_id = $1 and name = $2`,
        project_id,
        role,
      );
    }
    const wrong: string[] = [];
    for (const operation of managed()) {
      const ids = Object.fromEntries(parametersOf(operation).map((name) => [name, nobodysId]));
      const path = pathOf(operation, mine, ids);
      for (const [role, held] of [...Object.entries(roles), ['nobody', []] as const]) {
        const headers = { ...app.internal, 'x-project-id': project_id, 'x-actor-id': role };
        const answer = await send(operation, path, { headers });
        const { permission, or_permission = permission } = operation;
        const allowed =
          permission === 'authenticated' ||
          holds(held, permission as Permission) ||
          holds(held, or_permission as Permission);
        assert.ok(answer.status < 500 && answer.status !== 401, show(operation, answer));
        if ((answer.status !== 403) !== allowed) {
          wrong.push(`${role}: ${show(operation, answer)}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('lets its own key in with the same requests', async () => {
    const order = ['GET', 'PATCH', 'PUT', 'POST', 'DELETE'];
    // The job goes last: its runs go with it.
    const turn = ({ id, method }: { readonly id: string; readonly method: string }) =>
      id === 'deleteV1JobsByJobID' ? order.length : order.indexOf(method);
    const all = guarded().toSorted((a, b) => turn(a) - turn(b));
    for (const operation of all) {
      const { run = 'executing', body, refused } = sampleOf(operation);
      const manages = operation.permission === 'projects:manage';
      const key = operation.permission === 'run_token' ? theirs.token(run) : theirs.api_key;
      const path = pathOf(operation, theirs, { run });
      const answer = await send(operation, path, {
        ...(manages ? { headers: app.internal } : { key }),
        body: body?.(theirs),
      });
      // Some of them come too late for the state the ones before left; none is malformed or foreign.
      const code = (answer.body as { code?: string } | undefined)?.code;
      const late = answer.status === 409 || code?.startsWith('run_not_') || code === 'job_disabled';
      const reached = answer.status < 300 || late || answer.status === refused;
      assert.ok(reached && answer.status !== 404, show(operation, answer));
    }
  });
});

/** A stream that was expected to end, and does not, must not stop the whole test run. */
async function within<T>(ms: number, answer: Promise<T>, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** Every id of the project's rows, and the words only it uses. */
async function tracesOf(app: TestApp, of: PopulatedProject): Promise<string[]> {
  const tables = await app.sql<{ table_name: string; by: string }>(
    `select c.table_name, min(o.column_name) as by
       from information_schema.columns c
       join information_schema.columns o using (table_schema, table_name)
       join information_schema.tables t using (table_schema, table_name)
      where c.table_schema = 'public' and c.column_name = 'id' and c.data_type = 'text'
        and o.column_name in ('project_id', 'run_id') and c.table_name !~ '^job_runs_p'
      group by c.table_name`,
  );
  const ids = [of.project_id, of.marker, of.version_id, of.state_key, of.event_key];
  for (const { table_name, by } of tables) {
    const of_project =
      by === 'project_id' ? '$1' : 'any (select id from job_runs where project_id = $1)';
    const found = await app.sql<{ id: string }>(
      `select id from ${table_name} where ${by} = ${of_project}`,
      of.project_id,
    );
    ids.push(...found.map(({ id }) => id));
  }
  return ids;
}
