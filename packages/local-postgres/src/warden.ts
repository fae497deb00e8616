import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Account } from './account.ts';

/** One run of the server under its warden. */
export interface Warden {
  /** The postmaster's pid; rejects when the server could not even be started. */
  readonly pid: Promise<number>;
  /** Settles when the warden has ended, normally because the server has. Never rejects. */
  readonly ended: Promise<string>;
  /** What the server printed last, newest at the end. */
  readonly lastLines: () => readonly string[];
  /** Same as our death: the warden stops the server. */
  release(): void;
}

// The warden outlives us by design: its stdin is a pipe only we hold, so it sees end of file when
// we are gone, however we went, and then stops the server ("fast": sessions end, data is flushed).
// The signal is repeated, because a server ignores it in its first moments.
// A server that does not end within 30 s is stopped without the flush; recovery redoes the rest.
const SCRIPT = `
exec 3<&0
"$1" -D "$2" 3<&- </dev/null >&2 &
server=$!
echo "$server"
exec >&-
( while read -r line <&3; do :; done
  left=30
  while [ $left -gt 0 ] && kill -INT "$server"; do sleep 1; left=$((left - 1)); done
  [ $left -gt 0 ] || kill -QUIT "$server"
) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
`;

const KEPT_LINES = 40;

/** The environment of every PostgreSQL program: ours could hold PGDATA, PGPORT and the like. */
export const SERVER_ENV = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

export function spawnWarden(options: {
  readonly postgres: string;
  readonly dataDir: string;
  readonly account: Account | undefined;
  readonly onLine: (line: string) => void;
}): Warden {
  const { postgres, dataDir, account, onLine } = options;
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'strait-postgres-warden', postgres, dataDir], {
    ...account,
    cwd: '/',
    env: SERVER_ENV,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true, // its own session: Ctrl-C in the terminal is for us to handle, in our order
  });
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
    onLine(line);
  });
  child.stdin.on('error', () => {}); // the warden may end before us
  const pid = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    const reader = createInterface({ input: child.stdout });
    reader.once('line', (line) => resolve(Number(line)));
    reader.once('close', () => reject(new Error('the warden ended before the server started')));
  });
  pid.catch(() => {});
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => {
      const reason = signal ?? `exit code ${code}`;
      // Its last words may still be on the way; but a killed server's children can hold the pipe open.
      child.once('close', () => resolve(reason));
      setTimeout(() => resolve(reason), 100).unref();
    });
  });
  return { pid, ended, lastLines: () => lines, release: () => child.stdin.destroy() };
}
