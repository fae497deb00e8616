// pg-boss with batches of 1000, its own bursting worker and no maintenance in between. NOTIFY only
// where it pays (latency): it costs its enqueue more than half. Finished jobs are kept, as by default.
import pg from 'pg';
import { PgBoss, type Job } from 'pg-boss';
import { payloadOf, type Payload, type Product, type Purpose } from '../product.ts';
import { openPoster } from '../post.ts';

/** Chosen by trying neighbours on two cores; see README. */
const SETTINGS = {
  'drain-noop': { batchSize: 1000, localConcurrency: 2 },
  'drain-http': { batchSize: 1000, localConcurrency: 2 },
  latency: { batchSize: 10, localConcurrency: 2 },
  enqueue: { batchSize: 1000, localConcurrency: 1 },
} satisfies Record<Purpose, object>;

const QUIET = 'bench';
const NOTIFYING = 'bench-notify';

const bossAt = (connectionString: string, useListenNotify: boolean) => {
  const boss = new PgBoss({
    connectionString,
    max: 16,
    supervise: false,
    schedule: false,
    useListenNotify,
  });
  boss.on('error', (error) => console.error(`pg-boss: ${error.message}`));
  return boss;
};

export const product: Product = {
  name: 'pg-boss',

  async install({ database_url }) {
    const boss = bossAt(database_url, false);
    await boss.start();
    await boss.createQueue(QUIET);
    await boss.createQueue(NOTIFYING, { notify: true });
    await boss.stop({ graceful: false });
  },

  async open({ database_url }, purpose) {
    const boss = bossAt(database_url, purpose === 'latency');
    const queue = purpose === 'latency' ? NOTIFYING : QUIET;
    await boss.start();
    const pool = new pg.Pool({ connectionString: database_url, max: 1 });
    pool.on('error', () => {});

    return {
      async enqueue(n) {
        await boss.send(queue, payloadOf(n));
      },

      async enqueueBulk(from, count) {
        await boss.insert(
          queue,
          Array.from({ length: count }, (_, at) => ({ data: payloadOf(from + at) })),
        );
      },

      async work(task) {
        const poster = task.kind === 'http' ? openPoster(task.url, task.connections) : undefined;
        const handle = async (jobs: Job<Payload>[]) => {
          if (task.kind === 'noop') for (const job of jobs) task.onStart(job.data.n);
          else await Promise.all(jobs.map((job) => poster?.post(job.data) ?? Promise.resolve()));
        };
        await boss.work<Payload>(
          queue,
          { ...SETTINGS[purpose], pollingIntervalSeconds: 0.5, burstWhenBatchFull: true },
          handle,
        );
        return {
          async stop() {
            await boss.offWork(queue, { wait: true });
            await poster?.close();
          },
        };
      },

      async hasUnfinished() {
        const answer = await pool.query(
          `select exists (select from pgboss.job where name = $1 and state < 'completed') as some`,
          [queue],
        );
        return (answer.rows[0] as { some: boolean }).some;
      },

      async close() {
        await boss.stop({ graceful: false });
        await pool.end();
      },
    };
  },
};
