// Server-sent events: what a handler of a `stream` operation returns, and the writer behind it.

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
