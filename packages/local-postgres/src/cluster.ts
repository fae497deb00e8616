import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Account } from './account.ts';
import type { Binaries } from './binaries.ts';
import { LocalPostgresError } from './error.ts';
import { readPrivateFile, replacePrivateFile, statOf } from './files.ts';
import { SERVER_ENV } from './warden.ts';

export const SUPERUSER = 'postgres';

/** For a job queue on a laptop. Durability (fsync, synchronous_commit) is the product's promise. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '256MB',
  dynamic_shared_memory_type: 'posix',
  huge_pages: 'off',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  min_wal_size: '256MB',
  max_wal_size: '2GB',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  datestyle: 'iso, mdy',
  lc_messages: 'C',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  default_text_search_config: 'pg_catalog.english',
  password_encryption: 'scram-sha-256',
  log_line_prefix: '%m [%p] ',
};

/** Refuses data written by another major version; PostgreSQL cannot read it. */
export function checkVersion(dataDir: string, binaries: Binaries): void {
  const version = readPrivateFile(join(dataDir, 'PG_VERSION'))?.trim();
  if (version === binaries.major) return;
  throw new LocalPostgresError(
    'wrong_version',
    `The data in ${dataDir} was written by PostgreSQL ${version ?? '(unknown)'}, and Strait brings ` +
      `PostgreSQL ${binaries.major}. Dump it with the old version and load it into the new one, ` +
      'or remove the folder to start empty.',
  );
}

/**
 * Makes an empty cluster at `dataDir`, whole or not at all: a start that is killed half-way leaves
 * a folder under another name, which the next start removes.
 */
export async function createCluster(
  binaries: Binaries,
  dataDir: string,
  account: Account | undefined,
  password: string,
): Promise<void> {
  const parent = dirname(dataDir);
  const prefix = `${basename(dataDir)}.new-`;
  for (const name of fs.readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    try {
      fs.rmSync(join(parent, name), { recursive: true, force: true });
    } catch {
      // The initdb of a killed start may still be writing there; the next new cluster removes it.
    }
  }
  const draft = join(parent, prefix + randomBytes(6).toString('hex'));
  fs.mkdirSync(draft, { mode: 0o700 });
  if (account) fs.lchownSync(draft, account.uid, account.gid);
  const passwordFile = `${draft}-password`;
  replacePrivateFile(passwordFile, `${password}\n`, account);
  try {
    const done = await run(binaries.initdb, account, [
      `--pgdata=${draft}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      // The built-in provider sorts and classifies the same on every system; macOS has no C.UTF-8.
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--data-checksums',
      '--no-sync',
      '--no-instructions',
    ]);
    if (done.code !== 0) throw unusable(done, 'initdb failed');
  } finally {
    fs.rmSync(passwordFile, { force: true });
  }
  fs.renameSync(draft, dataDir);
}

/** Makes the files of a new cluster survive a power cut (initdb ran without); 0.1 s beside the server. */
export async function syncCluster(
  binaries: Binaries,
  dataDir: string,
  account: Account | undefined,
): Promise<boolean> {
  const done = await run(binaries.initdb, account, ['--sync-only', '-D', dataDir]);
  return done.code === 0;
}

/** Settings go through the file rather than arguments, so that `ps` stays readable. */
export function writeSettings(
  dataDir: string,
  account: Account | undefined,
  extra: Readonly<Record<string, string>>,
): void {
  const lines = Object.entries({ ...SETTINGS, ...extra }).map(([name, value]) => {
    if (!/^[a-z_][a-z0-9_.]*$/i.test(name) || /[\r\n\0]/.test(value)) {
      throw new LocalPostgresError('start_failed', `Not a PostgreSQL setting: ${name}`);
    }
    return `${name} = '${value.replaceAll("'", "''")}'`;
  });
  const path = join(dataDir, 'postgresql.conf');
  const header = '# Written by Strait at every start. Use ALTER SYSTEM for settings of your own.\n';
  replacePrivateFile(path, `${header}${lines.join('\n')}\n`, account);
}

export function hasCluster(dataDir: string): boolean {
  return statOf(join(dataDir, 'PG_VERSION')) !== undefined;
}

/** Tells binaries that cannot run on this system from any other failure. */
export function unusable(
  { code, output }: { code: number | string | null; output: string },
  what: string,
): LocalPostgresError {
  // 126 and 127 are a shell's, ENOENT is spawn's word for "the program or its loader is missing".
  if (code === 126 || code === 127 || code === 'ENOENT' || output.includes('GLIBC')) {
    return new LocalPostgresError(
      'unsupported_platform',
      'The PostgreSQL binaries from npm do not run on this system (they need glibc on Linux). ' +
        `Set DATABASE_URL to a PostgreSQL 18 server instead.\n${output}`,
    );
  }
  return new LocalPostgresError('start_failed', `${what} (${code}).\n${output}`);
}

function run(
  program: string,
  account: Account | undefined,
  args: readonly string[],
): Promise<{ code: number | string | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      ...account,
      cwd: '/',
      env: SERVER_ENV,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-4000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ code: error.code ?? null, output: error.message }),
    );
    child.once('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}
