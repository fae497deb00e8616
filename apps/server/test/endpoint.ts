// A job's endpoint that does what the test says, and remembers what it was asked.

import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Parsed, or undefined when it is no JSON. */
  readonly body: unknown;
  /** `performance.now()` when the whole request had arrived. */
  readonly at: number;
  /** Aborts when the caller gave up. */
  readonly signal: AbortSignal;
}

export interface ScriptedReply {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  readonly delay_ms?: number;
  /** Cut the connection instead of answering. */
  readonly hang_up?: boolean;
}

type Step = ScriptedReply | ((request: SeenRequest) => ScriptedReply | Promise<ScriptedReply>);

export interface ScriptedEndpoint extends AsyncDisposable {
  /** `http://127.0.0.1:<port>/work`. */
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** How many requests are being answered right now, and the most there ever were at once. */
  readonly busy: { readonly now: number; readonly most: number };
  close(): Promise<void>;
}

/** The n-th request gets the n-th step; the last one answers all that follow. No steps: 200 `{}`. */
export async function scriptedEndpoint(
  script: Step | readonly Step[] = [],
): Promise<ScriptedEndpoint> {
  const steps: readonly Step[] = Array.isArray(script)
    ? (script as readonly Step[])
    : [script as Step];
  const requests: SeenRequest[] = [];
  const busy = { now: 0, most: 0 };
  const closed = new AbortController();

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    response.on('error', () => {});
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const seen: SeenRequest = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        text,
        body: parsed(text),
        at: performance.now(),
        signal: gone.signal,
      };
      const step = steps[Math.min(requests.length, steps.length - 1)] ?? {};
      requests.push(seen);
      busy.now += 1;
      busy.most = Math.max(busy.most, busy.now);
      answer(step, seen)
        .catch((error: unknown) => ({
          status: 500,
          body: String(error),
          hang_up: false,
          headers: {},
        }))
        .then(({ status = 200, headers = {}, body = {}, hang_up }) => {
          if (hang_up) return request.socket.destroy();
          const out = typeof body === 'string' ? body : JSON.stringify(body);
          response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(out);
          return undefined;
        })
        .finally(() => (busy.now -= 1))
        .catch(() => {});
    });
  });

  async function answer(step: Step, seen: SeenRequest): Promise<ScriptedReply> {
    const reply = typeof step === 'function' ? await step(seen) : step;
    if (reply.delay_ms) {
      const signal = AbortSignal.any([closed.signal, seen.signal]);
      await sleep(reply.delay_ms, undefined, { signal }).catch(() => {});
    }
    return reply;
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const endpoint: ScriptedEndpoint = {
    url: `http://127.0.0.1:${port}/work`,
    requests,
    busy,
    close: () =>
      new Promise((resolve) => {
        closed.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    [Symbol.asyncDispose]: () => endpoint.close(),
  };
  return endpoint;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
