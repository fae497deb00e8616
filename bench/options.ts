// The command line of the bench, and how much work each mode does.
import { parseArgs } from 'node:util';
import { PRODUCT_NAMES, type Backlog, type ProductName } from './product.ts';

export interface Sizes {
  readonly rounds: number;
  /** Time per number of callers. */
  readonly enqueue_single_ms: number;
  /** Calls of 1000 jobs. */
  readonly enqueue_bulk_calls: number;
  readonly drain_noop: number;
  readonly drain_http: number;
  readonly latency_ms: number;
  readonly cold_start: number;
  readonly limits: number;
  readonly tenants: number;
  readonly mark_lag_ms: number;
  readonly backlog: Backlog;
}

const FULL: Sizes = {
  rounds: 3,
  enqueue_single_ms: 4000,
  enqueue_bulk_calls: 40,
  drain_noop: 100_000,
  drain_http: 40_000,
  latency_ms: 10_000,
  cold_start: 10_000,
  limits: 20_000,
  tenants: 10_000,
  mark_lag_ms: 10_000,
  backlog: { ready: 1_000_000, finished: 1_000_000, delayed: 10_000, blocked: 100_000 },
};

/** Everything in under two minutes on two cores: good for "is it broken", not for quoting. */
const QUICK: Sizes = {
  rounds: 2,
  enqueue_single_ms: 800,
  enqueue_bulk_calls: 10,
  drain_noop: 20_000,
  drain_http: 4000,
  latency_ms: 2000,
  cold_start: 5000,
  limits: 5_000,
  tenants: 3_000,
  mark_lag_ms: 2000,
  backlog: { ready: 50_000, finished: 50_000, delayed: 2000, blocked: 20_000 },
};

export interface Options {
  readonly quick: boolean;
  readonly sizes: Sizes;
  /** Names of suites; empty means all. */
  readonly suites: readonly string[];
  readonly products: readonly ProductName[];
}

export const USAGE = `usage: npm run bench -- [options]
  --quick             small sizes, 2 rounds: under two minutes
  --suite <name>      only this suite (may be repeated)
  --products <names>  comma-separated: ${PRODUCT_NAMES.join(', ')}
  --rounds <n>        rounds per suite`;

/** Throws with a sentence for the user when the arguments make no sense. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      suite: { type: 'string', multiple: true, default: [] },
      products: { type: 'string', default: PRODUCT_NAMES.join(',') },
      rounds: { type: 'string' },
    },
  });
  const sizes = values.quick ? QUICK : FULL;
  const rounds = values.rounds === undefined ? sizes.rounds : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be at least 1');
  const products = values.products.split(',').map((name) => {
    const known = PRODUCT_NAMES.find((product) => product === name.trim());
    if (known === undefined) throw new Error(`unknown product ${name}`);
    return known;
  });
  return { quick: values.quick, sizes: { ...sizes, rounds }, suites: values.suite, products };
}
