// Strait as it runs in production: its own pools, listener, engine services and settings. Only the handler of
// no-op jobs is ours: it completes through the same settling that the dispatcher uses.
import path from 'node:path';
import { createEngine } from '../../apps/server/src/app/engine.ts';
import { readConfig, type Config } from '../../apps/server/src/app/config.ts';
import { createModules } from '../../apps/server/src/app/modules.ts';
import { createSettling, createWorker } from '../../apps/server/src/modules/executor/index.ts';
import type { Queue } from '../../apps/server/src/modules/queue/index.ts';
import { systemClock } from '../../apps/server/src/platform/clock.ts';
import {
  createDatabase,
  isDatabaseUnavailable,
} from '../../apps/server/src/platform/db/database.ts';
import { createListener } from '../../apps/server/src/platform/db/listen.ts';
import { migrate } from '../../apps/server/src/platform/db/migrate.ts';
import { createLog } from '../../apps/server/src/platform/telemetry/log.ts';
import { createLoopMetrics } from '../../apps/server/src/platform/services/loop-metrics.ts';
import { createMetrics } from '../../apps/server/src/platform/telemetry/metrics.ts';
import { payloadOf, type Payload, type Product, type Purpose, type Task } from '../product.ts';
import { JOB, PROJECT, setUp, spreadName, straitProbe, unfinished } from './strait-tables.ts';

const MIGRATIONS = path.join(import.meta.dirname, '../../apps/server/migrations');

/** What an operator would set for such work; everything else is as shipped. See README. */
const SETTINGS: Readonly<Record<Purpose, Readonly<Record<string, string>>>> = {
  'drain-noop': { WORKER_CONCURRENCY: '2000', MAX_DEQUEUE_BATCH_SIZE: '500' },
  'drain-http': { WORKER_CONCURRENCY: '200', ENDPOINT_MAX_CONNECTIONS: '64' },
  latency: {},
  enqueue: {},
};

const log = createLog({ level: 'warn', format: 'json' });

const configOf = (database_url: string, purpose: Purpose): Config =>
  readConfig(
    {
      DATABASE_URL: database_url,
      INTERNAL_SECRET: 'bench-internal-secret-of-some-length',
      JWT_SIGNING_KEY: 'bench-signing-key-of-sufficient-length',
      ALLOW_PRIVATE_ENDPOINTS: 'true',
      ...SETTINGS[purpose],
    },
    [],
  );

export const product: Product = {
  name: 'strait',

  async install({ database_url, target_url }) {
    await migrate(database_url, { directory: MIGRATIONS });
    const db = createDatabase({ url: database_url, application_name: 'bench', max: 1 });
    await setUp(db, target_url);
    await db.close();
  },

  async open({ database_url, target_url }, purpose) {
    const config = configOf(database_url, purpose);
    const url = database_url;
    // The split of connections that compose.ts makes.
    const hotConnections = Math.max(2, Math.floor((config.database.max_connections - 1) / 3));
    const limits = {
      url,
      statement_timeout_ms: config.database.statement_timeout_ms,
      lock_timeout_ms: config.database.lock_timeout_ms,
      idle_in_transaction_timeout_ms: config.database.idle_in_transaction_timeout_ms,
    };
    const hot = createDatabase({
      ...limits,
      application_name: 'strait-hot',
      settings: 'hot',
      max: hotConnections,
    });
    const db = createDatabase({
      ...limits,
      application_name: 'strait',
      max: config.database.max_connections - 1 - hotConnections,
    });
    /** Modules as the product makes them; every worker gets its own, as each process has. */
    const assemble = () => {
      const listener = createListener({ url, application_name: 'strait-listen' });
      const metrics = createMetrics();
      const loopMetrics = createLoopMetrics(metrics);
      const modules = createModules({ config, db, hot, beats: hot, listener, log, loopMetrics });
      return { listener, metrics, modules };
    };
    const { queue } = assemble().modules;
    await setUp(db, target_url);

    let keys = 0;
    let projects = 1;
    const newRun = (n: number) => ({
      job_id: projects === 1 ? JOB : spreadName(n % projects),
      project_id: projects === 1 ? PROJECT : spreadName(n % projects),
      payload: JSON.stringify(payloadOf(n)),
      priority: 0,
      extra: keys === 0 ? undefined : { concurrency_key: `key ${n % keys}` },
    });
    return {
      async enqueue(n) {
        const { outcome } = await queue.enqueue(newRun(n));
        if (outcome !== 'created') throw new Error(`run ${n} was ${outcome}`);
      },

      async enqueueBulk(from, count) {
        const runs = Array.from({ length: count }, (_, at) => newRun(from + at));
        const answers = await queue.enqueueMany(runs);
        if (answers.some(({ outcome }) => outcome !== 'created'))
          throw new Error('a run was not created');
      },

      async work(task) {
        const { listener, metrics, modules } = assemble();
        await listener.start();
        const { services, worker } = createEngine({
          ...modules.engineNeeds,
          config,
          db,
          hot,
          listener,
          log,
          metrics,
        });
        const working =
          task.kind === 'http'
            ? worker
            : noopWorker({ config, queue: modules.queue, listener }, task);
        const used = [...services, working];
        for (const service of used) await service.start();
        return {
          async stop() {
            for (const service of used.toReversed())
              await service.stop(AbortSignal.timeout(10_000));
            await listener.stop();
          },
        };
      },

      hasUnfinished: () => unfinished(db),

      async close() {
        await queue.drain();
        await hot.close();
        await db.close();
      },

      probe: straitProbe({
        queue,
        db,
        onKeys: (count) => {
          keys = count;
        },
        onProjects: (count) => {
          projects = count;
        },
      }),
    };
  },
};

/** The worker of engine.ts with a handler that is over at once. */
function noopWorker(
  {
    config,
    queue,
    listener,
  }: { config: Config; queue: Queue; listener: ReturnType<typeof createListener> },
  { onStart, concurrency = config.worker.concurrency }: Extract<Task, { kind: 'noop' }>,
) {
  const settings = { ...config.worker, concurrency };
  const onError = (error: unknown, what: string) => console.error(`strait: ${what}:`, error);
  const settling = createSettling({
    queue,
    max: settings.finish_batch,
    parallel: settings.finish_in_flight,
    pause_ms: settings.finish_wait_ms,
    early: settings.finish_early,
    isUnavailable: isDatabaseUnavailable,
    onError,
  });
  return createWorker({
    queue,
    listener,
    settling,
    settings,
    onError,
    clock: systemClock,
    async execute(run, control) {
      onStart((JSON.parse(run.payload ?? '{}') as Payload).n);
      control.finishing();
      await settling.complete({
        id: run.id,
        created_at: run.created_at,
        claim_seq: run.claim_seq,
        started_at: run.claimed_at,
        event: { duration_ms: 0 },
      });
    },
  });
}
