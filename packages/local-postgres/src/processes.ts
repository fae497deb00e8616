import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';

const PS_ENV = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' };

/**
 * A string that differs between two processes that had the same pid, also across a reboot.
 * Undefined when no such process runs (a zombie does not run).
 */
export function processIdentity(pid: number): string | undefined {
  if (process.platform !== 'linux') return identityFromPs(pid);
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may hold anything, ')' included.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}_${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** The same for systems without /proc: start time to the second. */
export function identityFromPs(pid: number): string | undefined {
  const [state, ...started] = ps(pid, 'stat=', 'lstart=').split(/\s+/);
  return !state || state.startsWith('Z') ? undefined : started.join('_');
}

export function isRunning(pid: number): boolean {
  return processIdentity(pid) !== undefined;
}

/** Whether `pid` is a PostgreSQL server on this data directory, and not a process that got its pid later. */
export function isPostmasterOf(pid: number, dataDir: string): boolean {
  if (!isRunning(pid)) return false;
  if (process.platform === 'linux') {
    try {
      // A postmaster's working directory is its data directory.
      return (
        readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataDir) &&
        basename(readlinkSync(`/proc/${pid}/exe`)).startsWith('postgres')
      );
    } catch {
      return false;
    }
  }
  const command = `${ps(pid, 'command=')} `;
  return command.includes('postgres') && command.includes(` -D ${dataDir} `);
}

/** Sends a signal; false when the process is gone already. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

function ps(pid: number, ...columns: string[]): string {
  try {
    const args = ['-ww', ...columns.flatMap((column) => ['-o', column]), '-p', String(pid)];
    return execFileSync('ps', args, { encoding: 'utf8', env: PS_ENV, stdio: 'pipe' }).trim();
  } catch {
    return '';
  }
}
