// The real application on a database of its own, in this process: what API tests talk to.

import assert from 'node:assert/strict';
import { compose, type Composition } from '../src/app/compose.ts';
import { readConfig } from '../src/app/config.ts';
import type { Database } from '../src/platform/db/database.ts';
import { createLog } from '../src/platform/telemetry/log.ts';
import { testDatabase } from './database.ts';
import { assertQueueHealthy } from './queue-health.ts';

export interface TestAppOptions {
  /** `api` (default) answers requests; `all` has the engine too. */
  readonly mode?: 'api' | 'all';
  /** Start every service: listener, worker, loops. Default: only requests by `call`, nothing in the background. */
  readonly start?: boolean;
  /** Environment variables on top of the test's own, by name. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default `silent`; pass `warn` to see what went wrong. */
  readonly log_level?: string;
}

export interface CallOptions {
  /** API key or run token, sent as bearer. */
  readonly key?: string;
  /** Text is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: an address of its own per call, so that limits per address do not couple tests. */
  readonly ip?: string;
}

// A test asserts what it reads; the product's own reply schemas are what check bodies.
// oxlint-disable-next-line typescript/no-explicit-any
type Loose = any;

export interface CallResult<Body> {
  readonly status: number;
  /** Parsed when it is JSON, undefined when there is none, else text. */
  readonly body: Body;
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
}

export interface TestProject {
  readonly project_id: string;
  /** Holds every scope. */
  readonly api_key: string;
}

export interface TestApp extends AsyncDisposable {
  readonly composition: Composition;
  readonly url: string;
  /** Ordinary pool beside the application's own. */
  readonly db: Database;
  /** Header that may do everything. */
  readonly internal: Readonly<Record<string, string>>;
  /** Signs run tokens. */
  readonly token_key: string;
  sql<Row = Record<string, unknown>>(text: string, ...values: unknown[]): Promise<Row[]>;
  /** A new project with a key, made through the API. */
  project(name?: string): Promise<TestProject>;
  /** `Body` is what the test expects; nothing checks it but the product's own reply schemas. */
  call<Body = Loose>(
    method: string,
    path: string,
    options?: CallOptions,
  ): Promise<CallResult<Body>>;
  /** Stops everything, checks the queue and that no connection is left, drops the database. Safe twice. */
  close(): Promise<void>;
}

const INTERNAL_SECRET = 'internal-secret-of-the-tests-0123456789';
const TOKEN_KEY = 'run-token-key-of-the-tests-0123456789abc';

/** The settings tests run with; needs no database to be there. */
export function testConfig(url: string, settings: Readonly<Record<string, string>> = {}) {
  const env = {
    DATABASE_URL: url,
    INTERNAL_SECRET,
    JWT_SIGNING_KEY: TOKEN_KEY,
    ENCRYPTION_KEY: '0'.repeat(64),
    ALLOW_PRIVATE_ENDPOINTS: 'true',
    PORT: '0',
    DB_MAX_CONNS: '10',
    MODE: 'api',
    ...settings,
  };
  return readConfig(env, []);
}

export async function testApp(options: TestAppOptions = {}): Promise<TestApp> {
  const database = await testDatabase();
  const config = testConfig(database.url, { MODE: options.mode ?? 'api', ...options.settings });
  const composition = compose({
    config,
    url: database.url,
    log: createLog({ level: options.log_level ?? 'silent', format: 'text' }),
    tenantRole: database.tenantRole,
    version: 'test',
    check_replies: true,
  });
  if (options.start) for (const service of composition.services) await service.start();

  let calls = 0;
  const call = async <Body = Loose>(
    method: string,
    path: string,
    { key, body, headers, ip }: CallOptions = {},
  ): Promise<CallResult<Body>> => {
    calls += 1;
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const response = await composition.http.inject({
      method: method as 'GET',
      url: path,
      remoteAddress: ip ?? `10.${(calls >> 16) & 255}.${(calls >> 8) & 255}.${calls & 255}`,
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(text === undefined ? {} : { payload: text }),
    });
    return {
      status: response.statusCode,
      headers: response.headers,
      body: bodyOf(response.payload, response.headers['content-type']) as Body,
    };
  };

  const internal = { 'x-internal-secret': INTERNAL_SECRET };
  const succeed = async (path: string, headers: Record<string, string>, body: object) => {
    const made = await call<{ id: string; key: string }>('POST', path, { headers, body });
    assert.equal(made.status, 201, `${path}: ${JSON.stringify(made.body)}`);
    return made.body;
  };

  async function close(): Promise<void> {
    const deadline = AbortSignal.timeout(10_000);
    for (const service of composition.services.toReversed()) await service.stop(deadline);
    // Pools work before they are started, and services that were never started do not stop.
    const { db, hot, beats } = composition;
    await Promise.all([db.close(), hot.close(), beats.close()]);
    try {
      await assertQueueHealthy(database.db);
      await assertNoConnections(database.db);
    } finally {
      await database.drop();
    }
  }

  let closing: Promise<void> | undefined;
  const app: TestApp = {
    composition,
    url: database.url,
    db: database.db,
    internal,
    token_key: TOKEN_KEY,
    sql: async (text, ...values) => (await database.db.query({ text, values })).rows as never[],
    async project(name = 'Test') {
      const { id } = await succeed('/v1/projects', internal, { name });
      const of_project = { ...internal, 'x-project-id': id };
      const { key } = await succeed('/v1/api-keys', of_project, { name: `key of ${name}` });
      return { project_id: id, api_key: key };
    },
    call,
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => app.close(),
  };
  return app;
}

function bodyOf(text: string, type: unknown): unknown {
  if (text === '') return undefined;
  return String(type).startsWith('application/json') ? (JSON.parse(text) as unknown) : text;
}

/** Whoever still holds a connection after everything was stopped leaked it. */
async function assertNoConnections(db: Database): Promise<void> {
  const look = async () => {
    const { rows } = await db.query({
      text: `select application_name, state, left(query, 100) as query from pg_stat_activity
              where datname = current_database() and application_name like 'strait-%' and application_name <> 'strait-test'`,
      values: [],
    });
    return rows;
  };
  // The server notices the end of a connection a moment later.
  const deadline = performance.now() + 2000;
  for (;;) {
    const left = await look();
    if (left.length === 0) return;
    if (performance.now() > deadline) assert.deepEqual(left, [], 'connections left after the stop');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
