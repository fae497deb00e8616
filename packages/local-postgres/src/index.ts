// A private PostgreSQL 18 for one folder, from the binaries npm brings. Promises: one owner per
// folder, loopback only, no committed row lost and no process left behind however we end, and the
// server comes back by itself when it dies. Ends with `stop()` or, at the latest, with this process.
import { findNativePackage, prepareBinaries } from './binaries.ts';
import { checkVersion, createCluster } from './cluster.ts';
import { statOf } from './files.ts';
import { openHome } from './home.ts';
import { stopLeftover } from './recover.ts';
import { LocalServer } from './server.ts';

export { LocalPostgresError } from './error.ts';

export interface LocalPostgresOptions {
  /** Folder of its own (created, 0700): data, passwords, port. */
  readonly home: string;
  /** Default: the one used last in this home, else a free one. */
  readonly port?: number;
  /** PostgreSQL settings beyond, or instead of, ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Receives the server's log and what we do about it, line by line. */
  readonly log?: (line: string) => void;
  /** Start again when the server dies unasked; default true. */
  readonly restart?: boolean;
}

export interface LocalPostgres {
  /** Role `strait` (may create databases and roles, no superuser) on the database `strait` it owns. */
  readonly url: string;
  /** The superuser on the database `postgres`. */
  readonly adminUrl: string;
  readonly port: number;
  /** The postmaster; undefined while there is none. */
  readonly pid: () => number | undefined;
  readonly dataDir: string;
  /** Safe to call twice. `fast` ends sessions and flushes; `immediate` leaves recovery to the next start. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** Called each time the server accepts connections again after dying; port and passwords are the same. */
  onRestart(listener: () => void): void;
  health(): { status: 'up' | 'down'; detail?: string };
}

/**
 * Starts the server of `options.home` and resolves when it accepts connections.
 * Fails with LocalPostgresError: `in_use`, `unsupported_platform`, `wrong_version`, `start_failed`.
 */
export async function startLocalPostgres(options: LocalPostgresOptions): Promise<LocalPostgres> {
  const native = findNativePackage();
  const log = options.log ?? (() => {});
  const home = openHome(options.home);
  try {
    const binaries = prepareBinaries(native, home.account);
    const isNew = statOf(home.dataDir) === undefined;
    if (isNew) {
      await createCluster(binaries, home.dataDir, home.account, home.state().admin_password);
    } else {
      checkVersion(home.dataDir, binaries);
      await stopLeftover(home.dataDir, log);
    }
    const { port, settings = {}, restart = true } = options;
    const server = new LocalServer({ home, binaries, port, settings, log, restart });
    await server.start(isNew);
    return server;
  } catch (error) {
    home.lock.release();
    throw error;
  }
}
