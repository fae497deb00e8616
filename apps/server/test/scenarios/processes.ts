// The product as real processes: started, read from, signalled, and gone when the test is, whatever happens.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { until } from '../until.ts';

export type Mode = 'all' | 'api' | 'worker';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProductProcess {
  readonly pid: number;
  readonly mode: Mode;
  /** Where it listens. */
  readonly url: string;
  /** From spawn to ready. */
  readonly took_ms: number;
  /** The end of what it printed. */
  log(): string;
  running(): boolean;
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<Exit>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

export interface Launch {
  readonly mode: Mode;
  readonly env: Readonly<Record<string, string>>;
  /** Folder of `apps/server` to run; another one for a newer version. */
  readonly server?: string | undefined;
  /** Asked until it names where the process listens; default: the log line of a process that is ready. */
  readonly findUrl?: ((pid: number, log: string) => string | undefined) | undefined;
}

export const SERVER = path.join(import.meta.dirname, '../..');
const READY_MS = 30_000;
const KEPT_LOG = 200_000;
// A test that is killed cannot tidy up: the process ends with the pipe that its standard input is.
const LEASH = `data:text/javascript,process.stdin.on('end',()=>process.exit(9)).on('error',()=>process.exit(9)).resume().unref()`;

/** Resolves when it is ready; rejects with its log when it ends before. */
export async function launch({
  mode,
  env,
  server = SERVER,
  findUrl = urlInLog,
}: Launch): Promise<ProductProcess> {
  const began = performance.now();
  const main = path.join(server, 'src/app/main.ts');
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--import', LEASH, main, '--mode', mode],
    {
      cwd: server,
      env: {
        PATH: process.env['PATH'],
        TMPDIR: process.env['TMPDIR'],
        NODE_COMPILE_CACHE: path.join(SERVER, '../../node_modules/.cache/node-compile'),
        ...env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  let log = '';
  let exit: Exit | undefined;
  const collect = (chunk: Buffer): void => {
    log = (log + chunk.toString()).slice(-KEPT_LOG);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  child.stdin.on('error', () => {});
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve((exit = { code, signal })));
  });
  const pid = child.pid ?? 0;
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  try {
    const url = await until(
      `a process in mode ${mode} to be ready`,
      () => {
        if (exit)
          throw new Error(
            `mode ${mode} ended with ${JSON.stringify(exit)} before it was ready:\n${log}`,
          );
        return findUrl(pid, log);
      },
      { deadline_ms: READY_MS },
    );
    const took_ms = Math.round(performance.now() - began);
    return {
      pid,
      mode,
      url,
      took_ms,
      exited,
      kill,
      log: () => log,
      running: () => exit === undefined,
      signal: (signal) => void child.kill(signal),
    };
  } catch (error) {
    await kill();
    throw error;
  }
}

/** The line every process logs once it is ready. */
function urlInLog(_pid: number, log: string): string | undefined {
  return /strait is ready.*\burl=(http:\/\/\S+)/.exec(log)?.[1];
}
