// What a bench run measured, by suite, case, product and round, and the questions asked of it.
import { type Figures, median } from './measure.ts';
import type { ProductName } from './product.ts';

export interface Entry {
  readonly suite: string;
  readonly round: number;
  readonly product: ProductName;
  readonly cases: Readonly<Record<string, Figures>>;
  readonly error?: string;
}

export interface Results {
  readonly entries: readonly Entry[];
  add(entry: Entry): void;
  /** Names of the cases of a suite, in the order measured. */
  cases(suite: string): string[];
  /** Median over the rounds of `rate`, `pg_cpu_us`, … or of an extra figure; NaN when never measured. */
  figure(testCase: string, product: ProductName, field: string): number;
  /** `field` of one product over that of the other, per round that both finished. */
  ratios(testCase: string, product: ProductName, peer: ProductName, field?: string): number[];
  /** A figure (default: the rate) of one case over that of another, same product, per round. */
  caseRatios(testCase: string, other: string, product: ProductName, field?: string): number[];
}

export function valueOf(figures: Figures | undefined, field: string): number {
  if (figures === undefined) return Number.NaN;
  const all: Readonly<Record<string, unknown>> = { ...figures, ...figures.extra };
  const value = all[field];
  return typeof value === 'number' ? value : Number.NaN;
}

export function createResults(): Results {
  const entries: Entry[] = [];

  const byRound = (testCase: string, product: ProductName, field: string) => {
    const values = new Map<number, number>();
    for (const entry of entries) {
      const value = valueOf(entry.cases[testCase], field);
      if (entry.product === product && !Number.isNaN(value)) values.set(entry.round, value);
    }
    return values;
  };
  const divide = (above: Map<number, number>, below: Map<number, number>) =>
    [...above].flatMap(([round, value]) => {
      const other = below.get(round);
      return other === undefined ? [] : [value / other];
    });

  return {
    entries,
    add: (entry) => void entries.push(entry),
    cases: (suite) => [
      ...new Set(
        entries.filter((entry) => entry.suite === suite).flatMap(({ cases }) => Object.keys(cases)),
      ),
    ],
    figure: (testCase, product, field) => median([...byRound(testCase, product, field).values()]),
    ratios: (testCase, product, peer, field = 'rate') =>
      divide(byRound(testCase, product, field), byRound(testCase, peer, field)),
    caseRatios: (testCase, other, product, field = 'rate') =>
      divide(byRound(testCase, product, field), byRound(other, product, field)),
  };
}
