// The HTTP host: Fastify routes and sends, dispatch.ts decides.

import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { InjectOptions, Response as InjectResponse } from 'light-my-request';
import { Failure } from '../failure.ts';
import type { Health, Service } from '../services/service.ts';
import { StartRefused } from '../start-refused.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessControl } from './access-control.ts';
import { clientAddresses } from './client-address.ts';
import { commonHeaders } from './response-headers.ts';
import type { Binding, OperationSpec } from './define-api.ts';
import { createDispatcher, requestIdOf } from './dispatch.ts';
import type { Answer, Arrival, StreamAnswer } from './dispatch.ts';
import type { FailureCatalogue } from './error-reply.ts';
import { referenceOperations } from './reference.ts';
import { createStreams, defaultStreamLimits } from './sse.ts';
import type { StreamLimits } from './sse.ts';
import { failureOfUnreadable, rawResponse } from './unreadable-request.ts';
import { systemOperations } from './system-operations.ts';
import type { HealthCheck } from './system-operations.ts';

export interface HttpConfig {
  readonly host: string;
  /** 0 = any free port; see `url`. */
  readonly port: number;
  readonly max_request_body_bytes: number;
  readonly request_timeout_ms: number;
  /** Addresses or CIDR ranges whose forwarding headers count. */
  readonly trusted_proxies: readonly string[];
  readonly cors_allowed_origins: readonly string[];
  readonly cors_allow_credentials: boolean;
  /** Per client address, for calls without a valid credential; 0 = no limit, and none per route either. */
  readonly rate_limit_requests: number;
  readonly rate_limit_window_ms: number;
  /** Wrong credentials per client address and minute; 0 = no limit. Default 20. */
  readonly failed_authentications_per_minute?: number;
  readonly sse_keepalive_ms: number;
  readonly streams?: Partial<StreamLimits>;
  readonly metrics_token?: string | undefined;
  /** Compare every reply with its schema (tests, development); a difference is a 500. */
  readonly check_replies: boolean;
}

export interface HttpLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface HttpServerOptions<Caller, Project extends { readonly project_id: string }> {
  readonly bindings: readonly Binding<Caller, Project>[];
  readonly access: AccessControl<Caller, Project>;
  readonly failures: FailureCatalogue;
  readonly common_failures: readonly string[];
  readonly config: HttpConfig;
  readonly log: HttpLog;
  readonly metrics: Metrics;
  readonly health_checks: readonly HealthCheck[];
  /** While true, operations that write answer 503. */
  readonly overloaded?: () => boolean;
  /** For the OpenAPI document. */
  readonly version: string;
}

export interface HttpServer extends Service {
  /** Where it listens, once started: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** From now on not ready for more, though everything is still answered until `stop`. */
  leave(): void;
  /** A request without a socket, for tests. */
  inject(request: InjectOptions | string): Promise<InjectResponse>;
  /** Everything that is served, platform routes included. */
  readonly operations: readonly OperationSpec[];
}

/** Event keys have up to 512 characters, percent-encoded up to nine times that. */
const maxParamLength = 5000;

