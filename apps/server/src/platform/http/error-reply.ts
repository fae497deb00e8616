// Whatever was thrown → the one error envelope.

import { isDatabaseUnavailable } from '../db/unavailable.ts';
import { Failure } from '../failure.ts';
import type { FailureDetail } from '../failure.ts';

export type FailureCatalogue = Readonly<
  Record<string, { readonly status: number; readonly message: string; readonly retryable: boolean }>
>;

export interface ErrorEnvelope {
  /** For people. */
  readonly error: string;
  /** For programs; stable. */
  readonly code: string;
  readonly details?: readonly FailureDetail[];
  readonly retry_after_secs?: number;
  readonly request_id: string;
}

export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorEnvelope;
  /** A bug, not a refusal: log it with its stack. Nothing of it is in the body. */
  readonly unexpected: boolean;
}

export function errorReply(
  error: unknown,
  catalogue: FailureCatalogue,
  request_id: string,
): ErrorReply {
  const failure = refusalOf(error);
  const code = failure && catalogue[failure.code] ? failure.code : 'internal';
  const spec = catalogue[code] ?? { status: 500, message: 'internal error', retryable: true };
  const context = failure?.code === code ? failure.context : {};
  const wait =
    context.retry_after_secs === undefined
      ? spec.status === 503
        ? 1
        : undefined
      : Math.max(1, Math.ceil(context.retry_after_secs));
  return {
    status: spec.status,
    headers: wait === undefined ? {} : { 'retry-after': String(wait) },
    body: {
      error: context.message ?? spec.message,
      code,
      ...(context.details && context.details.length > 0 ? { details: context.details } : {}),
      ...(wait === undefined ? {} : { retry_after_secs: wait }),
      request_id,
    },
    unexpected: code === 'internal',
  };
}

function refusalOf(error: unknown): Failure | undefined {
  if (error instanceof Failure) return error;
  return isDatabaseUnavailable(error) ? new Failure('database_unavailable') : undefined;
}
