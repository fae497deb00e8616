// For tests: a server with operations that do whatever they are told.

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Failure } from '../src/platform/failure.ts';
import { createMetrics } from '../src/platform/telemetry/metrics.ts';
import type { AccessControl } from '../src/platform/http/access-control.ts';
import { defineApi, reply } from '../src/platform/http/define-api.ts';
import type { Binding } from '../src/platform/http/define-api.ts';
import { omitEmpty } from '../src/platform/http/json-reply.ts';
import { createHttpServer } from '../src/platform/http/server.ts';
import type { HttpConfig, HttpServer } from '../src/platform/http/server.ts';
import { streamReply } from '../src/platform/http/sse.ts';

interface Who {
  readonly may: readonly string[];
}
interface Where {
  readonly project_id: string;
}
const { operation, bind } = defineApi<'things:write', 'thing_not_found', Who, Where>();

const refuse = (code: string) => {
  throw new Failure(code);
};

/** `Bearer <permissions>`; everybody belongs to project p. */
const access: AccessControl<Who, Where> = {
  authenticate: async ({ headers, query_token }) => {
    const token = headers.authorization?.slice(7) ?? query_token;
    if (!token || token === 'bad') return refuse('unauthorized');
    return { may: token.split(',') };
  },
  authenticateRun: () => refuse('unauthorized'),
  authorize: async (who, permission) =>
    permission === 'authenticated' || who.may.includes(permission) || refuse('forbidden'),
  project: (_who, named) =>
    [named.query, named.body].every((name) => name === undefined || name === 'p')
      ? { project_id: 'p' }
      : refuse('project_mismatch'),
  admit: () => undefined,
  throttle: () => undefined,
  bucketOf: (who) => who.may.join(),
};

const base = { tags: ['Things'], summary: 'Things', failures: ['thing_not_found'] } as const;
const params = z.object({ thingID: z.string() });
export const seen: string[] = [];

const echo = operation({
  ...base,
  id: 'echo',
  method: 'POST',
  path: '/v1/things/:thingID/echo',
  permission: 'things:write',
  params,
  query: z.object({ limit: z.coerce.number().optional(), tag: z.array(z.string()).optional() }),
  body: z.strictObject({
    name: z.string(),
    payload: z.unknown().optional(),
    project_id: z.string().optional(),
  }),
  replies: {
    200: z.object({
      id: z.string(),
      query: z.unknown(),
      body: z.unknown(),
      note: omitEmpty(z.string()),
    }),
  },
});
const act = operation({
  ...base,
  id: 'act',
  method: 'POST',
  path: '/v1/things/:thingID/act',
  permission: 'authenticated',
  params,
  body: z.strictObject({ kind: z.enum(['created', 'nothing', 'bug', 'wrong', 'missing', 'slow']) }),
  body_required: false,
  replies: { 201: z.object({ id: z.string() }), 204: null },
});
const limited = operation({
  ...base,
  id: 'limited',
  method: 'DELETE',
  path: '/v1/things/:thingID',
  permission: 'authenticated',
  params,
  replies: { 204: null },
  rate_limit: { requests: 2, window_secs: 60 },
});
const watch = operation({
  ...base,
  id: 'watch',
  method: 'GET',
  path: '/v1/things/:thingID/stream',
  permission: 'authenticated',
  params,
  replies: { 200: z.unknown() },
  stream: true,
  token_in_query: true,
});

const bindings: Binding<Who, Where>[] = [
  bind(echo, (_context, { params: { thingID }, query, body }) => {
    seen.push(thingID);
    return { id: thingID, query, body, note: '' };
  }),
  bind(act, async ({ signal }, { body }) => {
    switch (body?.kind) {
      case 'bug':
        throw new Error('password=hunter2');
      case 'missing':
        throw new Failure('thing_not_found', {
          details: [{ path: 'path.thingID', message: 'gone' }],
        });
      case 'wrong':
        return reply(201, { id: 7 } as never);
      case 'slow':
        await sleep(5_000, undefined, { signal }).catch(() => {});
        return reply(204, null);
      case 'created':
        return reply(201, { id: 'x' });
      default:
        return reply(204, null);
    }
  }),
  bind(limited, () => undefined),
  bind(watch, (_context, { params: { thingID } }) => {
    if (thingID === 'none') throw new Failure('thing_not_found');
    return streamReply(async ({ send, signal }) => {
      await send({ id: '1', data: { n: 1 } });
      if (thingID === 'broken') throw new Failure('thing_not_found');
      if (thingID === 'short') return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
  }),
];

const catalogue = {
  invalid_request: { status: 400, message: 'invalid', retryable: false },
  invalid_json: { status: 400, message: 'invalid JSON', retryable: false },
  body_required: { status: 400, message: 'a body is required', retryable: false },
  unauthorized: { status: 401, message: 'who are you', retryable: false },
  forbidden: { status: 403, message: 'no', retryable: false },
  project_mismatch: { status: 403, message: 'not yours', retryable: false },
  thing_not_found: { status: 404, message: 'thing not found', retryable: false },
  route_not_found: { status: 404, message: 'no route', retryable: false },
  method_not_allowed: { status: 405, message: 'no method', retryable: false },
  body_too_large: { status: 413, message: 'too large', retryable: false },
  headers_too_large: { status: 431, message: 'too much', retryable: false },
  rate_limited: { status: 429, message: 'slow down', retryable: true },
  too_many_streams: { status: 429, message: 'too many streams', retryable: true },
  internal: { status: 500, message: 'internal error', retryable: true },
  shutting_down: { status: 503, message: 'stopping', retryable: true },
  request_timeout: { status: 504, message: 'too slow', retryable: true },
};

export const errors: unknown[] = [];

export function serverWith(config: Partial<HttpConfig> = {}): HttpServer {
  return createHttpServer({
    bindings,
    access,
    failures: catalogue,
    common_failures: ['invalid_request', 'unauthorized', 'forbidden', 'internal'],
    metrics: createMetrics(),
    log: { debug: () => {}, info: () => {}, error: (fields) => errors.push(fields) },
    health_checks: [],
    version: 'test',
    config: {
      host: '127.0.0.1',
      port: 0,
      max_request_body_bytes: 1000,
      request_timeout_ms: 300,
      trusted_proxies: ['127.0.0.1'],
      cors_allowed_origins: ['*'],
      cors_allow_credentials: false,
      rate_limit_requests: 1000,
      rate_limit_window_ms: 60_000,
      sse_keepalive_ms: 15_000,
      failed_authentications_per_minute: 500,
      check_replies: true,
      ...config,
    },
  });
}

export const auth = { authorization: 'Bearer things:write' };
export const post = (url: string, payload?: unknown, headers: Record<string, string> = auth) => ({
  method: 'POST' as const,
  url,
  headers: { 'content-type': 'application/json', ...headers },
  ...(payload === undefined
    ? {}
    : { payload: typeof payload === 'string' ? payload : JSON.stringify(payload) }),
});
