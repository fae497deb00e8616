import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import type { Binaries } from './binaries.ts';
import { syncCluster, unusable, writeSettings } from './cluster.ts';
import { LocalPostgresError } from './error.ts';
import { readPrivateFile } from './files.ts';
import type { Home } from './home.ts';
import { adminUrl, ensureLogin, ordinaryUrl, type Credentials } from './login.ts';
import { choosePort } from './port.ts';
import { endServer, stopLeftover } from './recover.ts';
import { isRunning, signal } from './processes.ts';
import { spawnWarden, type Warden } from './warden.ts';

export interface ServerOptions {
  readonly home: Home;
  readonly binaries: Binaries;
  readonly port: number | undefined;
  readonly settings: Readonly<Record<string, string>>;
  readonly log: (line: string) => void;
  readonly restart: boolean;
}

const POLL_MS = 10;
/** Crash recovery replays up to max_wal_size, tens of seconds on a slow disk. */
const READY_TIMEOUT_MS = 120_000;
/** How long children of a killed postmaster may take to notice and go. */
const LEFTOVER_TIMEOUT_MS = 30_000;
const LONGEST_BACK_OFF_MS = 10_000;
/** After this long without a crash, the next one is met without delay again. */
const STABLE_MS = 60_000;

type Attempt = 'ready' | 'leftover' | 'port_taken';

