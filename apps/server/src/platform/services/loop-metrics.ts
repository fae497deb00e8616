import type { Metrics } from '../telemetry/metrics.ts';
import type { LoopMetrics } from './loop.ts';

/** How long rounds take and how many fail, by loop. */
export function createLoopMetrics(metrics: Metrics): LoopMetrics {
  const duration = metrics.histogram({
    name: 'loop_round_duration_seconds',
    help: 'Duration of one round of a background loop',
    labels: ['loop'],
  });
  const failures = metrics.counter({
    name: 'loop_round_failures_total',
    help: 'Rounds of a background loop that failed',
    labels: ['loop'],
  });
  return {
    observe(loop, duration_ms, outcome) {
      duration.observe({ loop }, duration_ms / 1_000);
      if (outcome === 'failed') failures.inc({ loop });
    },
  };
}
