// The one error that services throw on purpose. What a code means over HTTP is in domain/failures.ts.

export interface FailureDetail {
  /** Where in the request, e.g. `body.items[3].priority`. */
  readonly path: string;
  readonly message: string;
}

export interface FailureContext {
  /** Replaces the catalogue's text, for people. */
  readonly message?: string;
  readonly details?: readonly FailureDetail[];
  readonly retry_after_secs?: number;
}

/** An expected refusal. `code` is a key of the failure catalogue; anything else thrown is a bug (500). */
export class Failure<Code extends string = string> extends Error {
  readonly code: Code;
  readonly context: FailureContext;

  constructor(code: Code, context: FailureContext = {}) {
    super(context.message ?? code);
    this.name = 'Failure';
    this.code = code;
    this.context = context;
  }
}