export function createHttpServer<Caller, Project extends { readonly project_id: string }>(
  options: HttpServerOptions<Caller, Project>,
): HttpServer {
  const { config, log } = options;
  // Leaving: still serves, but says it is not ready and ends connections, so that balancers go elsewhere.
  let state: 'idle' | 'listening' | 'leaving' | 'draining' = 'idle';
  let url = '';

  const bindings: Binding[] = [
    ...(options.bindings as readonly Binding[]),
    ...systemOperations({
      health_checks: options.health_checks,
      metrics: options.metrics,
      metrics_token: config.metrics_token,
      leaving: () => state === 'leaving' || state === 'draining',
    }),
    ...referenceOperations(() => operations, {
      title: 'Strait',
      version: options.version,
      failures: options.failures,
      common_failures: options.common_failures,
    }),
  ];
  const operations = bindings.map((binding) => binding.operation);

  const dispatcher = createDispatcher({
    access: options.access,
    failures: options.failures,
    max_body_bytes: config.max_request_body_bytes,
    request_timeout_ms: config.request_timeout_ms,
    anonymous_limit: {
      requests: config.rate_limit_requests,
      window_secs: config.rate_limit_window_ms / 1000,
    },
    failed_authentications: config.failed_authentications_per_minute ?? 20,
    check_replies: config.check_replies,
    overloaded: options.overloaded ?? (() => false),
    draining: () => state === 'draining',
    onUnexpected: (error, where) => log.error({ err: error, ...where }, 'request failed'),
  });
  const streams = createStreams({
    ...defaultStreamLimits,
    keepalive_ms: config.sse_keepalive_ms,
    ...config.streams,
  });
  const addressOf = clientAddresses(config.trusted_proxies);
  const headersFor = commonHeaders({
    allowed_origins: config.cors_allowed_origins,
    allow_credentials: config.cors_allow_credentials,
  });
  const durations = options.metrics.histogram({
    name: 'http_request_duration_seconds',
    help: 'Time to answer, by operation and status; streams are counted when they end',
    labels: ['operation', 'status'],
  });

  const arrivalOf = (request: FastifyRequest, response: FastifyReply['raw']): Arrival => {
    const query_at = request.raw.url?.indexOf('?') ?? -1;
    return {
      request: request.raw,
      response,
      params: (request.params ?? {}) as Record<string, string>,
      query_text: query_at < 0 ? '' : (request.raw.url ?? '').slice(query_at + 1),
      request_id: requestIdOf(request.headers['x-request-id']),
      client: addressOf(
        request.raw.socket.remoteAddress ?? '',
        textOf(request.headers['x-forwarded-for']),
        textOf(request.headers['x-forwarded-proto']),
      ),
    };
  };

  const headersOf = (request: FastifyRequest, arrival: Arrival) =>
    headersFor({
      request_id: arrival.request_id,
      https: arrival.client.https,
      origin: request.headers.origin,
      preflight: isPreflight(request),
    });

  const send = (request: FastifyRequest, reply: FastifyReply, arrival: Arrival, answer: Answer) => {
    if (answer.status === 413 || state === 'leaving' || state === 'draining')
      reply.header('connection', 'close');
    return reply
      .code(answer.status)
      .headers({ ...headersOf(request, arrival), ...answer.headers })
      .send(answer.body);
  };

  const serve = (binding: Binding) => async (request: FastifyRequest, reply: FastifyReply) => {
    const began = performance.now();
    const arrival = arrivalOf(request, reply.raw);
    const answer = await dispatcher.dispatch(binding, arrival);
    const { id } = binding.operation;
    const measure = (status: number | string) =>
      durations.observe({ operation: id, status }, (performance.now() - began) / 1000);
    if (answer === undefined) {
      measure('closed');
      reply.hijack();
      reply.raw.destroy();
      return reply;
    }
    if ('stream' in answer) await runStream(id, request, reply, arrival, answer, measure);
    else {
      measure(answer.status);
      await send(request, reply, arrival, answer);
    }
    return reply;
  };

  async function runStream(
    operation: string,
    request: FastifyRequest,
    reply: FastifyReply,
    arrival: Arrival,
    { stream, headers, project_id, recheck }: StreamAnswer,
    measure: (status: number) => void,
  ): Promise<void> {
    const explain = (error: unknown) =>
      (
        JSON.parse(dispatcher.errorAnswer(error, operation, arrival.request_id).body ?? '{}') as {
          error: string;
        }
      ).error;
    try {
      const over = streams.run(stream, {
        response: reply.raw,
        headers: { ...headersOf(request, arrival), ...headers },
        project_id,
        onError: explain,
        recheck,
      });
      reply.hijack();
      await over;
      measure(200);
    } catch (error) {
      const refused = dispatcher.errorAnswer(error, operation, arrival.request_id);
      measure(refused.status);
      if (!reply.sent) await send(request, reply, arrival, refused);
    }
  }

  const refuse = async (request: FastifyRequest, reply: FastifyReply, error: Failure) => {
    const arrival = arrivalOf(request, reply.raw);
    await send(request, reply, arrival, await dispatcher.refuse(error, arrival));
    return reply;
  };

  const app = fastify({
    logger: false,
    bodyLimit: config.max_request_body_bytes,
    // The dispatcher has its own limit; this one bounds how long a client may take to send a request.
    requestTimeout: config.request_timeout_ms + 5000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    // Node would answer such a request by itself, with nothing in it; the first hook below does.
    http: { requireHostHeader: false },
    routerOptions: {
      ignoreTrailingSlash: true,
      maxParamLength,
      // Decoded by parse-input.ts, which refuses what this one would let through.
      querystringParser: () => ({}),
    },
    frameworkErrors: (_error, request, reply) => {
      const arrival = arrivalOf(request as FastifyRequest, reply.raw);
      const failure = new Failure('invalid_request', { message: 'the path is not valid' });
      const refused = dispatcher.errorAnswer(failure, 'unknown', arrival.request_id);
      void send(request as FastifyRequest, reply as FastifyReply, arrival, refused);
    },
    clientErrorHandler(error, socket) {
      if (!socket.writable) return socket.destroy();
      const failure = failureOfUnreadable(error);
      const request_id = requestIdOf(undefined);
      const { status, headers, body } = dispatcher.errorAnswer(failure, 'unknown', request_id);
      log.debug({ err: error, request_id }, failure.message);
      const common = headersFor({
        request_id,
        https: false,
        origin: undefined,
        preflight: false,
      });
      socket.end(rawResponse(status, { ...common, ...headers }, body ?? ''));
    },
  });
  register(app, bindings, serve);
  const methodsAt = allowedMethods(operations);
  // A hook, because Fastify reads the body before it calls a handler for unknown routes.
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
      const message = 'a Host header is required';
      return refuse(request, reply, new Failure('invalid_request', { message }));
    }
    if (!request.is404) return;
    const allowed = methodsAt((request.raw.url ?? '').split('?', 1)[0] ?? '');
    if (allowed.length > 0) reply.header('allow', [...allowed, 'OPTIONS'].join(', '));
    if (isPreflight(request) || (request.method === 'OPTIONS' && allowed.length > 0)) {
      const nothing = { status: 204, headers: {}, body: undefined };
      return send(request, reply, arrivalOf(request, reply.raw), nothing);
    }
    const code = allowed.length > 0 ? 'method_not_allowed' : 'route_not_found';
    return refuse(request, reply, new Failure(code));
  });
  app.setErrorHandler(async (error, request, reply) => {
    const arrival = arrivalOf(request, reply.raw);
    await send(
      request,
      reply,
      arrival,
      dispatcher.errorAnswer(error, 'unknown', arrival.request_id),
    );
    return reply;
  });

  let stopping: Promise<void> | undefined;
  async function close(deadline: AbortSignal): Promise<void> {
    state = 'draining';
    const force = () => app.server.closeAllConnections();
    if (deadline.aborted) force();
    else deadline.addEventListener('abort', force, { once: true });
    try {
      await Promise.all([streams.endAll(), app.close()]);
    } finally {
      deadline.removeEventListener('abort', force);
    }
  }

  return {
    name: 'http',
    operations,
    get url() {
      return url;
    },
    async start() {
      url = await app
        .listen({ host: config.host, port: config.port })
        .catch((error: NodeJS.ErrnoException) => {
          throw refusedAddress(config, error);
        });
      state = 'listening';
      log.info({ url }, 'listening');
    },
    leave() {
      if (state === 'listening') state = 'leaving';
    },
    stop: (deadline) => (stopping ??= close(deadline)),
    health: (): Health => ({ status: state === 'listening' ? 'up' : 'down' }),
    inject: (request) => app.inject(request),
  };
}

