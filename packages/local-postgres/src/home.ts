import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { can, chooseAccount, type Account } from './account.ts';
import { LocalPostgresError } from './error.ts';
import { DRAFT_PREFIX, readPrivateFile, replacePrivateFile, statOf } from './files.ts';
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
 * The home is ours, 0700. When we are root, the server's account must pass through it to the data:
 * the home then is 0710 with that account's group, which opens the way but lets nobody list it,
 * and leaves everything but the data folder in root's hands. (A home that belongs to another user
 * stays that user's, and the server runs as that user.) When the account cannot even reach the home,
 * as in a checkout under /root, the home is 0700 and the data goes to a folder of its own in
 * /var/lib/strait (macOS: /var/db/strait), which the home records.
 */
export function openHome(path: string): Home {
  const folder = createFolder(path);
  const lock = lockHome(folder);
  try {
    for (const name of fs.readdirSync(folder)) {
      if (name.startsWith(DRAFT_PREFIX)) fs.rmSync(join(folder, name), { force: true });
    }
    const known = readState(folder);
    const account = chooseAccount(
      (known && statOf(resolve(folder, known.data_dir))) ?? statOf(folder),
    );
    const isReachable = openTo(account, folder);
    const state = known ?? firstState(folder, account, isReachable);
    checkPlace(folder, state.data_dir, isReachable);
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

/** Lets the server's account pass through the home; false when it cannot get there in the first place. */
function openTo(account: Account | undefined, folder: string): boolean {
  const owner = fs.lstatSync(folder).uid;
  if (!account || owner === account.uid) {
    fs.chmodSync(folder, 0o700);
    return true;
  }
  fs.lchownSync(folder, owner, account.gid);
  fs.chmodSync(folder, 0o710);
  if (can(account, [{ path: folder, mode: 'x' }])) return true;
  fs.chmodSync(folder, 0o700);
  return false;
}

function firstState(folder: string, account: Account | undefined, isReachable: boolean): HomeState {
  if (statOf(join(folder, 'data'))) {
    throw new LocalPostgresError(
      'start_failed',
      `${folder} holds data, but ${STATE_FILE} with its passwords is missing. ` +
        'Put that file back, or remove the folder to start empty.',
    );
  }
  const state = {
    data_dir: isReachable ? 'data' : createSystemFolder(folder, account),
    admin_password: randomBytes(24).toString('hex'),
    password: randomBytes(24).toString('hex'),
    synced: false,
  };
  writeState(folder, state);
  return state;
}

function remember(folder: string, initial: HomeState): Pick<Home, 'state' | 'update'> {
  let state = initial;
  return {
    state: () => state,
    update: (change) => {
      state = { ...state, ...change };
      writeState(folder, state);
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
  return folder;
}

/** Written as the home's owner, who may be another user than root, and come back without root. */
function writeState(folder: string, state: HomeState): void {
  const path = join(folder, STATE_FILE);
  const owner = process.getuid?.() === 0 ? fs.lstatSync(folder) : undefined;
  replacePrivateFile(path, `${JSON.stringify(state, null, 2)}\n`, owner);
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
    openTo(account, own);
    return join(own, 'data');
  }
}

/** Two copies of one home must not run two servers on the same data. */
function checkPlace(folder: string, dataDir: string, isReachable: boolean): void {
  if (!isAbsolute(dataDir)) {
    if (isReachable) return;
    throw new LocalPostgresError(
      'start_failed',
      `The data in ${folder} cannot be reached any more by the account it belongs to. ` +
        'Give that account the right to enter the folders above it, or move the folder.',
    );
  }
  const own = dirname(dataDir);
  const isHere = basename(own).startsWith(nameFor(folder)) && dirname(own) === SYSTEM_FOLDER;
  if (isHere && statOf(own)) return;
  throw new LocalPostgresError(
    'start_failed',
    `${folder} was moved or copied, or its data was removed: it belongs to ${dataDir}. ` +
      'Move it back, or remove it to start empty.',
  );
}
