// For tests: the API of this module on a database of its own.

import assert from 'node:assert/strict';
import { z } from 'zod';
import { testDatabase } from './database.ts';
import { bind, operation } from '../src/domain/api.ts';
import { commonFailures, failures } from '../src/domain/failures.ts';
import type { Queryable } from '../src/platform/db/query.ts';
import { createHttpServer } from '../src/platform/http/server.ts';
import type { HttpServer } from '../src/platform/http/server.ts';
import { createMetrics } from '../src/platform/telemetry/metrics.ts';
import { createRateWindows } from '../src/modules/limits/index.ts';
import { createProjects, projectRoutes } from '../src/modules/projects/index.ts';
import { apiKeyRoutes, createAccess, seedSystemRoles } from '../src/modules/access/index.ts';
import type { Access } from '../src/modules/access/index.ts';

export const secret = 'i'.repeat(32);
export const old_secret = 'o'.repeat(32);
export const signing = 's'.repeat(32);

const whoAmI = operation({
  id: 'whoAmI',
  method: 'POST',
  path: '/v1/who',
  summary: '',
  tags: [],
  permission: 'jobs:read',
  body: z.strictObject({ project_id: z.string().optional() }),
  body_required: false,
  replies: { 200: z.object({ project_id: z.string(), actor_id: z.string() }) },
  failures: [],
});
const inRun = operation({
  id: 'inRun',
  method: 'GET',
  path: '/sdk/v1/runs/:runID/payload',
  summary: '',
  tags: [],
  permission: 'run_token',
  params: z.object({ runID: z.string() }),
  replies: { 200: z.object({ run_id: z.string(), attempt: z.int() }) },
  failures: ['run_token_mismatch'],
});

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Record<string, unknown>;
}

/** `who` answers 200 with project and actor to callers with jobs:read. */
export async function openAccess() {
  const database = await testDatabase();
  const statements: string[] = [];
  const sql = async (text: string, ...values: unknown[]) =>
    (await database.db.query({ text, values })).rows as Record<string, unknown>[];
  const db = {
    ...database.db,
    query: (call: Parameters<Queryable['query']>[0]) => {
      statements.push(call.text);
      return database.db.query(call);
    },
  };
  const projects = createProjects({
    db,
    onCreated: seedSystemRoles,
    onQuotasChanged: async () => {},
  });
  const access: Access = createAccess({
    db,
    projects,
    internal_secrets: [secret, old_secret, ''],
    run_token_keys: [signing],
    hitWindow: createRateWindows(db).hit,
  });
  const server: HttpServer = createHttpServer({
    bindings: [
      ...apiKeyRoutes(access.keys),
      ...projectRoutes(projects),
      bind(whoAmI, ({ project, caller }) => ({ ...project, actor_id: caller.actor_id })),
      bind(inRun, ({ caller }) => ({ run_id: caller.run_id, attempt: caller.attempt })),
    ],
    access: access.control,
    failures,
    common_failures: commonFailures,
    metrics: createMetrics(),
    log: { debug: () => {}, info: () => {}, error: (fields) => console.error(fields) },
    health_checks: [],
    version: 'test',
    config: {
      host: '127.0.0.1',
      port: 0,
      max_request_body_bytes: 100_000,
      request_timeout_ms: 10_000,
      trusted_proxies: [],
      cors_allowed_origins: ['*'],
      cors_allow_credentials: false,
      rate_limit_requests: 0,
      rate_limit_window_ms: 60_000,
      failed_authentications_per_minute: 0,
      sse_keepalive_ms: 15_000,
      check_replies: true,
    },
  });

  async function call(
    method: 'GET' | 'POST' | 'DELETE',
    url: string,
    headers: Record<string, string>,
    payload?: unknown,
  ): Promise<Answer> {
    const response = await server.inject({
      method,
      url,
      headers: { 'content-type': 'application/json', ...headers },
      ...(payload === undefined ? {} : { payload: JSON.stringify(payload) }),
    });
    const body = JSON.parse(response.body || '{}') as Record<string, unknown>;
    return { status: response.statusCode, body, headers: response.headers };
  }
  const internal = (project?: string, more: Record<string, string> = {}) => ({
    'x-internal-secret': secret,
    ...(project === undefined ? {} : { 'x-project-id': project }),
    ...more,
  });
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
  /** Registers the project unless it is known. */
  async function projectOf(id: string): Promise<void> {
    const made = await call('POST', '/v1/projects', internal(), { id, name: `Project ${id}` });
    assert.ok([201, 409].includes(made.status), JSON.stringify(made.body));
  }
  async function keyOf(project: string, body: object = {}): Promise<{ id: string; key: string }> {
    await projectOf(project);
    const made = await call('POST', '/v1/api-keys', internal(project), { name: 'k', ...body });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body as unknown as { id: string; key: string };
  }
  const who = (headers: Record<string, string>, body?: unknown) =>
    call('POST', '/v1/who', headers, body);
  const flushUsage = () => access.service.stop(AbortSignal.abort());
  const close = async () => {
    await server.stop(AbortSignal.abort());
    await flushUsage();
    await database.drop();
  };
  return {
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
  };
}

export type OpenAccess = Awaited<ReturnType<typeof openAccess>>;