export class LocalServer {
  readonly #options: ServerOptions;
  readonly #stopping = new AbortController();
  readonly #listeners: (() => void)[] = [];
  #port = 0;
  #pid: number | undefined;
  #warden: Warden | undefined;
  #detail: string | undefined = 'not started';
  #failures = 0;
  #readyAt = 0;
  #restarting: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  get port(): number {
    return this.#port;
  }

  get dataDir(): string {
    return this.#options.home.dataDir;
  }

  get url(): string {
    return ordinaryUrl(this.#credentials());
  }

  get adminUrl(): string {
    return adminUrl(this.#credentials());
  }

  readonly pid = (): number | undefined => this.#pid;

  onRestart(listener: () => void): void {
    this.#listeners.push(listener);
  }

  health(): { status: 'up' | 'down'; detail?: string } {
    return this.#detail === undefined ? { status: 'up' } : { status: 'down', detail: this.#detail };
  }

  /** Starts for the first time. `isNew`: the cluster was made a moment ago, without syncing it. */
  async start(isNew: boolean): Promise<void> {
    const { home, port } = this.#options;
    this.#port = port ?? (await choosePort(home.state().port));
    try {
      for (let tries = 0; (await this.#launch(isNew)) === 'port_taken'; tries++) {
        if (port !== undefined || tries === 5) {
          throw new LocalPostgresError(
            'start_failed',
            `Port ${this.#port} is in use by another program. Choose another port.`,
          );
        }
        this.#port = await choosePort(undefined);
      }
    } catch (error) {
      await this.#end('immediate');
      throw error;
    }
    if (home.state().port !== this.#port) home.update({ port: this.#port });
    if (!home.state().synced) this.#syncing = this.#sync();
  }

  stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    if (this.#stopped && mode === 'immediate' && this.#pid !== undefined) {
      signal(this.#pid, 'SIGQUIT');
    }
    this.#stopped ??= this.#stop(mode);
    return this.#stopped;
  }

  async #stop(mode: 'fast' | 'immediate'): Promise<void> {
    this.#detail = 'stopped';
    this.#stopping.abort();
    await this.#restarting;
    await Promise.all([this.#end(mode), this.#syncing]);
    this.#options.home.lock.release();
  }

  async #end(mode: 'fast' | 'immediate'): Promise<void> {
    const warden = this.#warden;
    if (!warden) return;
    const pid = await warden.pid.catch(() => undefined);
    if (pid !== undefined && isRunning(pid)) await endServer(pid, mode);
    warden.release();
    await warden.ended;
    this.#pid = undefined;
    this.#warden = undefined;
  }

  /** One start, repeated while something of the server before it is still going away. */
  async #launch(isNew: boolean): Promise<'ready' | 'port_taken'> {
    const { home, log } = this.#options;
    const deadline = Date.now() + LEFTOVER_TIMEOUT_MS;
    for (;;) {
      await stopLeftover(home.dataDir, log);
      const outcome = await this.#attempt(isNew);
      if (outcome !== 'leftover') return outcome;
      if (Date.now() > deadline) {
        throw new LocalPostgresError(
          'start_failed',
          `Processes of an earlier PostgreSQL still use ${home.dataDir}:\n${this.#lastLines()}`,
        );
      }
      await sleep(50);
    }
  }

  async #attempt(isNew: boolean): Promise<Attempt> {
    const { home, binaries, settings, log } = this.#options;
    writeSettings(home.dataDir, home.account, { ...settings, port: String(this.#port) });
    const warden = spawnWarden({
      postgres: binaries.postgres,
      dataDir: home.dataDir,
      account: home.account,
      onLine: log,
    });
    this.#warden = warden;
    let reason: string | undefined;
    const ended = warden.ended.then((why) => {
      reason = why;
      if (this.#warden === warden && this.#detail === undefined) this.#onCrash(why);
    });
    const pid = await warden.pid.catch(() => undefined);
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (reason === undefined && !this.#isReady(pid)) {
      this.#stopping.signal.throwIfAborted();
      if (Date.now() > deadline) {
        throw new LocalPostgresError('start_failed', `Not ready in time:\n${this.#lastLines()}`);
      }
      await Promise.race([sleep(POLL_MS), ended]);
    }
    if (reason !== undefined) return this.#explain(reason);
    await ensureLogin(this.#credentials(), isNew);
    this.#stopping.signal.throwIfAborted();
    if (reason !== undefined) return this.#explain(reason);
    this.#pid = pid;
    this.#readyAt = Date.now();
    this.#detail = undefined;
    return 'ready';
  }

  #explain(reason: string): Attempt {
    const output = this.#lastLines();
    if (/shared memory block .* is still in use|lock file "postmaster.pid" already/.test(output)) {
      return 'leftover';
    }
    if (output.includes('could not create any TCP/IP sockets')) return 'port_taken';
    throw unusable({ code: Number(/\d+$/.exec(reason)?.[0]), output }, 'PostgreSQL ended');
  }

  /** The server's own word in postmaster.pid: only it can say that this port is answered by us. */
  #isReady(pid: number | undefined): boolean {
    const lines = readPrivateFile(join(this.dataDir, 'postmaster.pid'))?.split('\n');
    return lines !== undefined && Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
  }

  #onCrash(reason: string): void {
    this.#pid = undefined;
    this.#detail = `PostgreSQL ended unexpectedly (${reason})`;
    this.#options.log(this.#detail);
    this.#warden?.release();
    if (this.#options.restart) this.#restarting = this.#startAgain();
  }

  async #startAgain(): Promise<void> {
    const { signal: stopping } = this.#stopping;
    if (Date.now() - this.#readyAt > STABLE_MS) this.#failures = 0;
    while (!stopping.aborted) {
      const delay =
        this.#failures === 0 ? 0 : Math.min(100 * 2 ** this.#failures, LONGEST_BACK_OFF_MS);
      this.#failures++;
      try {
        await sleep(delay, undefined, { signal: stopping });
        if ((await this.#launch(false)) === 'ready') break;
        throw new LocalPostgresError('start_failed', `Port ${this.#port} is in use now`);
      } catch (error) {
        if (stopping.aborted) return;
        this.#detail = error instanceof Error ? error.message : String(error);
        this.#options.log(`PostgreSQL could not be started again: ${this.#detail}`);
        await this.#end('immediate').catch(() => {});
      }
    }
    if (stopping.aborted) return;
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#options.log(`A listener for restarts failed: ${String(error)}`);
      }
    }
  }

  async #sync(): Promise<void> {
    const { home, binaries, log } = this.#options;
    try {
      if (await syncCluster(binaries, home.dataDir, home.account)) home.update({ synced: true });
      else log('The new database files could not be synced to disk; the next start tries again');
    } catch (error) {
      log(`The home could not be updated: ${String(error)}`); // somebody removed it under us
    }
  }

  #lastLines(): string {
    return this.#warden?.lastLines().join('\n') ?? '';
  }

  #credentials(): Credentials {
    return { ...this.#options.home.state(), port: this.#port };
  }
}
