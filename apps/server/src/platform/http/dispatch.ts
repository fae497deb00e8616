// The life of every request, in order: request id → authenticate → rate limit → authorize → parse →
// handler → reply check → error mapping. Fastify only routes; nothing here is repeated per route.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Failure } from '../failure.ts';
import type { AccessControl, Credentials, Target } from './access-control.ts';
import { addressBucket } from './client-address.ts';
import type { ClientAddress } from './client-address.ts';
import { isReply } from './define-api.ts';
import type { Binding, OperationSpec, RateLimitRule, RequestContext } from './define-api.ts';
import { errorReply } from './error-reply.ts';
import type { FailureCatalogue } from './error-reply.ts';
import { parseJsonBody, readBody, refuseText } from './json-body.ts';
import { shapeOf } from './json-reply.ts';
import { parseInput, parseQuery } from './parse-input.ts';
import type { RawQuery } from './parse-input.ts';
import { limitHeaders, slidingWindow } from './rate-limit.ts';
import type { LimitState, SlidingWindow } from './rate-limit.ts';
import { isStreamReply } from './sse.ts';
import type { StreamReply } from './sse.ts';

export interface DispatchOptions<Caller, Project extends { readonly project_id: string }> {
  readonly access: AccessControl<Caller, Project>;
  readonly failures: FailureCatalogue;
  readonly max_body_bytes: number;
  readonly request_timeout_ms: number;
  /** Calls without a valid credential, per address; `requests` 0 = this and routes' own limits off. */
  readonly anonymous_limit: RateLimitRule;
  /** Wrong credentials per address and minute; 0 = not limited. */
  readonly failed_authentications: number;
  /** Compare replies with their schema: tests and development. */
  readonly check_replies: boolean;
  /** While true, operations that write are refused with 503. */
  readonly overloaded: () => boolean;
  /** While true, only what is `uncounted` (health, metrics) is answered. */
  readonly draining: () => boolean;
  readonly onUnexpected: (error: unknown, where: { operation: string; request_id: string }) => void;
}

/** One HTTP request as the host hands it over. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly params: Readonly<Record<string, string>>;
  /** Without `?`, not decoded. */
  readonly query_text: string;
  readonly request_id: string;
  readonly client: ClientAddress;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined = no body. */
  readonly body: string | undefined;
}

export interface StreamAnswer {
  readonly stream: StreamReply;
  readonly headers: Readonly<Record<string, string>>;
  readonly project_id: string | undefined;
  readonly recheck: () => Promise<unknown>;
}

export interface Dispatcher {
  /** Never rejects. Undefined = the client left before there was an answer. */
  dispatch(binding: Binding, arrival: Arrival): Promise<Answer | StreamAnswer | undefined>;
  /** The answer to a request no operation takes; counted like any other. */
  refuse(error: Failure, arrival: Arrival): Promise<Answer>;
  /** The same without counting: broken requests, errors of a stream. */
  errorAnswer(error: unknown, operation: string, request_id: string): Answer;
}

const jsonType = 'application/json; charset=utf-8';
const clientGone = Symbol('the client is gone');

/** What a client may choose as request id; anything else is replaced. */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID();
}

