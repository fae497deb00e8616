import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LocalPostgresError } from './error.ts';
import { readPrivateFile } from './files.ts';
import { isPostmasterOf, isRunning, signal } from './processes.ts';

// Away from Linux, looking at a process means running ps.
const POLL_MS = process.platform === 'linux' ? 10 : 50;
const REPEAT_MS = 1_000;

/**
 * Stops a server that an earlier owner left on this data: its process was killed together with its
 * warden, or the warden is still busy stopping it. Call only while holding the home's lock.
 */
export async function stopLeftover(dataDir: string, log: (line: string) => void): Promise<void> {
  const pid = postmasterPid(dataDir);
  if (pid === undefined || !isRunning(pid)) return;
  if (!isPostmasterOf(pid, dataDir)) return disown(dataDir);
  log(`stopping PostgreSQL (process ${pid}) left by an earlier owner of ${dataDir}`);
  await endServer(pid);
}

/**
 * The pid in the file now belongs to somebody else. PostgreSQL would take him for its predecessor when he runs under
 * the same account; the pid of a process that has just ended it takes for stale. The rest of the file stays: by it the
 * server finds out whether sessions of the dead one still use its memory.
 */
function disown(dataDir: string): void {
  const file = join(dataDir, 'postmaster.pid');
  const [, ...rest] = (readPrivateFile(file) ?? '').split('\n');
  writeFileSync(file, [spawnSync(process.execPath, ['--version']).pid, ...rest].join('\n'));
}

/**
 * Fast shutdown, then less and less gentle: 20 s for sessions to end and data to be flushed, 5 s
 * without the flush, then a kill. Recovery at the next start makes all three safe.
 */
export async function endServer(pid: number, first: 'fast' | 'immediate' = 'fast'): Promise<void> {
  const steps = [
    ['SIGINT', 20_000],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const;
  for (const [name, patience] of steps) {
    if (name === 'SIGINT' && first === 'immediate') continue;
    const deadline = Date.now() + patience;
    for (let next = 0; Date.now() < deadline; await sleep(POLL_MS)) {
      if (!isRunning(pid)) return;
      if (Date.now() < next) continue;
      signal(pid, name);
      next = Date.now() + REPEAT_MS; // a server ignores signals in its first moments
    }
  }
  throw new LocalPostgresError('start_failed', `PostgreSQL (process ${pid}) cannot be stopped`);
}

export function postmasterPid(dataDir: string): number | undefined {
  const pid = Number(readPrivateFile(join(dataDir, 'postmaster.pid'))?.split('\n')[0]);
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
}
