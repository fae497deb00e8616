// A private PostgreSQL 18 for one folder, from the binaries npm brings. Promises: one owner per
// folder, loopback only, no committed row lost and no process left behind however we end, and the
// server comes back by itself when it dies. Ends with `stop()` or, at the latest, with this process.
import { findNativePackage } from './binaries.ts';
import { startFrom, type LocalPostgres, type LocalPostgresOptions } from './local-postgres.ts';

export { LocalPostgresError } from './error.ts';

export type { LocalPostgres, LocalPostgresOptions };

/**
 * Starts the server of `options.home` and resolves when it accepts connections.
 * Fails with LocalPostgresError: `in_use`, `unsupported_platform`, `wrong_version`, `start_failed`.
 */
export async function startLocalPostgres(options: LocalPostgresOptions): Promise<LocalPostgres> {
  return startFrom(findNativePackage(), options);
}