/**
 * The dispatcher runs in `onRequest`, before Fastify would look at content type and body: both come
 * after authorization here.
 */
function register(
  app: FastifyInstance,
  bindings: readonly Binding[],
  serve: (
    binding: Binding,
  ) => (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>,
): void {
  const handler = () => {
    throw new Error('the dispatcher has already answered');
  };
  for (const binding of bindings) {
    const method = [...methodsOf(binding.operation)];
    app.route({ method, url: binding.operation.path, onRequest: serve(binding), handler });
  }
}

function methodsOf({ method, stream }: OperationSpec): readonly string[] {
  return method === 'GET' && !stream ? ['GET', 'HEAD'] : [method];
}

/** Methods a path takes, for 405. Compiled on first use; registering them all would double the start. */
function allowedMethods(operations: readonly OperationSpec[]): (path: string) => string[] {
  let patterns: { readonly path: RegExp; readonly methods: readonly string[] }[] | undefined;
  return (path) => {
    patterns ??= operations.map((operation) => ({
      path: new RegExp(`^${operation.path.replaceAll('.', '\\.').replace(/:\w+/g, '[^/]+')}/?$`),
      methods: methodsOf(operation),
    }));
    return [
      ...new Set(patterns.flatMap((pattern) => (pattern.path.test(path) ? pattern.methods : []))),
    ];
  };
}

/** What a person who starts the server can do something about, without a stack. */
function refusedAddress({ host, port }: HttpConfig, error: NodeJS.ErrnoException): Error {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} on ${host} is taken; choose another with PORT or --port`,
    EACCES: `this user may not listen on port ${port}; choose another with PORT or --port`,
    EADDRNOTAVAIL: `${host} is not an address of this machine (HOST or --host)`,
  };
  const reason = reasons[error.code ?? ''];
  return reason === undefined ? error : new StartRefused(reason, { cause: error });
}

function isPreflight(request: FastifyRequest): boolean {
  return (
    request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
  );
}

function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(',') : header;
}