export function createDispatcher<Caller, Project extends { readonly project_id: string }>(
  options: DispatchOptions<Caller, Project>,
): Dispatcher {
  const { access } = options;
  const anonymous = slidingWindow(options.anonymous_limit);
  const failed = slidingWindow({ requests: options.failed_authentications, window_secs: 60 });
  const routeLimits = new Map<string, SlidingWindow>();

  async function answer(
    operation: OperationSpec,
    handle: Binding['handle'],
    arrival: Arrival,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Answer | StreamAnswer> {
    const { request, params, request_id, client } = arrival;
    const early = operation.token_in_query ? parseQuery(arrival.query_text) : undefined;
    const credentials: Credentials = {
      headers: request.headers,
      query_token: early?.['token']?.[0],
    };
    const { permission } = operation;

    if (options.draining() && !operation.uncounted) throw new Failure('shutting_down');
    const caller = await authenticate(operation, credentials, arrival, headers);

    let countRoute: (() => void) | undefined;
    if (caller !== undefined && permission !== 'public') {
      const own = await access.throttle(caller);
      if (own) refuseOver(own, headers);
      countRoute = checkRouteLimit(operation, caller, headers);
    }
    if (operation.method !== 'GET' && options.overloaded()) throw new Failure('overloaded');

    const query = early ?? parseQuery(arrival.query_text);
    const named = { header: request.headers['x-project-id'], query: only(query, 'project_id') };
    const bound = permission !== 'public' && permission !== 'run_token';
    let authorized = permission === 'public';
    if (caller !== undefined && !authorized) {
      const project_id = bound ? access.project(caller, named)?.project_id : undefined;
      authorized = await authorize(caller, operation, { project_id, params });
    }

    for (const [name, value] of Object.entries(params)) refuseText(value, `path.${name}`);
    const body = operation.body
      ? parseJsonBody(await readBody(request, options.max_body_bytes))
      : undefined;
    const input = parseInput(operation, { params, query, headers: request.headers, body });

    let project: Project | undefined;
    if (caller !== undefined && bound) {
      project = access.project(caller, { ...named, body: memberOf(body, 'project_id') });
      if (!project && (operation.project !== 'none' || !authorized)) {
        throw new Failure('project_required');
      }
      if (!authorized) {
        await authorize(caller, operation, { project_id: project?.project_id, params });
      }
      if (project && operation.project !== 'none') await access.admit(caller, project);
    }

    const context: RequestContext<unknown, unknown> = {
      caller,
      project: operation.project === 'none' ? undefined : project,
      request_id,
      ip: client.ip,
      user_agent: request.headers['user-agent'] ?? '',
      headers: request.headers,
      signal,
    };
    const result = await handle(context, input);
    countRoute?.();

    if (isStreamReply(result)) {
      const recheck = async () =>
        permission === 'public' || permission === 'run_token' || access.authenticate(credentials);
      return { stream: result, headers, project_id: project?.project_id, recheck };
    }
    return answerOf(operation, result, headers);
  }

  /** By either permission of the operation. */
  async function authorize(
    caller: Caller,
    { permission, or_permission }: OperationSpec,
    target: Target,
  ): Promise<boolean> {
    try {
      return await access.authorize(caller, permission, target);
    } catch (error) {
      const isForbidden = error instanceof Failure && error.code === 'forbidden';
      if (or_permission === undefined || !isForbidden) throw error;
      return access.authorize(caller, or_permission, target);
    }
  }

  async function authenticate(
    operation: OperationSpec,
    credentials: Credentials,
    { client }: Arrival,
    headers: Record<string, string>,
  ): Promise<Caller | undefined> {
    if (operation.permission === 'public') {
      if (operation.uncounted) return undefined;
      const caller = await recognise(credentials);
      if (caller === undefined) refuseOver(anonymous.hit(addressBucket(client.ip)), headers);
      return caller;
    }
    try {
      return operation.permission === 'run_token'
        ? access.authenticateRun(credentials)
        : await access.authenticate(credentials);
    } catch (error) {
      if (error instanceof Failure && error.code === 'unauthorized') {
        headers['www-authenticate'] = 'Bearer';
        const bucket = addressBucket(client.ip);
        refuseOver(anonymous.hit(bucket), headers);
        if (presented(credentials)) refuseOver(failed.hit(bucket), {});
      }
      throw error;
    }
  }

  /** Who it is, if anybody: a wrong credential is no reason to refuse what is public. */
  async function recognise(credentials: Credentials): Promise<Caller | undefined> {
    if (options.anonymous_limit.requests <= 0 || !presented(credentials)) return undefined;
    return access.authenticate(credentials).catch(() => undefined);
  }

  /** Refused calls do not count, so what is returned must be called once the call succeeded. */
  function checkRouteLimit(
    { id, rate_limit }: OperationSpec,
    caller: Caller,
    headers: Record<string, string>,
  ): (() => void) | undefined {
    if (!rate_limit) return undefined;
    if (options.anonymous_limit.requests <= 0 && !rate_limit.always_on) return undefined;
    const bucket = access.bucketOf(caller);
    if (bucket === undefined) return undefined;
    let window = routeLimits.get(id);
    if (!window) routeLimits.set(id, (window = slidingWindow(rate_limit)));
    refuseOver(window.peek(bucket), headers);
    return () => window.hit(bucket);
  }

  function answerOf(
    operation: OperationSpec,
    result: unknown,
    extra: Record<string, string>,
  ): Answer {
    const only_status = Number(Object.keys(operation.replies)[0]);
    const { status, body, headers } = isReply(result)
      ? result
      : { status: only_status, body: result, headers: undefined };
    if (operation.raw !== undefined) {
      return {
        status,
        headers: { 'content-type': operation.raw, ...extra, ...headers },
        body: String(body),
      };
    }
    const schema = operation.replies[status];
    if (schema === undefined) throw new Error(`${operation.id} declares no reply ${status}`);
    if (schema === null) return { status, headers: { ...extra, ...headers }, body: undefined };
    const shape = shapeOf(schema);
    const shaped = shape ? shape(body) : body;
    if (options.check_replies) {
      const checked = schema.safeParse(shaped);
      if (!checked.success) {
        throw new Error(
          `reply ${status} of ${operation.id} breaks its schema: ${checked.error.message}`,
        );
      }
    }
    return {
      status,
      headers: { 'content-type': jsonType, ...extra, ...headers },
      body: JSON.stringify(shaped),
    };
  }

  function errorAnswer(error: unknown, operation: string, request_id: string): Answer {
    const { status, headers, body, unexpected } = errorReply(error, options.failures, request_id);
    if (unexpected) options.onUnexpected(error, { operation, request_id });
    return {
      status,
      headers: { 'content-type': jsonType, ...headers },
      body: JSON.stringify(body),
    };
  }

  return {
    errorAnswer,

    async dispatch({ operation, handle }, arrival) {
      const headers: Record<string, string> = {
        ...operation.reply_headers?.(arrival.request.headers),
      };
      const controller = new AbortController();
      const { signal } = controller;
      const gone = () => controller.abort(clientGone);
      arrival.response.once('close', gone);
      const timer = setTimeout(
        () => controller.abort(new Failure('request_timeout')),
        options.request_timeout_ms,
      );
      const aborted = new Promise<never>((_, reject) => {
        // The reason is a Failure or the mark that the client left; both are handled below.
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
      try {
        return await Promise.race([answer(operation, handle, arrival, headers, signal), aborted]);
      } catch (error) {
        if (error === clientGone) return undefined;
        const refused = errorAnswer(error, operation.id, arrival.request_id);
        return { ...refused, headers: { ...headers, ...refused.headers } };
      } finally {
        clearTimeout(timer);
        arrival.response.off('close', gone);
      }
    },

    async refuse(error, arrival) {
      const headers: Record<string, string> = {};
      let reason: unknown = error;
      try {
        const caller = await recognise({ headers: arrival.request.headers });
        if (caller === undefined) {
          refuseOver(anonymous.hit(addressBucket(arrival.client.ip)), headers);
        }
      } catch (limited) {
        reason = limited;
      }
      const refused = errorAnswer(reason, 'unknown', arrival.request_id);
      return { ...refused, headers: { ...headers, ...refused.headers } };
    },
  };
}

function presented({ headers, query_token }: Credentials): boolean {
  return (
    headers.authorization !== undefined ||
    headers['x-internal-secret'] !== undefined ||
    query_token !== undefined
  );
}

function refuseOver(state: LimitState, headers: Record<string, string>): void {
  if (state.limit > 0) Object.assign(headers, limitHeaders(state));
  if (!state.allowed) {
    throw new Failure('rate_limited', { retry_after_secs: state.retry_after_secs });
  }
}

function only(query: RawQuery, name: string): string | undefined {
  const values = query[name]?.filter((value) => value !== '') ?? [];
  if (new Set(values).size > 1) {
    throw new Failure('invalid_request', { message: `query.${name} is given more than once` });
  }
  return values[0];
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
