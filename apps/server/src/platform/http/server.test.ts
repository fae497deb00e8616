import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { HttpServer } from './server.ts';
import { auth, errors, post, seen, serverWith } from '../../../test/http-things.ts';

describe('http server', () => {
  let server: HttpServer;
  before(() => (server = serverWith()));
  after(() => server.stop(AbortSignal.abort()));
  const call = async (request: Parameters<HttpServer['inject']>[0]) => {
    const response = await server.inject(request);
    const body =
      response.body === '' ? undefined : (JSON.parse(response.body) as Record<string, unknown>);
    return { status: response.statusCode, body, headers: response.headers };
  };

  it('decodes path and query, accepts a trailing slash and drops empty fields', async () => {
    const { status, body } = await call(
      post('/v1/things/a%2Fb%3Ac%20d/echo/?limit=7&tag=x&tag=y+z&project_id=p&limit=', {
        name: 'n',
        payload: { '': null },
      }),
    );
    assert.equal(status, 200);
    assert.deepEqual(body, {
      id: 'a/b:c d',
      query: { limit: 7, tag: ['x', 'y z'] },
      body: { name: 'n', payload: { '': null } },
    });
  });

  it('answers 401 before it looks at body, query or existence, 403 before it parses', async () => {
    const before = seen.length;
    for (const headers of [{}, { authorization: 'Bearer bad' }] as Record<string, string>[]) {
      const {
        status,
        body,
        headers: sent,
      } = await call(post('/v1/things/%00/echo?a=%zz', '{nope', headers));
      assert.equal(status, 401);
      assert.equal(body?.['code'], 'unauthorized');
      assert.equal(sent['www-authenticate'], 'Bearer');
    }
    const { status } = await call(
      post('/v1/things/x/echo', '{nope', { authorization: 'Bearer other' }),
    );
    assert.equal(status, 403);
    assert.equal(seen.length, before);
  });

  it('names every unknown or wrong member', async () => {
    const { status, body } = await call(
      post('/v1/things/x/echo?limit=1&limit=2', { nam: 1, __proto: 2 }),
    );
    assert.equal(status, 400);
    assert.deepEqual(
      (body?.['details'] as { path: string }[] | undefined)?.map(({ path }) => path),
      ['query.limit', 'body.name', 'body.nam', 'body.__proto'],
    );
  });

  it('refuses query parameters it does not know, except where anybody may ask', async () => {
    const { status, body } = await call(
      post('/v1/things/x/act?limt=1&project_id=p&kind=nothing', undefined),
    );
    assert.equal(status, 400);
    assert.deepEqual(body?.['details'], [
      { path: 'query.limt', message: 'unknown query parameter' },
      { path: 'query.kind', message: 'unknown query parameter' },
    ]);
    assert.equal((await call('/health?probe=1')).status, 200);
  });

  it('says in plain words what is missing, not whole, or wrong with a key', async () => {
    const { body } = await call(post('/v1/things/x/echo', { nested: {} }));
    assert.deepEqual((body?.['details'] as unknown[] | undefined)?.[0], {
      path: 'body.name',
      message: 'is required',
    });
  });

  it('answers malformed requests with 4xx and the envelope', async () => {
    const bad: [string, string | undefined, number][] = [
      ['/v1/things/%zz/echo', '{}', 400],
      ['/v1/things/%00/echo', '{"name":"n"}', 400],
      ['/v1/things/x/echo?limit=%zz', '{"name":"n"}', 400],
      ['/v1/things/x/echo?tag=%00', '{"name":"n"}', 400],
      ['/v1/things/x/echo', undefined, 400],
      ['/v1/things/x/echo', '', 400],
      ['/v1/things/x/echo', '[', 400],
      ['/v1/things/x/echo', 'null', 400],
      ['/v1/things/x/echo', '{"name":"\\u0000"}', 400],
      ['/v1/things/x/echo', `{"name":"${'x'.repeat(1000)}"}`, 413],
      ['/v1/things/x/echo', '{"name":"n","project_id":"q"}', 403],
      ['/v1/things/x/echo?project_id=q', '{"name":"n"}', 403],
      ['/v1/nothing', '{}', 404],
      ['/v1/things/x/echo/more', '{}', 404],
      ['/v1/things/x', '{}', 405],
    ];
    for (const [url, payload, expected] of bad) {
      const { status, body } = await call(post(url, payload));
      assert.equal(status, expected, `${url} ${payload} ${JSON.stringify(body)}`);
      assert.deepEqual(
        [typeof body?.['error'], typeof body?.['code'], typeof body?.['request_id']],
        ['string', 'string', 'string'],
      );
    }
  });

  it('does not care about the content type', async () => {
    for (const type of ['text/plain', 'garbage;;', 'application/xml']) {
      const { status } = await call(
        post('/v1/things/x/echo', { name: 'n' }, { ...auth, 'content-type': type }),
      );
      assert.equal(status, 200, type);
    }
    assert.equal((await call(post('/v1/things/x/act', undefined))).status, 204);
    assert.equal((await call(post('/v1/things/x/act', ''))).status, 204);
  });

  it('says which methods a path takes and answers preflights', async () => {
    const wrong = await call({ method: 'PUT', url: '/v1/things/x' });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers['allow'], 'DELETE, OPTIONS');
    const preflight = await call({
      method: 'OPTIONS',
      url: '/v1/things/x',
      headers: { origin: 'https://a.example', 'access-control-request-method': 'DELETE' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers['access-control-allow-origin'], '*');
    assert.match(String(preflight.headers['access-control-allow-methods']), /DELETE/);
  });

  it('maps statuses, refusals and bugs, and tells nothing about a bug', async () => {
    assert.deepEqual((await call(post('/v1/things/x/act', { kind: 'created' }))).body, { id: 'x' });
    const missing = await call(
      post('/v1/things/x/act', { kind: 'missing' }, { ...auth, 'x-request-id': 'my-id' }),
    );
    assert.deepEqual(missing.body, {
      error: 'thing not found',
      code: 'thing_not_found',
      details: [{ path: 'path.thingID', message: 'gone' }],
      request_id: 'my-id',
    });
    assert.equal(missing.headers['x-request-id'], 'my-id');
    for (const kind of ['bug', 'wrong']) {
      const logged = errors.length;
      const { status, body } = await call(post('/v1/things/x/act', { kind }));
      assert.equal(status, 500);
      assert.equal(body?.['error'], 'internal error');
      assert.equal(errors.length, logged + 1);
    }
    const slow = await call(post('/v1/things/x/act', { kind: 'slow' }));
    assert.equal(slow.status, 504);
  });

  it('sends its headers with every answer and replaces request ids it does not like', async () => {
    const { headers } = await call({
      url: '/health',
      headers: { 'x-request-id': 'has space', 'x-forwarded-proto': 'https' },
    });
    assert.match(String(headers['x-request-id']), /^[0-9a-f-]{36}$/);
    assert.equal(headers['content-security-policy'], "default-src 'none'");
    assert.equal(headers['x-api-version'], 'v1');
    assert.match(String(headers['strict-transport-security']), /63072000/);
  });

  it('counts only successful calls against the limit of a route', async () => {
    const drop = () =>
      call({ method: 'DELETE', url: '/v1/things/x', headers: { authorization: 'Bearer someone' } });
    for (let i = 0; i < 5; i++) {
      const refused = await call({
        method: 'DELETE',
        url: '/v1/things/%00',
        headers: { authorization: 'Bearer someone' },
      });
      assert.equal(refused.status, 400);
    }
    const [first, second] = [await drop(), await drop()];
    assert.deepEqual([first.status, second.status], [204, 204]);
    const reset = Number(first.headers['x-ratelimit-reset']) - Date.now() / 1000;
    assert.ok(reset > -1 && reset <= 61, String(first.headers['x-ratelimit-reset']));
    const third = await drop();
    assert.equal(third.status, 429);
    assert.equal(third.body?.['retry_after_secs'], Number(third.headers['retry-after']));
  });

  it('limits callers without a valid credential per address, and nobody else', async () => {
    const strict = serverWith({ rate_limit_requests: 5, failed_authentications_per_minute: 2 });
    const status = async (ip: string, headers: Record<string, string>, url = '/v1/things/x/act') =>
      (await strict.inject({ method: 'POST', url, headers: { 'x-forwarded-for': ip, ...headers } }))
        .statusCode;
    const statuses: number[] = [];
    for (let i = 0; i < 7; i++)
      statuses.push(await status('1.1.1.1', {}, i % 2 ? '/nothing' : undefined));
    assert.deepEqual(statuses, [401, 404, 401, 404, 401, 429, 429]);
    const { headers } = await strict.inject({
      url: '/nothing',
      headers: { 'x-forwarded-for': '3.3.3.3', origin: 'https://a.example' },
    });
    const exposed = String(headers['access-control-expose-headers']).toLowerCase();
    for (const name of ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']) {
      assert.match(String(headers[name]), /^\d+$/, name);
      assert.ok(exposed.includes(name), name);
    }
    assert.ok(exposed.includes('retry-after'));
    const wrong: number[] = [];
    for (let i = 0; i < 4; i++)
      wrong.push(await status('2.2.2.2', { authorization: 'Bearer bad' }));
    assert.deepEqual(wrong, [401, 401, 429, 429]);
    for (let i = 0; i < 20; i++)
      assert.equal(await status('1.1.1.1', { authorization: 'Bearer x' }), 204);
    for (let i = 0; i < 20; i++) assert.equal((await strict.inject('/health')).statusCode, 200);
    await strict.stop(AbortSignal.abort());
  });

  it('describes itself as OpenAPI with every named schema resolved', async () => {
    const { body } = await call('/reference/openapi.json');
    const text = JSON.stringify(body);
    const { paths, components } = body as unknown as {
      paths: Record<string, Record<string, Record<string, unknown>>>;
      components: { schemas: Record<string, unknown> };
    };
    assert.equal(paths['/v1/things/{thingID}/echo']?.['post']?.['x-scope'], 'things:write');
    for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      assert.ok(components.schemas[name], name);
    }
    assert.ok(!text.includes('#/$defs/'));
    const page = await server.inject('/reference');
    assert.match(page.body, /swagger-ui-bundle/);
    assert.match(String(page.headers['content-security-policy']), /script-src 'self'/);
    assert.equal((await server.inject('/reference/assets/swagger-ui-bundle.js')).statusCode, 200);
    assert.equal((await server.inject('/reference/assets/package.json')).statusCode, 404);
    assert.match((await server.inject('/metrics')).body, /strait_http_request_duration_seconds/);
  });

  it('never answers a malformed request with 5xx', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('%', '%00', '__proto__', '..', '\ud800'),
    );
    const json = fc.oneof(
      fc.json(),
      fc.string(),
      fc.jsonValue().map((value) => JSON.stringify({ name: 'n', payload: value })),
      text.map((name) => JSON.stringify({ [name]: name, name })),
    );
    const path = fc.tuple(text, fc.boolean()).map(([part, encoded]) => {
      const safe = part.replace(/[^\x21-\x7e]/g, '').replace(/[#?]/g, '');
      return encoded ? encodeURIComponent(part.toWellFormed()) : safe;
    });
    const query = fc.dictionary(fc.constantFrom('limit', 'tag', 'project_id', 'x'), text);
    await fc.assert(
      fc.asyncProperty(path, query, json, async (part, members, payload) => {
        const pairs = Object.entries(members).map(
          ([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`,
        );
        const { status } = await call(post(`/v1/things/${part}/echo?${pairs.join('&')}`, payload));
        assert.ok(status < 500, `${status}`);
      }),
      { numRuns: 300 },
    );
  });
});
