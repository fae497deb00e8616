import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { signRunToken } from '../../platform/crypto/run-token.ts';
import { openAccess, secret, old_secret, signing } from '../../../test/access-server.ts';
import type { OpenAccess } from '../../../test/access-server.ts';

describe('callers', () => {
  let sql: OpenAccess['sql'];
  let call: OpenAccess['call'];
  let internal: OpenAccess['internal'];
  let bearer: OpenAccess['bearer'];
  let keyOf: OpenAccess['keyOf'];
  let projectOf: OpenAccess['projectOf'];
  let who: OpenAccess['who'];
  let flushUsage: OpenAccess['flushUsage'];
  let close: OpenAccess['close'];

  before(async () => {
    ({ sql, call, internal, bearer, keyOf, projectOf, who, flushUsage, close } =
      await openAccess());
  });
  after(() => close());

  it('binds a key to its project, however the request names another', async () => {
    const { key, id } = await keyOf('p-a');
    assert.deepEqual((await who(bearer(key))).body, {
      project_id: 'p-a',
      actor_id: `apikey:${id}`,
    });
    assert.equal((await who(bearer(key), { project_id: 'p-a' })).status, 200);
    for (const refused of [
      await who(bearer(key), { project_id: 'p-b' }),
      await call('POST', '/v1/who?project_id=p-b', bearer(key)),
      await who({ ...bearer(key), 'x-project-id': 'p-b' }),
    ]) {
      assert.deepEqual([refused.status, refused.body['code']], [403, 'project_mismatch']);
    }
    const as_somebody = await who({ ...bearer(key), 'x-actor-id': 'root' });
    assert.equal(as_somebody.body['actor_id'], `apikey:${id}`);
  });

  it('answers the same 401 for missing, malformed, unknown, revoked and expired credentials', async () => {
    const revoked = await keyOf('p-401');
    assert.equal(
      (await call('DELETE', `/v1/api-keys/${revoked.id}`, internal('p-401'))).status,
      200,
    );
    const expired = await keyOf('p-401');
    await sql(`update api_keys set expires_at = now() where id = $1`, expired.id);
    const tries: Record<string, string>[] = [
      {},
      bearer('strait_zz'),
      bearer(`strait_${'0'.repeat(64)}`),
      bearer(revoked.key),
      bearer(expired.key),
      bearer(secret),
      { 'x-internal-secret': 'x' },
      { 'x-internal-secret': '' },
      { authorization: `Basic ${revoked.key}` },
    ];
    for (const headers of tries) {
      const { status, body } = await who(headers);
      const { request_id: _, ...rest } = body;
      assert.deepEqual(
        [status, rest],
        [401, { error: 'missing or invalid credentials', code: 'unauthorized' }],
      );
    }
  });

  it('needs the scope, and an empty list is no access', async () => {
    const { key } = await keyOf('p-scope', { scopes: ['runs:read'] });
    const refused = await who(bearer(key));
    assert.deepEqual([refused.status, refused.body['code']], [403, 'forbidden']);
    const { key: bare, id } = await keyOf('p-scope');
    assert.equal((await who(bearer(bare))).status, 200);
    await sql(`update api_keys set scopes = '{}' where id = $1`, id);
    assert.equal((await who(bearer(bare))).status, 403);
  });

  it('applies the limit of a key, or of its project, and says so', async () => {
    const { key } = await keyOf('p-limit', { rate_limit_requests: 2, rate_limit_window_secs: 60 });
    const first = await who(bearer(key));
    assert.deepEqual(
      [first.headers['x-ratelimit-limit'], first.headers['x-ratelimit-remaining']],
      ['2', '1'],
    );
    await who(bearer(key));
    const third = await who(bearer(key));
    assert.equal(third.status, 429);
    assert.equal(third.body['code'], 'rate_limited');
    assert.ok(Number(third.headers['retry-after']) >= 58);

    await sql(
      `insert into project_quotas (project_id, rate_limit_requests, rate_limit_window_secs) values ('p-quota', 3, 60)`,
    );
    const [one, two] = [await keyOf('p-quota'), await keyOf('p-quota')];
    const statuses: number[] = [];
    for (const { key: each } of [one, two, one, two])
      statuses.push((await who(bearer(each))).status);
    assert.deepEqual(statuses, [200, 200, 200, 429]);
  });

  it('accepts both internal secrets, needs a project where one is needed, and checks its name', async () => {
    await projectOf('p-x');
    assert.equal(
      (await who({ 'x-internal-secret': old_secret, 'x-project-id': 'p-x' })).status,
      200,
    );
    assert.deepEqual((await who(internal(), { project_id: 'p-x' })).body, {
      project_id: 'p-x',
      actor_id: 'internal',
    });
    const missing = await who(internal());
    assert.deepEqual([missing.status, missing.body['code']], [400, 'project_required']);
    assert.match(String(missing.body['error']), /X-Project-Id/);
    assert.equal((await who(internal('p-x'), { project_id: 'p-y' })).status, 403);
    assert.equal((await who(internal(), { project_id: 'has space' })).status, 400);
    assert.equal((await who(internal('default'))).status, 200);
  });

  it('lets the internal secret into no project that does not exist, and makes none', async () => {
    for (const unknown of [
      await who(internal('p-nope')),
      await who(internal(), { project_id: 'p-nope' }),
      await call('GET', '/v1/api-keys?project_id=p-nope', internal()),
      await call('POST', '/v1/api-keys', internal(), { project_id: 'p-nope', name: 'k' }),
    ]) {
      assert.deepEqual([unknown.status, unknown.body['code']], [404, 'project_not_found']);
    }
    assert.deepEqual(await sql(`select from projects where id = 'p-nope'`), []);
    assert.deepEqual(await sql(`select from api_keys where project_id = 'p-nope'`), []);
  });

  it('gives a named user what his role and its parents allow, no more', async () => {
    await keyOf('p-roles');
    const user = (id: string, project = 'p-roles') =>
      internal(project, { 'x-actor-id': id, 'x-actor-name': 'N' });
    assert.equal((await who(user('u1'))).status, 403);
    await sql(
      `insert into project_roles (id, project_id, name, permissions, parent_role_id)
       select 'child', 'p-roles', 'child', '{api-keys:manage}', id from project_roles where project_id = 'p-roles' and name = 'viewer'`,
    );
    await sql(
      `insert into project_member_roles (project_id, user_id, role_id) values ('p-roles', 'u1', 'child')`,
    );
    assert.deepEqual((await who(user('u1'))).body, { project_id: 'p-roles', actor_id: 'u1' });
    const in_body = internal(undefined, { 'x-actor-id': 'u1' });
    assert.equal((await who(in_body, { project_id: 'p-roles' })).status, 200);
    assert.equal((await who(in_body, { project_id: 'p-a' })).status, 403);
    assert.equal((await who(in_body)).status, 400);
    assert.equal((await who(user('u1', 'p-a'))).status, 403);
    const made = await call('POST', '/v1/api-keys', user('u1'), { name: 'mine' });
    assert.deepEqual(made.body['scopes'], [
      'jobs:read',
      'runs:read',
      'workflows:read',
      'api-keys:manage',
      'stats:read',
    ]);
    assert.equal((await call('POST', '/v1/projects', user('u1'), { name: 'nope' })).status, 403);
    await flushUsage();
    assert.deepEqual(await sql(`select id, name from known_actors`), [{ id: 'u1', name: 'N' }]);
  });

  it('takes run tokens for their own run only, and nothing else on that API', async () => {
    const in_an_hour = Math.floor(Date.now() / 1000) + 3600;
    const token = (expires_at_secs: number, key = signing) =>
      signRunToken({ run_id: 'r1', attempt: 2, claim_seq: 5, expires_at_secs }, key);
    const get = (run: string, headers: Record<string, string>) =>
      call('GET', `/sdk/v1/runs/${run}/payload`, headers);
    assert.deepEqual((await get('r1', bearer(token(in_an_hour)))).body, {
      run_id: 'r1',
      attempt: 2,
    });
    assert.equal((await get('r2', bearer(token(in_an_hour)))).body['code'], 'run_token_mismatch');
    assert.equal((await get('r1', bearer(token(in_an_hour - 7200)))).status, 401);
    assert.equal((await get('r1', bearer(token(in_an_hour, secret)))).status, 401);
    assert.equal((await get('r1', bearer((await keyOf('p-run')).key))).status, 401);
    assert.equal((await get('r1', internal())).status, 401);
    assert.equal((await who(bearer(token(in_an_hour)))).status, 401);
  });

  it('registers projects with the internal secret only, and shows a key its own', async () => {
    const create = (body: object, headers = internal()) =>
      call('POST', '/v1/projects', headers, body);
    const made = await create({ id: 'p-new', org_id: 'o1', name: 'New' });
    assert.deepEqual([made.status, made.body['org_id']], [201, 'o1']);
    for (const org_id of ['o1', 'o2']) {
      const again = await create({ id: 'p-new', org_id, name: 'Newer' });
      assert.deepEqual([again.status, again.body['code']], [409, 'project_exists']);
    }
    assert.equal((await create({ name: 'x' })).status, 400);
    const { key } = await keyOf('p-new');
    assert.equal((await create({ name: 'By key' }, bearer(key) as never)).status, 403);
    const seen = await call('GET', '/v1/projects', bearer(key));
    assert.deepEqual(
      (seen.body['data'] as { id: string }[]).map(({ id }) => id),
      ['p-new'],
    );
    assert.equal((await call('GET', '/v1/projects/p-new', bearer(key))).body['name'], 'New');
    assert.equal((await call('GET', '/v1/projects/p-a', bearer(key))).status, 404);
    assert.equal((await call('GET', '/v1/projects/p-a', internal())).status, 200);
    assert.ok(
      ((await call('GET', '/v1/projects', internal())).body['data'] as unknown[]).length > 5,
    );
  });
});
