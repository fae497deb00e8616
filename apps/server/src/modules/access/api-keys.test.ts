import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { shiftClock } from '../../../test/database.ts';
import { openAccess } from '../../../test/access-server.ts';
import type { OpenAccess } from '../../../test/access-server.ts';

describe('API keys', () => {
  let database: OpenAccess['database'];
  let statements: OpenAccess['statements'];
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
    ({
      database,
      statements,
      sql,
      call,
      internal,
      bearer,
      keyOf,
      projectOf,
      who,
      flushUsage,
      close,
    } = await openAccess());
  });
  after(() => close());

  it('stores a key as hash only and shows it once', async () => {
    await projectOf('p-store');
    const made = await call('POST', '/v1/api-keys', internal(), {
      project_id: 'p-store',
      name: 'ci',
      scopes: ['runs:read', 'jobs:read'],
      expires_in_days: 2,
    });
    assert.equal(made.status, 201);
    assert.deepEqual(made.body['scopes'], ['jobs:read', 'runs:read']);
    const rows = await sql(`select * from api_keys where project_id = 'p-store'`);
    assert.equal(rows.length, 1);
    assert.ok(!JSON.stringify(rows).includes(String(made.body['key'])));
    const list = await call('GET', '/v1/api-keys?project_id=p-store', internal());
    const [item] = list.body['data'] as Record<string, unknown>[];
    assert.deepEqual(Object.keys(item ?? {}).toSorted(), [
      'created_at',
      'expires_at',
      'id',
      'key_prefix',
      'name',
      'project_id',
      'scopes',
    ]);
    const audit = await sql(
      `select action, actor_id, actor_type, resource_id from audit_events where project_id = 'p-store'`,
    );
    assert.deepEqual(audit, [
      {
        action: 'api_key.created',
        actor_id: 'internal',
        actor_type: 'internal',
        resource_id: made.body['id'],
      },
    ]);
    const known = await sql(
      `select id, (select count(*) from project_roles where project_id = p.id) as roles from projects p where id = 'p-store'`,
    );
    assert.deepEqual(known, [{ id: 'p-store', roles: 4 }]);
  });

  it('lets nobody grant more than he holds, by creating or by rotating', async () => {
    const strong = await keyOf('p-grant');
    const weak = await keyOf('p-grant', { scopes: ['api-keys:manage', 'jobs:read'] });
    const create = (body: object) =>
      call('POST', '/v1/api-keys', bearer(weak.key), { name: 'x', ...body });
    assert.deepEqual((await create({})).body['scopes'], ['jobs:read', 'api-keys:manage']);
    assert.equal((await create({ scopes: ['*'] })).body['code'], 'scope_not_held');
    assert.equal((await create({ scopes: ['jobs:write'] })).status, 403);
    assert.equal((await create({ scopes: ['nope'] })).status, 400);
    assert.equal((await create({ scopes: ['projects:manage'] })).status, 400);
    const rotated = await call('POST', `/v1/api-keys/${strong.id}/rotate`, bearer(weak.key));
    assert.deepEqual([rotated.status, rotated.body['code']], [403, 'scope_not_held']);
  });

  it('rotates once: both keys work during the grace period, then only the new one', async () => {
    const old = await keyOf('p-rotate', { scopes: ['jobs:read'], rate_limit_requests: 1000 });
    const rotate = (body?: object) =>
      call('POST', `/v1/api-keys/${old.id}/rotate`, internal('p-rotate'), body);
    for (const grace_period_minutes of [10_081, -1]) {
      const refused = await rotate({ grace_period_minutes });
      assert.equal(refused.status, 400);
      assert.match(String(refused.body['error']), /^body\.grace_period_minutes: /);
    }
    const answers = await Promise.all([rotate(), rotate(), rotate()]);
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, 409, 409]);
    const made = answers.find(({ status }) => status === 201)?.body ?? {};
    assert.equal(made['name'], 'k (rotated)');
    assert.deepEqual(made['scopes'], ['jobs:read']);
    const grace = Date.parse(String(made['grace_expires_at'])) - Date.now();
    assert.ok(Math.abs(grace - 3_600_000) < 60_000);
    const fresh = String(made['key']);
    assert.deepEqual(
      [(await who(bearer(old.key))).status, (await who(bearer(fresh))).status],
      [200, 200],
    );
    await shiftClock(database.db, 3_700_000);
    try {
      assert.deepEqual(
        [(await who(bearer(old.key))).status, (await who(bearer(fresh))).status],
        [401, 200],
      );
    } finally {
      await shiftClock(database.db, 0);
    }
    assert.equal(
      (await call('POST', '/v1/api-keys/nope/rotate', internal('p-rotate'))).status,
      404,
    );
    await projectOf('p-other');
    assert.equal(
      (await call('POST', `/v1/api-keys/${old.id}/rotate`, internal('p-other'))).status,
      404,
    );
  });

  it('ends the old key at once when the grace period is 0', async () => {
    const old = await keyOf('p-now', { scopes: ['jobs:read'] });
    const made = await call('POST', `/v1/api-keys/${old.id}/rotate`, internal('p-now'), {
      grace_period_minutes: 0,
    });
    assert.equal(made.status, 201);
    assert.deepEqual(
      [(await who(bearer(old.key))).status, (await who(bearer(String(made.body['key'])))).status],
      [401, 200],
    );
  });

  it('revokes at once, once, and only in its own project', async () => {
    const { id, key } = await keyOf('p-revoke');
    const foreign = await keyOf('p-else');
    assert.equal((await call('DELETE', `/v1/api-keys/${id}`, bearer(foreign.key))).status, 404);
    assert.equal((await who(bearer(key))).status, 200);
    const revoke = () => call('DELETE', `/v1/api-keys/${id}`, bearer(key));
    assert.deepEqual((await revoke()).body, { status: 'revoked' });
    assert.equal((await who(bearer(key))).status, 401);
    const again = await call('DELETE', `/v1/api-keys/${id}`, internal('p-revoke'));
    assert.deepEqual([again.status, again.body['code']], [409, 'api_key_revoked']);
    const elsewhere = await call('DELETE', `/v1/api-keys/${id}`, internal('p-else'));
    assert.deepEqual([elsewhere.status, elsewhere.body['code']], [404, 'api_key_not_found']);
    const list = await call('GET', '/v1/api-keys', internal('p-revoke'));
    assert.deepEqual(list.body, { data: [], has_more: false });
  });

  it('looks up the keys of many requests in few statements', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => keyOf('p-many')));
    statements.length = 0;
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => who(bearer(keys[i % 5]?.key ?? ''))),
    );
    assert.ok(answers.every(({ status }) => status === 200));
    const lookups = statements.filter((text) => text.includes('key_hash = any')).length;
    assert.ok(lookups <= 60, `${lookups} look-ups`);
  });

  it('notes when a key was used, off the request path', async () => {
    const { id, key } = await keyOf('p-used');
    await who(bearer(key));
    const lastUse = async () =>
      (await sql(`select last_used_at from api_keys where id = $1`, id))[0]?.['last_used_at'];
    assert.equal(await lastUse(), null);
    await flushUsage();
    const first = await lastUse();
    assert.notEqual(first, null);
    await who(bearer(key));
    await flushUsage();
    assert.equal(await lastUse(), first);
  });

  it('pages keys without losing those made at the same instant', async () => {
    await keyOf('p-page');
    await sql(
      `insert into api_keys (project_id, name, key_hash, key_prefix, created_at)
       select 'p-page', 'n', 'hash-' || i, 'strait_', '2026-01-01' from generate_series(1, 24) i`,
    );
    const ids = new Set<string>();
    let cursor = '';
    for (let pages = 0; pages < 4; pages++) {
      const { body } = await call(
        'GET',
        `/v1/api-keys?limit=10&cursor=${cursor}`,
        internal('p-page'),
      );
      for (const { id } of body['data'] as { id: string }[]) ids.add(id);
      cursor = String(body['next_cursor'] ?? '');
      if (!body['has_more']) break;
    }
    assert.equal(ids.size, 25);
    const older = await call('GET', '/v1/api-keys?cursor=2026-01-01T00:00:00Z', internal('p-page'));
    assert.deepEqual(older.body['data'], []);
  });
});
