import { prepareBinaries, type NativePackage } from './binaries.ts';
import { checkVersion, createCluster } from './cluster.ts';
import { LocalPostgresError } from './error.ts';
import { statOf } from './files.ts';
import { openHome, type Home } from './home.ts';
import { stopLeftover } from './recover.ts';
import { LocalServer } from './server.ts';

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

export async function startFrom(
  native: NativePackage,
  options: LocalPostgresOptions,
): Promise<LocalPostgres> {
  let home: Home | undefined;
  try {
    home = openHome(options.home);
    return await start(native, options, home);
  } catch (cause) {
    home?.lock.release();
    if (cause instanceof LocalPostgresError) throw cause;
    throw new LocalPostgresError(
      'start_failed',
      `The database in ${options.home} could not be started: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

async function start(
  native: NativePackage,
  options: LocalPostgresOptions,
  home: Home,
): Promise<LocalServer> {
  const { port, settings = {}, log = () => {}, restart = true } = options;
  const binaries = prepareBinaries(native, home.account);
  const isNew = statOf(home.dataDir) === undefined;
  if (isNew) {
    await createCluster(binaries, home.dataDir, home.account, home.state().admin_password);
  } else {
    checkVersion(home.dataDir, binaries);
    await stopLeftover(home.dataDir, log);
  }
  const server = new LocalServer({ home, binaries, port, settings, log, restart });
  await server.start(isNew);
  return server;
}
