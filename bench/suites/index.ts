// All suites, in the order in which they run.
import { drainHttpSuite, drainNoopSuite } from './drain.ts';
import { enqueueBulk, enqueueSingle } from './enqueue.ts';
import { latency } from './latency.ts';
import { limitCost, tenants } from './limits.ts';
import { claimCost, coldStart, markLag } from './strait-only.ts';
import type { Suite } from './suite.ts';

export const SUITES: readonly Suite[] = [
  enqueueSingle,
  enqueueBulk,
  drainNoopSuite,
  drainHttpSuite,
  latency,
  coldStart,
  limitCost,
  tenants,
  markLag,
  claimCost,
];
