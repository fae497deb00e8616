// Tells "the database cannot be reached right now" from every other error: callers answer 503 or try later.
import pg from 'pg';

/** Nothing is wrong with the statement. Trying again may help, unless `outcome_unknown`. */
export class DatabaseUnavailable extends Error {
  /** The connection broke while committing: the transaction may or may not have happened. */
  readonly outcome_unknown: boolean;

  constructor(message: string, options: { cause?: unknown; outcome_unknown?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.name = 'DatabaseUnavailable';
    this.outcome_unknown = options.outcome_unknown ?? false;
  }
}

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  // A Unix socket whose server is gone.
  'ENOENT',
]);

// Shutdown, crash, starting up, idle session ended; no slot left; session ended while idle in a transaction.
const SERVER = /^(08...|57P0[1235]|53300|25P0[34])$/;

// pg gives these no code.
const MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Client (has encountered a connection error|was closed)|write after end)/;

/**
 * The database understood the statement and refuses what is in it: the same values will be refused again. Locks, time-outs,
 * full disks and read-only standbys are none of this: those pass.
 */
export function isBadData(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return /^(22|23|54)/.test(error.code ?? '');
  return error instanceof RangeError;
}

/** Whatever the database says, and anything that keeps us from asking it. */
export const isDatabaseError = (error: unknown): boolean =>
  error instanceof pg.DatabaseError || isDatabaseUnavailable(error);

/** Also true for raw errors of pg and the network, and for an AggregateError made of those. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return true;
  if (error instanceof AggregateError)
    return error.errors.length > 0 && error.errors.every(isDatabaseUnavailable);
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (error instanceof pg.DatabaseError) return SERVER.test(String(code));
  return NETWORK.has(String(code)) || MESSAGES.test(error.message);
}
