import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { can, chooseAccount, type Account } from './account.ts';
import { LocalPostgresError } from './error.ts';
import { readPrivateFile, replacePrivateFile, statOf } from './files.ts';
import { lockHome, type Lock } from './lock.ts';

/** What a home remembers; kept in `local-postgres.json`, readable only by us. */
export interface HomeState {
  /** `data`, or an absolute path when the server's account cannot reach the home. */
  readonly data_dir: string;
  readonly admin_password: string;
  readonly password: string;
  readonly port?: number;
  /** False until the new cluster's files are known to be on disk. */
  readonly synced: boolean;
}

export interface Home {
  readonly folder: string;
  readonly dataDir: string;
  readonly account: Account | undefined;
  readonly lock: Lock;
  state(): HomeState;
  update(change: Partial<HomeState>): void;
}

const STATE_FILE = 'local-postgres.json';
const SYSTEM_FOLDER = process.platform === 'darwin' ? '/var/db/strait' : '/var/lib/strait';

/**
 * Creates or opens a home and locks it.
 *
 * As root the home belongs to the server's account (0700 all the same), because that account must
 * pass through it to the data; the files with our passwords stay root's. When the account cannot
 * even reach the home (a checkout under /root), the home stays root's and the data goes to a folder
 * of its own in /var/lib/strait (macOS: /var/db/strait), recorded in the home.
 */
export function openHome(path: string): Home {
  const folder = createFolder(path);
  const lock = lockHome(folder);
  try {
    let state = readState(folder);
    const recorded = state && resolve(folder, state.data_dir);
    const owner = recorded ? statOf(recorded) : undefined;
    const account = chooseAccount(owner);
    if (!state) {
      if (statOf(join(folder, 'data'))) {
        throw new LocalPostgresError(
          'start_failed',
          `${folder} holds data, but ${STATE_FILE} with its passwords is missing. ` +
            'Put that file back, or remove the folder to start empty.',
        );
      }
      const reachable = !account || can(account, [{ path: dirname(folder), mode: 'x' }]);
      state = {
        data_dir: reachable ? 'data' : createSystemFolder(folder, account),
        admin_password: randomBytes(24).toString('hex'),
        password: randomBytes(24).toString('hex'),
        synced: false,
      };
      replacePrivateFile(join(folder, STATE_FILE), JSON.stringify(state, null, 2));
    }
    if (isAbsolute(state.data_dir)) checkBelongs(folder, state.data_dir);
    else if (account) fs.lchownSync(folder, account.uid, account.gid);
    return {
      folder,
      dataDir: resolve(folder, state.data_dir),
      account,
      lock,
      ...remember(folder, state),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function remember(folder: string, initial: HomeState): Pick<Home, 'state' | 'update'> {
  let state = initial;
  return {
    state: () => state,
    update: (change) => {
      state = { ...state, ...change };
      replacePrivateFile(join(folder, STATE_FILE), JSON.stringify(state, null, 2));
    },
  };
}

function createFolder(path: string): string {
  const wanted = resolve(path);
  fs.mkdirSync(dirname(wanted), { recursive: true });
  fs.mkdirSync(wanted, { recursive: true, mode: 0o700 });
  const folder = fs.realpathSync(wanted);
  // We are about to take this folder's permissions away from others: only if it is ours or empty.
  const names = fs.readdirSync(folder);
  if (names.length > 0 && !names.includes('lock') && !names.includes(STATE_FILE)) {
    throw new LocalPostgresError(
      'start_failed',
      `${folder} holds other files (${names.slice(0, 3).join(', ')}). The database needs a folder of its own.`,
    );
  }
  fs.chmodSync(folder, 0o700);
  return folder;
}

function readState(folder: string): HomeState | undefined {
  const text = readPrivateFile(join(folder, STATE_FILE));
  return text === undefined ? undefined : (JSON.parse(text) as HomeState);
}

function nameFor(folder: string): string {
  return createHash('sha256').update(folder).digest('hex').slice(0, 24);
}

/** A path under a root-owned folder nobody else can write to: nobody can prepare it before us. */
function createSystemFolder(folder: string, account: Account | undefined): string {
  fs.mkdirSync(SYSTEM_FOLDER, { recursive: true, mode: 0o711 });
  const stat = fs.lstatSync(SYSTEM_FOLDER);
  if (!stat.isDirectory() || stat.uid !== 0 || (stat.mode & 0o022) !== 0) {
    throw new LocalPostgresError(
      'start_failed',
      `${SYSTEM_FOLDER} must be a folder that belongs to root and that only root can write to.`,
    );
  }
  fs.chmodSync(SYSTEM_FOLDER, 0o711);
  // Data of an earlier home at the same path is not ours to delete, and its passwords are gone.
  for (let attempt = 0; ; attempt++) {
    const own = join(
      SYSTEM_FOLDER,
      attempt === 0 ? nameFor(folder) : `${nameFor(folder)}-${attempt}`,
    );
    if (statOf(own)) continue;
    fs.mkdirSync(own, { mode: 0o700 });
    if (account) fs.lchownSync(own, account.uid, account.gid);
    return join(own, 'data');
  }
}

/** Two copies of one home must not run two servers on the same data. */
function checkBelongs(folder: string, dataDir: string): void {
  const own = dirname(dataDir);
  if (dirname(own) === SYSTEM_FOLDER && own.startsWith(join(SYSTEM_FOLDER, nameFor(folder))))
    return;
  throw new LocalPostgresError(
    'start_failed',
    `${folder} was moved or copied: its data in ${dataDir} belongs to another folder. Move it back.`,
  );
}
