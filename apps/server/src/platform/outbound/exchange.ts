// One request and its reply, as undici's callbacks see it. No closures and one timer per request: this is the hot path.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

export interface OutboundTimings {
  /** Until a connection was ready: waiting for a free one, resolving, connecting, TLS. Near 0 when one was idle. */
  readonly connect_ms: number;
  /** From then until the reply's headers. */
  readonly ttfb_ms: number;
  readonly transfer_ms: number;
}

export interface OutboundSuccess {
  readonly ok: true;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** At most `max_body_bytes`. */
  readonly body: Buffer;
  /** The body was larger than the cap: reading stopped and the connection was closed. */
  readonly truncated: boolean;
  readonly timings: OutboundTimings;
}

export interface OutboundFailure {
  readonly ok: false;
  /** `forbidden` was never sent: a refused URL or address, or headers that HTTP cannot carry. Repeating it is useless. */
  readonly kind: 'timeout' | 'connection' | 'forbidden' | 'aborted';
  readonly message: string;
  readonly timings: OutboundTimings;
}

export type OutboundReply = OutboundSuccess | OutboundFailure;

export const NO_TIMINGS: OutboundTimings = { connect_ms: 0, ttfb_ms: 0, transfer_ms: 0 };

const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_MESSAGE_LENGTH = 300;
const EMPTY = Buffer.alloc(0);

/** Settles exactly once, whatever the other side or undici does afterwards. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly reply: Promise<OutboundReply>;
  readonly #maxBodyBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #onSettled: () => void;
  readonly #resolve: (reply: OutboundReply) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #settled = false;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #chunks: Buffer[] = [];
  #bytes = 0;
  readonly #begunAt = performance.now();
  #connectedAt = 0;
  #headersAt = 0;

  constructor(
    request: {
      readonly deadline_ms: number;
      readonly max_body_bytes: number;
      readonly signal?: AbortSignal | undefined;
    },
    onSettled: () => void,
  ) {
    const { promise, resolve } = Promise.withResolvers<OutboundReply>();
    this.reply = promise;
    this.#resolve = resolve;
    this.#maxBodyBytes = request.max_body_bytes;
    this.#onSettled = onSettled;
    this.#signal = request.signal;
    // Whole milliseconds keep Node's timer lists few.
    this.#timer = setTimeout(
      onDeadline,
      Math.min(Math.max(Math.ceil(request.deadline_ms), 0), MAX_TIMER_MS),
      this,
    );
    this.#signal?.addEventListener('abort', this);
  }

  /** The listener of the caller's signal; an object, so that it costs no closure. */
  handleEvent(): void {
    this.fail('aborted', 'the request was aborted');
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Already over while it waited for a connection. Throwing drops it and keeps the connection, aborting would close it.
    if (this.#settled) throw new Error('the request is no longer wanted');
    this.#controller = controller;
    this.#connectedAt = performance.now();
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (status < 200) return; // informational; the real one follows, or the deadline does
    this.#headersAt = performance.now();
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    const room = this.#maxBodyBytes - this.#bytes;
    if (chunk.length <= room) {
      this.#bytes += chunk.length;
      this.#chunks.push(chunk);
      return;
    }
    if (room > 0) this.#chunks.push(chunk.subarray(0, room));
    this.#succeed(true);
  }

  onResponseEnd(): void {
    if (!this.#settled) this.#succeed(false);
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#settled) return;
    const code = 'code' in error ? String(error.code) : '';
    const kind = FORBIDDEN_CODES.has(code)
      ? 'forbidden'
      : ABORTED_CODES.has(code)
        ? 'aborted'
        : 'connection';
    this.fail(kind, describe(error, code));
  }

  /** Ends the exchange from our side; nothing happens if it is over. */
  fail(kind: OutboundFailure['kind'], message: string): void {
    if (this.#settled) return;
    this.#settle({ ok: false, kind, message, timings: this.#timings() });
    this.#controller?.abort(new Error(message));
  }

  #succeed(truncated: boolean): void {
    const [only = EMPTY] = this.#chunks;
    const body = this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : only;
    const timings = this.#timings();
    this.#settle({
      ok: true,
      status: this.#status,
      headers: this.#headers,
      body,
      truncated,
      timings,
    });
    if (truncated) this.#controller?.abort(new Error('the reply is larger than its limit'));
  }

  #settle(reply: OutboundReply): void {
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this);
    this.#chunks = [];
    this.#onSettled();
    this.#resolve(reply);
  }

  #timings(): OutboundTimings {
    const now = performance.now();
    const connectedAt = this.#connectedAt || now;
    const headersAt = this.#headersAt || now;
    return {
      connect_ms: connectedAt - this.#begunAt,
      ttfb_ms: headersAt - connectedAt,
      transfer_ms: now - headersAt,
    };
  }
}

// undici refuses a request that HTTP cannot express (a line break in a header) with the first of these.
const FORBIDDEN_CODES = new Set(['UND_ERR_INVALID_ARG', 'STRAIT_FORBIDDEN_ADDRESS']);
const ABORTED_CODES = new Set(['UND_ERR_ABORTED', 'UND_ERR_DESTROYED', 'UND_ERR_CLOSED']);

/** One short line. Several attempted addresses make an error without a text of its own. */
function describe(error: Error, code: string): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  const text = error.message || (first instanceof Error ? first.message : '') || code || error.name;
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, MAX_MESSAGE_LENGTH);
}

function onDeadline(exchange: Exchange): void {
  exchange.fail('timeout', 'no complete reply before the deadline');
}
