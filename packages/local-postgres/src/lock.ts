import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { codeOf, LocalPostgresError } from './error.ts';
import { processIdentity } from './processes.ts';

export interface Lock {
  release(): void;
}

/**
 * Makes this process the one owner of `home`. The lock is a numbered link `lock/<n>` whose target
 * names the owner; the highest number counts. Taking over means creating the next number, which
 * only one of two starters can do, so a stale lock is never deleted from under a fresh one.
 */
export function lockHome(home: string): Lock {
  const folder = join(home, 'lock');
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!fs.lstatSync(folder).isDirectory()) {
    throw new LocalPostgresError('start_failed', `${folder} must be a folder`);
  }
  for (;;) {
    const latest = highest(folder);
    const holder = latest > 0 ? readHolder(folder, latest) : undefined;
    if (holder && processIdentity(holder.pid) === holder.identity) {
      throw new LocalPostgresError(
        'in_use',
        `The database in ${home} is in use by process ${holder.pid}. ` +
          'Stop that process first, or use another folder.',
      );
    }
    const mine = latest + 1;
    try {
      fs.symlinkSync(`${process.pid}@${processIdentity(process.pid)}`, join(folder, String(mine)));
    } catch (error) {
      if (codeOf(error) === 'EEXIST') continue;
      throw error;
    }
    // While we looked, others may have taken a higher number and removed the ones below it.
    if (highest(folder) !== mine) {
      fs.rmSync(join(folder, String(mine)), { force: true });
      continue;
    }
    for (const name of fs.readdirSync(folder)) {
      const isOurs = Number(name) < mine || name.startsWith('released-');
      if (isOurs) fs.rmSync(join(folder, name), { force: true });
    }
    return { release: () => release(folder, mine) };
  }
}

function highest(folder: string): number {
  const numbers = fs.readdirSync(folder).map(Number);
  return Math.max(0, ...numbers.filter((number) => Number.isSafeInteger(number)));
}

function readHolder(folder: string, number: number): { pid: number; identity: string } | undefined {
  try {
    const [pid, identity] = fs.readlinkSync(join(folder, String(number))).split('@');
    return identity && Number(pid) > 0 ? { pid: Number(pid), identity } : undefined;
  } catch {
    return undefined;
  }
}

/** The number stays used up: were it removed, a slow starter could take it while another takes 1. */
function release(folder: string, number: number): void {
  const draft = join(folder, `released-${randomUUID()}`);
  try {
    fs.symlinkSync('released', draft);
    fs.renameSync(draft, join(folder, String(number)));
  } catch (error) {
    // Somebody removed the whole home: nothing is left to hold.
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
