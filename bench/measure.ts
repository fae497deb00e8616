// CPU, WAL and wall time of one measured stretch, taken in the child process that does the work.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import pg from 'pg';

export interface Figures {
  /** Jobs in the stretch. */
  readonly count: number;
  readonly wall_ms: number;
  /** Jobs per second. */
  readonly rate: number;
  /** User + system CPU of the product's process, µs per job. */
  readonly node_cpu_us: number;
  /** User + system CPU of all PostgreSQL processes, µs per job; null where it cannot be read. */
  readonly pg_cpu_us: number | null;
  readonly wal_bytes: number;
  /** Anything else the suite measured, named with its unit. */
  readonly extra?: Readonly<Record<string, number>>;
}

interface Sample {
  readonly at: number;
  readonly node: number;
  readonly pg: number | null;
  readonly wal: number;
}

export interface Stopwatch {
  /** Ends the stretch. `startedAt` (performance.now) may move its beginning later. */
  stop(count: number, startedAt?: number): Promise<Figures>;
}

export interface Meter {
  start(): Promise<Stopwatch>;
  analyze(): Promise<void>;
  /** Writes everything out, so that the stretch that follows starts with the same WAL work for all. */
  checkpoint(): Promise<void>;
  close(): Promise<void>;
}

/** @param postmaster pid of the PostgreSQL server, 0 when unknown (its CPU is then not measured) */
export async function openMeter(databaseUrl: string, postmaster: number): Promise<Meter> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'bench meter' });
  client.on('error', () => {});
  await client.connect();

  const sample = async (): Promise<Sample> => {
    const answer = await client.query<{ lsn: string }>('select pg_current_wal_insert_lsn() as lsn');
    const cpu = process.cpuUsage();
    const at = performance.now();
    return {
      at,
      node: cpu.user + cpu.system,
      pg: postmaster > 0 ? postgresCpu(postmaster) : null,
      wal: lsnToBytes(answer.rows[0]?.lsn ?? '0/0'),
    };
  };

  return {
    async start() {
      const from = await sample();
      return {
        async stop(count, startedAt) {
          // The end is now, not when the database has answered the WAL question.
          const endedAt = performance.now();
          const to = await sample();
          const wall_ms = endedAt - Math.max(from.at, startedAt ?? 0);
          return {
            count,
            wall_ms,
            rate: (count / wall_ms) * 1000,
            node_cpu_us: (to.node - from.node) / count,
            pg_cpu_us: to.pg === null || from.pg === null ? null : (to.pg - from.pg) / count,
            wal_bytes: (to.wal - from.wal) / count,
          };
        },
      };
    },
    async analyze() {
      await client.query('analyze');
    },
    async checkpoint() {
      await client.query('checkpoint');
    },
    close: () => client.end(),
  };
}

function lsnToBytes(lsn: string): number {
  const [high = '0', low = '0'] = lsn.split('/');
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16);
}

/**
 * CPU time (µs) used so far by the server and all its processes. On Linux processes that have
 * ended are included (the postmaster's cutime); on macOS, where `ps` is all there is, they are not.
 */
export function postgresCpu(postmaster: number): number {
  if (process.platform === 'linux') return linuxCpu(postmaster);
  const lines = execFileSync('ps', ['-ax', '-o', 'pid=,ppid=,time='], { encoding: 'utf8' });
  let total = 0;
  for (const line of lines.trim().split('\n')) {
    const [pid, parent, time] = line.trim().split(/\s+/);
    if (Number(pid) !== postmaster && Number(parent) !== postmaster) continue;
    total += (time ?? '0').split(':').reduce((sum, part) => sum * 60 + Number(part), 0) * 1e6;
  }
  return total;
}

/** USER_HZ: what /proc counts in. 100 on every Linux architecture Node runs on. */
const TICK_US = 10_000;

function linuxCpu(postmaster: number): number {
  // After the closing parenthesis of the name: utime, stime, cutime, cstime are fields 14 to 17.
  const own = statFields(postmaster);
  const ticks = (from: number, to: number) =>
    own.slice(from, to).reduce((sum, field) => sum + Number(field), 0);
  let total = ticks(11, 15) * TICK_US;
  const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
  for (const pid of children.trim().split(/\s+/)) if (pid) total += processCpu(Number(pid));
  return total;
}

function processCpu(pid: number): number {
  try {
    // Nanoseconds on a CPU; ticks of 10 ms would hide a backend that is busy for 5 ms at a time.
    const onCpu = Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]);
    if (onCpu > 0) return onCpu / 1000;
    const [user, system] = statFields(pid).slice(11, 13);
    return (Number(user) + Number(system)) * TICK_US;
  } catch {
    return 0; // ended between listing and reading: its time is in the postmaster's cutime now
  }
}

function statFields(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** The value below which `share` (0 to 1) of the values lie; NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)] ?? Number.NaN;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}
