// All suites, in the order in which they run.
import { drainHttpSuite, drainNoopSuite } from './drain.ts';
import { enqueueBulk, enqueueSingle } from './enqueue.ts';
import { latency } from './latency.ts';
import { claimCost, coldStart, limitCost, markLag } from './strait-only.ts';
import type { Suite } from './suite.ts';

export const SUITES: readonly Suite[] = [
  enqueueSingle,
  enqueueBulk,
  drainNoopSuite,
  drainHttpSuite,
  latency,
  coldStart,
  limitCost,
  markLag,
  claimCost,
];
