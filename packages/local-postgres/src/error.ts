/** Why a local server could not be started; `message` is written for the person at the terminal. */
export class LocalPostgresError extends Error {
  override readonly name = 'LocalPostgresError';
  readonly code: LocalPostgresErrorCode;

  constructor(code: LocalPostgresErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export type LocalPostgresErrorCode =
  | 'in_use'
  | 'unsupported_platform'
  | 'start_failed'
  | 'wrong_version';

/** The `code` of a system or PostgreSQL error (`ENOENT`, `28P01`), if it has one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
