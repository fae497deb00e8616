import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { LocalPostgresError } from './error.ts';

/** The unprivileged account PostgreSQL runs as when we are root (PostgreSQL refuses to run as root). */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Access {
  readonly path: string;
  readonly mode: 'r' | 'w' | 'x';
}

const CANDIDATES = ['postgres', '_postgres', 'nobody'];

/**
 * Undefined when we are an ordinary user: the server then runs as ourselves.
 * `owner`: whom the data, or the folder meant for it, belongs to already.
 */
export function chooseAccount(owner?: Account): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  // Data once written stays with its account, whatever accounts were added since.
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of CANDIDATES) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    const [uid, gid] = [Number(fields[2]), Number(fields[3])];
    if (Number.isInteger(uid) && Number.isInteger(gid) && uid > 0 && gid > 0) return { uid, gid };
  }
  throw new LocalPostgresError(
    'start_failed',
    `PostgreSQL does not run as root, and this machine has none of the accounts ${CANDIDATES.join(', ')}. ` +
      'Start Strait as an ordinary user, or set DATABASE_URL to a PostgreSQL 18 server.',
  );
}

/** Whether the account (or we ourselves) can do all of this. Asks the kernel, so ACLs and noexec mounts count. */
export function can(account: Account | undefined, wanted: readonly Access[]): boolean {
  if (!account) {
    const modes = { r: constants.R_OK, w: constants.W_OK, x: constants.X_OK };
    try {
      for (const { path, mode } of wanted) accessSync(path, modes[mode]);
      return true;
    } catch {
      return false;
    }
  }
  const script = 'while [ $# -gt 0 ]; do test "-$1" "$2" || exit 1; shift 2; done';
  const pairs = wanted.flatMap(({ mode, path }) => [mode, path]);
  const asAccount = { ...account, cwd: '/', env: {}, stdio: 'ignore' } as const;
  const done = spawnSync('/bin/sh', ['-c', script, 'sh', ...pairs], asAccount);
  if (done.error) {
    throw new LocalPostgresError(
      'start_failed',
      `Cannot run programs as the unprivileged account ${account.uid}: ${done.error.message}`,
    );
  }
  return done.status === 0;
}
