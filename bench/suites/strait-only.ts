// Suites that look inside Strait's queue: what a claim costs behind a backlog, how a database
// without statistics does, and how far `job_runs.status` lags the lease.
import { median, quantile } from '../measure.ts';
import type { QueueProbe, Session } from '../product.ts';
import {
  CONNECTIONS,
  drainNoop,
  enqueueAll,
  pause,
  type Suite,
  untilFinished,
  warmUp,
} from './suite.ts';

export const probeOf = (session: Session): QueueProbe => {
  if (session.probe === undefined) throw new Error('this product cannot be looked into');
  return session.probe;
};

/** Claims timed per batch size, after the first few, which prepare the statement. */
const CLAIMS = 100;
const UNTIMED = 10;

async function claimMedian(probe: QueueProbe, batch: number): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < UNTIMED + CLAIMS; at += 1) {
    const from = performance.now();
    const claimed = await probe.claim(batch);
    if (at >= UNTIMED) times.push(performance.now() - from);
    if (claimed !== batch) throw new Error(`a claim of ${batch} got ${claimed}`);
  }
  return median(times);
}

export const claimCost: Suite = {
  name: 'claim-cost',
  compares: false,
  repeats: false,
  async run({ product, place, meter, sizes }) {
    const session = await product.open(place, 'drain-noop');
    const probe = probeOf(session);
    const measure = async () => {
      const one_ms = await claimMedian(probe, 1);
      const hundred_ms = await claimMedian(probe, 100);
      return { one_ms, hundred_ms };
    };
    const perState = UNTIMED + CLAIMS;
    // Half as much again as is claimed: a claim goes round the projects and comes back short when one of them runs dry.
    const little = { ready: perState * 101 * 3, finished: 0, delayed: 0, blocked: 0 };
    await probe.fill(little);
    await meter.analyze();
    await measure(); // connections and plans
    const emptyWatch = await meter.start();
    const empty = await measure();
    const emptyFigures = await emptyWatch.stop(perState * 101);

    await probe.fill(sizes.backlog);
    await meter.analyze();
    await meter.checkpoint();
    const fullWatch = await meter.start();
    const full = await measure();
    const fullFigures = await fullWatch.stop(perState * 101);
    await session.close();
    return {
      'claim, empty': { ...emptyFigures, extra: empty },
      'claim, backlog': { ...fullFigures, extra: full },
    };
  },
};

export const coldStart: Suite = {
  name: 'cold-start',
  compares: false,
  repeats: true,
  async run(context) {
    const { product, place, meter, sizes } = context;
    // Statements are planned by the warm-up, on empty tables without statistics: the worst case.
    const fresh = await product.open(place, 'drain-noop');
    await warmUp(context, fresh, 'noop');
    await enqueueAll(fresh, sizes.cold_start);
    const cold = await drainNoop(context, fresh, sizes.cold_start);
    await fresh.close();

    await meter.analyze();
    const later = await product.open(place, 'drain-noop');
    await warmUp(context, later, 'noop');
    await enqueueAll(later, sizes.cold_start);
    await meter.analyze();
    const warm = await drainNoop(context, later, sizes.cold_start);
    await later.close();
    return { 'drain, cold': cold, 'drain, warm': warm };
  },
};

/** Handlers of this suite take this long: far beyond the 25 ms after which a run is marked. */
const HANDLER_MS = 400;
const SAMPLE_EVERY_MS = 100;

export const markLag: Suite = {
  name: 'mark-lag',
  compares: false,
  repeats: false,
  settings: { track_commit_timestamp: 'on' },
  async run({ product, place, meter, sizes }) {
    const target_url = new URL(`/wait/${HANDLER_MS}`, place.target_url).href;
    const session = await product.open({ ...place, target_url }, 'drain-http');
    const probe = probeOf(session);
    const worker = await session.work({ kind: 'http', url: target_url, connections: CONNECTIONS });
    const watch = await meter.start();
    const lags = new Map<string, number>();
    let enqueueing = true;
    const sampling = (async () => {
      while (enqueueing || (await session.hasUnfinished())) {
        for (const [run, lag] of await probe.markLags()) lags.set(run, lag);
        await pause(SAMPLE_EVERY_MS);
      }
    })();
    let enqueued = 0;
    for (const deadline = performance.now() + sizes.mark_lag_ms; performance.now() < deadline;) {
      // 100 a second at 0.4 s each: 40 in flight, so that no run waits for a connection.
      await session.enqueueBulk(enqueued, 10);
      enqueued += 10;
      await pause(100);
    }
    enqueueing = false;
    await sampling;
    await untilFinished(session);
    const figures = await watch.stop(enqueued);
    await worker.stop();
    await session.close();
    if (lags.size < enqueued * 0.9) throw new Error(`saw ${lags.size} of ${enqueued} runs execute`);
    const values = [...lags.values()];
    const extra = {
      p50_ms: quantile(values, 0.5),
      p99_ms: quantile(values, 0.99),
      max_ms: Math.max(...values),
    };
    return { 'mark lag': { ...figures, extra } };
  },
};
