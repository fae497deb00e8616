// The only way out: every HTTP request to a URL that a user chose goes through here.
import { Pool } from 'undici';
import { checkUrl, type AddressPolicy } from './address-rules.ts';
import { Exchange, NO_TIMINGS, type OutboundReply } from './exchange.ts';
import { guardedConnector, type ResolveAll } from './guarded-connect.ts';

export type {
  OutboundFailure,
  OutboundReply,
  OutboundSuccess,
  OutboundTimings,
} from './exchange.ts';

export interface OutboundRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | undefined;
  /** For everything together: waiting for a connection, connecting, sending, reading. There is no other timeout. */
  readonly deadline_ms: number;
  readonly max_body_bytes: number;
  readonly signal?: AbortSignal | undefined;
}

export interface OutboundOptions {
  readonly policy: AddressPolicy;
  /** Requests in flight to one origin; more wait for a connection, at the cost of their deadline. */
  readonly connections_per_origin: number;
  /** Default 10 s. */
  readonly connect_timeout_ms?: number;
  /** How long an idle connection is kept. Default 90 s. */
  readonly keep_alive_ms?: number;
  /** Origins with open connections; the least recently used is closed beyond that. Default 1000. */
  readonly max_origins?: number;
  /** The system resolver unless a test brings its own. */
  readonly resolve?: ResolveAll;
}

export interface OutboundStats {
  readonly origins: number;
  readonly in_flight: number;
  readonly sent: number;
}

export interface OutboundClient {
  /** Never rejects for anything the other side, the network or the URL does. No redirects, no proxies. */
  send(request: OutboundRequest): Promise<OutboundReply>;
  /** Aborts what is in flight and closes every connection. */
  close(): Promise<void>;
  stats(): OutboundStats;
}

interface Origin {
  readonly key: string;
  readonly pool: Pool;
  readonly onSettled: () => void;
  inFlight: number;
}

type Target =
  | { readonly ok: true; readonly origin: string; readonly path: string }
  | { readonly ok: false; readonly reason: string };

const MAX_CACHED_TARGETS = 10_000;

export function createOutboundClient(options: OutboundOptions): OutboundClient {
  const { policy, connections_per_origin, connect_timeout_ms = 10_000 } = options;
  const { keep_alive_ms = 90_000, max_origins = 1_000 } = options;
  const connect = guardedConnector({
    allow_private: policy.allow_private,
    connect_timeout_ms,
    ...(options.resolve && { resolve: options.resolve }),
  });
  const targets = new Map<string, Target>();
  const origins = new Map<string, Origin>(); // in order of use, the oldest first
  const retired = new Set<Pool>();
  let sent = 0;
  let inFlight = 0;
  let newest: Origin | undefined;
  let closing: Promise<void> | undefined;

  /** Parsing and judging a URL costs more than sending to it; endpoints are few and come back. */
  function resolveTarget(url: string): Target {
    const known = targets.get(url);
    if (known) return known;
    const check = checkUrl(url, policy);
    const target: Target = check.ok
      ? { ok: true, origin: check.url.origin, path: check.url.pathname + check.url.search }
      : check;
    if (targets.size >= MAX_CACHED_TARGETS) targets.clear();
    targets.set(url, target);
    return target;
  }

  function use(key: string): Origin {
    if (newest?.key === key) return newest;
    const known = origins.get(key);
    if (known) origins.delete(key);
    else if (origins.size >= max_origins) retireOldest();
    newest = known ?? open(key);
    origins.set(key, newest);
    return newest;
  }

  function open(key: string): Origin {
    const pool = new Pool(key, {
      connections: connections_per_origin,
      connect,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: keep_alive_ms,
      keepAliveMaxTimeout: keep_alive_ms,
    });
    const origin: Origin = {
      key,
      pool,
      inFlight: 0,
      onSettled() {
        origin.inFlight -= 1;
        inFlight -= 1;
      },
    };
    return origin;
  }

  /** An idle one if there is any. A busy one finishes what it has. */
  function retireOldest(): void {
    let victim: Origin | undefined;
    for (const origin of origins.values()) {
      victim ??= origin;
      if (origin.inFlight > 0) continue;
      victim = origin;
      break;
    }
    if (!victim) return;
    const { key, pool } = victim;
    origins.delete(key);
    retired.add(pool);
    void pool.close().finally(() => retired.delete(pool));
  }

  return {
    send(request) {
      if (closing) return refused('aborted', 'the client is closed');
      if (request.signal?.aborted) return refused('aborted', 'the request was aborted');
      const target = resolveTarget(request.url);
      if (!target.ok) return refused('forbidden', target.reason);

      const origin = use(target.origin);
      origin.inFlight += 1;
      inFlight += 1;
      sent += 1;
      const exchange = new Exchange(request, origin.onSettled);
      const { method, headers, body = null } = request;
      origin.pool.dispatch({ path: target.path, method, headers, body }, exchange);
      return exchange.reply;
    },

    close() {
      closing ??= (async () => {
        const pools = [...Array.from(origins.values(), ({ pool }) => pool), ...retired];
        origins.clear();
        await Promise.all(pools.map((pool) => pool.destroy()));
      })();
      return closing;
    },

    stats: () => ({ origins: origins.size, in_flight: inFlight, sent }),
  };
}

function refused(kind: 'forbidden' | 'aborted', message: string): Promise<OutboundReply> {
  return Promise.resolve({ ok: false, kind, message, timings: NO_TIMINGS });
}
