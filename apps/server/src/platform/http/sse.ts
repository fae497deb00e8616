// Server-sent events: what a handler of a `stream` operation returns, and the writer behind it.

import type { ServerResponse } from 'node:http';
import { Failure } from '../failure.ts';

const streamBrand: unique symbol = Symbol('stream');

export interface ServerEvent {
  /** Sent as `id:`; what a client gives back in `Last-Event-ID`. */
  readonly id?: string;
  /** Absent = unnamed event. */
  readonly event?: string;
  /** Serialised as JSON. */
  readonly data: unknown;
}

export interface EventStream {
  /** Resolves when the client can take more. Does nothing once the stream is over. */
  send(event: ServerEvent): Promise<void>;
  /** Aborts when the client left, the stream grew too old (30 minutes) or the server stops. */
  readonly signal: AbortSignal;
}

export interface StreamReply {
  readonly [streamBrand]: true;
  readonly write: (stream: EventStream) => Promise<void>;
}

/**
 * Answers with an event stream; it ends when `write` resolves. Refusals (404, 410, 429) must be thrown
 * before this is returned; an error inside `write` becomes `event: error`.
 */
export function streamReply(write: (stream: EventStream) => Promise<void>): StreamReply {
  return { [streamBrand]: true, write };
}

export function isStreamReply(value: unknown): value is StreamReply {
  return typeof value === 'object' && value !== null && streamBrand in value;
}

export interface StreamLimits {
  readonly total: number;
  readonly per_project: number;
  readonly keepalive_ms: number;
  readonly max_age_ms: number;
  /** How often `recheck` is asked whether the caller may still read. */
  readonly recheck_ms: number;
}

export const defaultStreamLimits: StreamLimits = {
  total: 5000,
  per_project: 100,
  keepalive_ms: 15_000,
  max_age_ms: 30 * 60_000,
  recheck_ms: 60_000,
};

export interface OpenStream {
  readonly response: ServerResponse;
  readonly headers: Readonly<Record<string, string>>;
  readonly project_id: string | undefined;
  readonly onError: (error: unknown) => string;
  /** Rejects when the caller's credentials no longer hold. */
  readonly recheck: () => Promise<unknown>;
}

/** All streams of this process. */
export interface Streams {
  /** Resolves when the stream is over; throws Failure `too_many_streams` before anything was sent. */
  run(reply: StreamReply, options: OpenStream): Promise<void>;
  readonly open: number;
  /** Ends every stream with a comment; new ones are refused. Resolves when all handlers returned. */
  endAll(): Promise<void>;
}

export function createStreams(limits: StreamLimits = defaultStreamLimits): Streams {
  const open = new Map<AbortController, Promise<void>>();
  const per_project = new Map<string, number>();
  let stopping = false;

  const admit = (project_id: string) => {
    if (stopping) throw new Failure('shutting_down');
    const of_project = per_project.get(project_id) ?? 0;
    if (open.size >= limits.total || of_project >= limits.per_project) {
      throw new Failure('too_many_streams', { retry_after_secs: 30 });
    }
    per_project.set(project_id, of_project + 1);
  };

  const release = (project_id: string) => {
    const left = (per_project.get(project_id) ?? 1) - 1;
    if (left > 0) per_project.set(project_id, left);
    else per_project.delete(project_id);
  };

  return {
    get open() {
      return open.size;
    },
    run(reply, options) {
      const project_id = options.project_id ?? '';
      admit(project_id);
      const over = new AbortController();
      const done = write(reply, options, over, limits).finally(() => {
        open.delete(over);
        release(project_id);
      });
      open.set(over, done);
      return done;
    },
    async endAll() {
      stopping = true;
      for (const over of open.keys()) over.abort('the server is stopping');
      await Promise.allSettled(open.values());
    },
  };
}

async function write(
  reply: StreamReply,
  { response, headers, onError, recheck }: OpenStream,
  over: AbortController,
  limits: StreamLimits,
): Promise<void> {
  const end = (reason: string) => over.abort(reason);
  const gone = () => end('the client left');
  response.once('close', gone);
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
    // An idle connection left behind would hold up stopping.
    connection: 'close',
  });
  response.flushHeaders();

  const put = async (text: string): Promise<void> => {
    if (over.signal.aborted || response.destroyed) return;
    if (!response.write(text)) await drained(response, over.signal);
  };
  const timers = [
    setInterval(() => {
      // A client that reads nothing gets no more to read.
      if (!response.writableNeedDrain) void put(': keepalive\n\n');
    }, limits.keepalive_ms),
    setInterval(
      () => void recheck().catch(() => end('the credentials no longer hold')),
      limits.recheck_ms,
    ),
    setTimeout(() => end('the stream reached its maximum age'), limits.max_age_ms),
  ];
  try {
    await reply.write({ send: (event) => put(formatEvent(event)), signal: over.signal });
  } catch (error) {
    if (!over.signal.aborted) {
      await put(formatEvent({ event: 'error', data: { error: onError(error) } }));
    }
  } finally {
    for (const timer of timers) clearTimeout(timer);
    response.off('close', gone);
    const reason: unknown = over.signal.reason;
    response.end(over.signal.aborted ? `: ${String(reason)}\n\n` : undefined);
  }
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.on('drain', done);
    signal.addEventListener('abort', done);
  });
}

/** JSON has no raw line breaks, so one `data:` line is always enough. */
export function formatEvent({ id, event, data }: ServerEvent): string {
  const line = (name: string, value: string | undefined) =>
    value === undefined ? '' : `${name}: ${value.replace(/[\r\n\0]/g, ' ')}\n`;
  return `${line('id', id)}${line('event', event)}data: ${JSON.stringify(data) ?? 'null'}\n\n`;
}
