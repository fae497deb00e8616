// A small Strait of several real processes on one database, with a key to talk to it. Cleaned up with the test.
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startLocalPostgres, type LocalPostgres } from '@strait/local-postgres';
import { createDatabase, type Database } from '../../src/platform/db/database.ts';
import type { DevFile } from '../../src/app/home.ts';
import { testDatabase } from '../database.ts';
import { until } from '../until.ts';
import { startEndpoint, type Answer, type Dispatch, type Endpoint } from './endpoint.ts';
import { launch, type Launch, type Mode, type ProductProcess } from './processes.ts';

/** `npm run test:crash`: the numbers the product promises. Otherwise a short form of each scenario. */
export const full = process.env['STRAIT_SCENARIOS'] === 'full';

/** Prints what a scenario measured, so that a run leaves figures behind. */
export const report = (figures: Readonly<Record<string, unknown>>): void =>
  console.log(`figures ${JSON.stringify({ form: full ? 'full' : 'short', ...figures })}`);

export interface Reply<Body> {
  readonly status: number;
  readonly body: Body;
}

export interface Cluster {
  /** For assertions: sees every project. */
  readonly db: Database;
  /** Starts a process and waits until it is ready. `version`: folder of another `apps/server`. */
  start(
    mode: Mode,
    env?: Readonly<Record<string, string>>,
    version?: string,
  ): Promise<ProductProcess>;
  /** Calls the API of one process with the project's key. Rejects only when no answer came. */
  call<Body>(
    process: ProductProcess,
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Reply<Body>>;
  /** An endpoint that lives as long as the cluster. */
  endpoint(answer?: (dispatch: Dispatch) => Answer): Promise<Endpoint>;
  /** A job that calls `endpoint`; its id. */
  job(
    process: ProductProcess,
    endpoint: Endpoint,
    settings?: Readonly<Record<string, unknown>>,
  ): Promise<string>;
  /** The postmaster of the cluster's own server. */
  postmaster(): number;
  /** Takes the `own` server away for this long. */
  outage(ms: number): Promise<void>;
  rows<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

export interface ClusterOptions {
  /**
   * `own`: a durable server of this test. `embedded`: the durable one that the first process (`mode: all`, started
   * here) brings along. `shared`: a database on the runner's server, which is not durable, for tests that never crash it.
   */
  readonly database: 'own' | 'embedded' | 'shared';
  /** Settings of every process, over the fast leases that scenarios use. */
  readonly env?: Readonly<Record<string, string>>;
}

const SECRETS = {
  INTERNAL_SECRET: 'i'.repeat(48),
  JWT_SIGNING_KEY: 'j'.repeat(48),
  ENCRYPTION_KEY: 'e'.repeat(64),
};
const PROJECT = 'default';
const SETTINGS: Readonly<Record<string, string>> = {
  ...SECRETS,
  HOST: '127.0.0.1',
  PORT: '0',
  LOG_LEVEL: 'info',
  STRAIT_DEMO: '0',
  ALLOW_PRIVATE_ENDPOINTS: 'true',
  HEARTBEAT_INTERVAL: '200ms',
  WORKER_LEASE: '1500ms',
  STALE_THRESHOLD: '1500ms',
  POLLER_INTERVAL: '200ms',
  RATE_LIMIT_REQUESTS: '0',
};

/** A test, or a suite: `{ after }`. */
export interface Owner {
  after(cleanup: () => Promise<void>): void;
}

/** Everything it starts ends with its owner, also when that fails or times out. */
export async function startCluster(owner: Owner, options: ClusterOptions): Promise<Cluster> {
  const cleanups: (() => unknown)[] = [];
  const defer = (cleanup: () => unknown): void => void cleanups.push(cleanup);
  const stop = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const cleanup of cleanups.splice(0).toReversed()) {
      try {
        await cleanup();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'the cluster was not cleaned up');
  };
  owner.after(stop);
  const home = mkdtempSync(path.join(tmpdir(), 'strait-scenario-'));
  chmodSync(home, 0o755);
  defer(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));

  const processes = new Set<ProductProcess>();
  const launched = async (input: Launch): Promise<ProductProcess> => {
    const started = await launch(input);
    processes.add(started);
    void started.exited.then(() => processes.delete(started));
    return started;
  };

