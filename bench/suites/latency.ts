// From the call of enqueue to the start of the handler, 50 jobs a second, on an idle system.
import { quantile } from '../measure.ts';
import { pause, type Suite, untilFinished } from './suite.ts';

const PER_SECOND = 50;
const WARM_UP_JOBS = 25;

export const latency: Suite = {
  name: 'latency',
  compares: true,
  repeats: true,
  async run({ product, place, meter, sizes }) {
    const session = await product.open(place, 'latency');
    const total = WARM_UP_JOBS + Math.round((sizes.latency_ms / 1000) * PER_SECOND);
    const calledAt = new Float64Array(total);
    const latencies: number[] = [];
    let started = 0;
    const { promise: allStarted, resolve } = Promise.withResolvers<void>();
    const worker = await session.work({
      kind: 'noop',
      onStart(n) {
        if (n >= WARM_UP_JOBS) latencies.push(performance.now() - (calledAt[n] ?? Number.NaN));
        started += 1;
        if (started === total) resolve();
      },
    });

    // Open loop: a slow enqueue delays no later one, as callers do not know of each other.
    const calls: Promise<void>[] = [];
    const schedule = async (from: number, to: number) => {
      const beginning = performance.now();
      for (let n = from; n < to; n += 1) {
        // Jitter of half a gap, or a poller in step with us would look better than it is.
        const due = beginning + ((n - from + Math.random() / 2) * 1000) / PER_SECOND;
        await pause(Math.max(0, due - performance.now()));
        calledAt[n] = performance.now();
        calls.push(session.enqueue(n));
      }
    };
    await schedule(0, WARM_UP_JOBS);
    const watch = await meter.start();
    await schedule(WARM_UP_JOBS, total);
    await Promise.all(calls);
    await allStarted;
    await untilFinished(session);
    const figures = await watch.stop(total - WARM_UP_JOBS);
    await worker.stop();
    await session.close();
    const extra = {
      p50_ms: quantile(latencies, 0.5),
      p95_ms: quantile(latencies, 0.95),
      p99_ms: quantile(latencies, 0.99),
    };
    return { 'latency 50/s': { ...figures, extra } };
  },
};
