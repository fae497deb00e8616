import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { Account } from './account.ts';

// We may be root writing into a folder of the server's account, so nothing here follows a link that
// account could have planted: files are read without following, and replaced by renaming.

/** Files with such a name were left by a start that was killed while writing. */
export const DRAFT_PREFIX = '.draft-';

/** Replaces `path` in one step with a file only `owner` (default: us) can read. */
export function replacePrivateFile(path: string, content: string, owner?: Account): void {
  const draft = join(dirname(path), `${DRAFT_PREFIX}${randomBytes(8).toString('hex')}`);
  const fd = fs.openSync(draft, 'wx', 0o600);
  try {
    fs.writeSync(fd, content);
    if (owner) fs.fchownSync(fd, owner.uid, owner.gid);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(draft, path);
}

// Not blocking, for the case that somebody put a named pipe there.
const FLAGS = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;

/** Undefined when there is no such file. */
export function readPrivateFile(path: string): string | undefined {
  try {
    const fd = fs.openSync(path, FLAGS);
    try {
      return fs.readFileSync(fd, 'utf8');
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

export function statOf(path: string): fs.Stats | undefined {
  return fs.lstatSync(path, { throwIfNoEntry: false });
}
