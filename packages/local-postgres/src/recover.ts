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
  if (pid === undefined || !isPostmasterOf(pid, dataDir)) return;
  log(`stopping PostgreSQL (process ${pid}) left by an earlier owner of ${dataDir}`);
  await endServer(pid);
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
