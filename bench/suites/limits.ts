// What limits and many tenants cost: each case is a run's whole life, so that nothing hides in the half that is not measured.
import type { Figures } from '../measure.ts';
import type { LimitSettings } from '../product.ts';
import { probeOf } from './strait-only.ts';
import { type Context, drainNoop, enqueueAll, type Suite, warmUp } from './suite.ts';

const NONE: LimitSettings = { job: null, per_key: null, keys: 0, project: null };
const FREE = 1_000_000;
/** A handler that is over at once needs little room to be held up by it. */
const SATURATED = 50;
const WARM_UP = 500;

/** Enqueues and drains; PostgreSQL CPU of both together, per run. */
async function live(
  context: Context,
  session: Parameters<typeof drainNoop>[1],
  count: number,
  concurrency?: number,
): Promise<Figures> {
  const watch = await context.meter.start();
  await enqueueAll(session, count);
  const enqueue = await watch.stop(count);
  const drain = await drainNoop(context, session, count, concurrency);
  return {
    ...drain,
    node_cpu_us: enqueue.node_cpu_us + drain.node_cpu_us,
    pg_cpu_us:
      enqueue.pg_cpu_us === null || drain.pg_cpu_us === null
        ? null
        : enqueue.pg_cpu_us + drain.pg_cpu_us,
    wal_bytes: enqueue.wal_bytes + drain.wal_bytes,
  };
}

/**
 * What each kind of limit adds while it lets everything through, and while it holds almost everything back. The latter is
 * compared with a worker that may do no more at a time than the limit allows: small batches cost more with and without limits.
 */
export const limitCost: Suite = {
  name: 'limits',
  compares: false,
  repeats: true,
  async run(context) {
    const { product, place, meter, sizes } = context;
    const session = await product.open(place, 'drain-noop');
    const probe = probeOf(session);
    await warmUp(context, session, 'noop');
    const cases: Record<string, Figures> = {};
    const settings: readonly (readonly [string, LimitSettings, number?])[] = [
      ['limit none', NONE],
      ['limit job, free', { ...NONE, job: FREE }],
      // A key alone costs something: job_runs has an index of its own for runs with one.
      ['limit none, keys', { ...NONE, keys: 200 }],
      ['limit key, free', { ...NONE, per_key: FREE, keys: 200 }],
      ['limit project, free', { ...NONE, project: FREE }],
      ['limit none, 50 at a time', NONE, SATURATED],
      ['limit job, saturated', { ...NONE, job: SATURATED }],
      ['limit none, keys, 50 at a time', { ...NONE, keys: SATURATED }, SATURATED],
      ['limit key, saturated', { ...NONE, per_key: 1, keys: SATURATED }],
      ['limit project, saturated', { ...NONE, project: SATURATED }],
    ];
    // Each once, small: plans and lanes belong to no case.
    for (const [, limits] of settings) {
      await probe.limit(limits);
      await live(context, session, WARM_UP);
    }
    for (const [name, limits, concurrency] of settings) {
      await probe.limit(limits);
      await meter.analyze();
      cases[name] = await live(context, session, sizes.limits, concurrency);
    }
    await session.close();
    return cases;
  },
};

/** As many runs of one project, and of as many projects as there are runs. */
export const tenants: Suite = {
  name: 'tenants',
  compares: false,
  repeats: true,
  async run(context) {
    const { product, place, meter, sizes } = context;
    const session = await product.open(place, 'drain-noop');
    const probe = probeOf(session);
    await warmUp(context, session, 'noop');
    const cases: Record<string, Figures> = {};
    for (const [name, projects] of [
      ['one project', 1],
      ['a project per run', sizes.tenants],
    ] as const) {
      await probe.spread(projects);
      await enqueueAll(session, sizes.tenants);
      await meter.analyze();
      cases[name] = await drainNoop(context, session, sizes.tenants);
    }
    await session.close();
    return cases;
  },
};
