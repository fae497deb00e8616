// graphile-worker with the settings its performance page recommends (localQueue, batched
// completion) and the sizes that were fastest here; it deletes finished jobs, which we leave as is.
import { Logger, makeWorkerUtils, run, runMigrations, type TaskList } from 'graphile-worker';
import pg from 'pg';
import { payloadOf, type Payload, type Product, type Purpose } from '../product.ts';
import { openPoster } from '../post.ts';

const silent = new Logger(() => () => {});

/** Chosen by trying neighbours on two cores; see README. */
const SETTINGS = {
  'drain-noop': { concurrentJobs: 24, localQueue: { size: 2000 }, completeJobBatchDelay: 5 },
  'drain-http': { concurrentJobs: 96, localQueue: { size: 500 }, completeJobBatchDelay: 5 },
  latency: { concurrentJobs: 24, localQueue: { size: 500 }, completeJobBatchDelay: 0 },
  enqueue: { concurrentJobs: 1 },
} satisfies Record<Purpose, object>;

export const product: Product = {
  name: 'graphile-worker',

  async install({ database_url }) {
    await runMigrations({
      logger: silent,
      preset: { worker: { connectionString: database_url } },
    });
  },

  async open({ database_url }, purpose) {
    const pool = new pg.Pool({ connectionString: database_url, max: 16 });
    pool.on('error', () => {});
    pool.on('connect', (client) => client.on('error', () => {}));
    const utils = await makeWorkerUtils({ pgPool: pool, logger: silent });

    return {
      async enqueue(n) {
        await utils.addJob('bench', payloadOf(n));
      },

      async enqueueBulk(from, count) {
        await utils.addJobs(
          Array.from({ length: count }, (_, at) => ({
            identifier: 'bench',
            payload: payloadOf(from + at),
          })),
        );
      },

      async work(task) {
        const poster = task.kind === 'http' ? openPoster(task.url, task.connections) : undefined;
        const taskList: TaskList =
          task.kind === 'noop'
            ? { bench: (payload) => task.onStart((payload as Payload).n) }
            : { bench: (payload) => poster?.post(payload as Payload) };
        const runner = await run({
          taskList,
          pgPool: pool,
          noHandleSignals: true,
          parsedCronItems: [],
          preset: { worker: { ...SETTINGS[purpose], pollInterval: 1000, logger: silent } },
        });
        return {
          async stop() {
            await runner.stop();
            await poster?.close();
          },
        };
      },

      async hasUnfinished() {
        const answer = await pool.query(
          'select exists (select from graphile_worker._private_jobs) as some',
        );
        return (answer.rows[0] as { some: boolean }).some;
      },

      async close() {
        await utils.release();
        await pool.end();
      },
    };
  },
};