  let server: LocalPostgres | undefined;
  let first: ProductProcess | undefined;
  let key: string | undefined;
  let url: string;
  if (options.database === 'own') {
    server = await startLocalPostgres({ home: path.join(home, 'postgres') });
    defer(() => server?.stop('immediate'));
    url = server.url;
  } else if (options.database === 'shared') {
    const database = await testDatabase();
    defer(database.drop);
    url = database.url;
  } else {
    first = await launched({
      mode: 'all',
      env: { ...SETTINGS, ...options.env, LOG_LEVEL: 'debug', STRAIT_HOME: home },
      findUrl: (pid) => devFile(home, pid)?.base_url,
    });
    const { database_url, api_key } = devFile(home, first.pid) as DevFile;
    url = database_url;
    key = api_key;
  }
  const db = createDatabase({ url, application_name: 'strait-scenario', max: 4 });
  defer(() => db.close());
  const postmaster = (): number => {
    const folder = path.join(home, 'postgres');
    const state = readFileSync(path.join(folder, 'local-postgres.json'), 'utf8');
    const { data_dir } = JSON.parse(state) as { data_dir: string };
    const lines = readFileSync(path.resolve(folder, data_dir, 'postmaster.pid'), 'utf8').split(
      '\n',
    );
    if (!(Number(lines[0]) > 1)) throw new Error('no postmaster runs');
    return Number(lines[0]);
  };
  if (options.database === 'embedded') {
    // Its server ends itself a moment after the process; until then it still writes into the home.
    defer(() => until('the embedded server to end', () => throws(postmaster)));
  }
  defer(async () => {
    await Promise.all(
      [...processes].map(async (each) => {
        each.signal('SIGCONT');
        await each.kill();
      }),
    );
  });

  const call = async <Body>(
    target: ProductProcess,
    method: string,
    where: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reply<Body>> => {
    const credential =
      key === undefined
        ? { 'x-internal-secret': SECRETS.INTERNAL_SECRET }
        : { authorization: `Bearer ${key}` };
    const response = await fetch(target.url + where, {
      method,
      headers: {
        ...credential,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as Body };
  };
  const expect201 = <Body>({ status, body }: Reply<Body>): Body => {
    if (status !== 201) throw new Error(`expected 201, got ${status}: ${JSON.stringify(body)}`);
    return body;
  };

  return {
    db,
    call,
    async start(mode, env = {}, version) {
      if (first && mode === 'all' && Object.keys(env).length === 0 && version === undefined)
        return first;
      return launched({
        mode,
        server: version,
        env: { ...SETTINGS, ...options.env, ...env, DATABASE_URL: url, STRAIT_HOME: home },
      });
    },
    async endpoint(answer) {
      const endpoint = await startEndpoint(answer);
      // Before the processes end: they would wait for replies.
      defer(() => endpoint.close());
      return endpoint;
    },
    async job(target, endpoint, settings = {}) {
      if (key === undefined) {
        const made = await call<{ key: string }>(target, 'POST', '/v1/api-keys', {
          project_id: PROJECT,
          name: 'scenario',
          scopes: ['*'],
        });
        key = expect201(made).key;
      }
      const name = `job-${Math.random().toString(36).slice(2, 10)}`;
      const made = await call<{ id: string }>(target, 'POST', '/v1/jobs', {
        name,
        slug: name,
        endpoint_url: endpoint.url,
        ...settings,
      });
      return expect201(made).id;
    },
    postmaster,
    async outage(ms) {
      await server?.stop('fast');
      await sleep(ms);
      // The same port and passwords: the home remembers them.
      server = await startLocalPostgres({ home: path.join(home, 'postgres') });
    },
    rows: async <Row>(text: string, values: readonly unknown[] = []) =>
      (await db.query({ text, values })).rows as Row[],
  };
}

function throws(read: () => unknown): boolean {
  try {
    read();
    return false;
  } catch {
    return true;
  }
}

/** What an embedded process wrote down once it was ready. */
function devFile(home: string, pid: number): DevFile | undefined {
  try {
    const file = JSON.parse(readFileSync(path.join(home, 'dev.json'), 'utf8')) as DevFile;
    return file.pid === pid ? file : undefined;
  } catch {
    return undefined;
  }
}

/** Leases that this process holds right now. */
export async function leasesOf(cluster: Cluster, { pid }: ProductProcess): Promise<number> {
  const [row] = await cluster.rows<{ count: number }>(
    'select count(*) from run_active a join workers w on w.id = a.worker_id where w.pid = $1',
    [pid],
  );
  return Number(row?.count);
}

export const untilLeases = (
  cluster: Cluster,
  holder: ProductProcess,
  atLeast: number,
): Promise<number> =>
  until(
    `${atLeast} leases of process ${holder.pid}`,
    async () => {
      const count = await leasesOf(cluster, holder);
      return count >= atLeast && count;
    },
    { deadline_ms: 30_000, every_ms: 10 },
  );
