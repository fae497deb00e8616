// How deep the queue is, for whoever scrapes: read from what the stats module counted, the same in every process.

import type { Metrics } from '../platform/telemetry/metrics.ts';
import type { Stats } from '../modules/stats/index.ts';

export function queueMetrics(metrics: Metrics, stats: Pick<Stats, 'total'>): void {
  const oldest = metrics.gauge({
    name: 'queue_oldest_ready_seconds',
    help: 'How long the oldest run that is due has waited',
  });
  metrics.gauge({
    name: 'queue_depth',
    help: 'Live runs of all projects by where they stand, as last counted',
    labels: ['state'],
    collect: async (gauge) => {
      const { oldest_secs, ...counts } = await stats.total();
      for (const [state, runs] of Object.entries(counts)) gauge.set({ state }, runs);
      oldest.set(oldest_secs);
    },
  });
}
