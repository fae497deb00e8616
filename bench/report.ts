// How results are printed: one line per measurement while it runs, then ratios, then gates.
import { type Figures, median } from './measure.ts';
import type { ProductName } from './product.ts';
import type { Verdict } from './gates.ts';
import type { Results } from './results.ts';

const whole = (value: number) => Math.round(value).toLocaleString('en-US');

/** "  pg-boss          drain-noop             14,043/s   0.57 s   PG 67 µs   Node 62 µs   WAL 1,234 B" */
export function lineOf(product: ProductName, testCase: string, figures: Figures): string {
  const parts = [
    `  ${product.padEnd(16)} ${testCase.padEnd(20)}`,
    `${whole(figures.rate).padStart(8)}/s`,
    `${(figures.wall_ms / 1000).toFixed(2).padStart(7)} s`,
    `PG ${figures.pg_cpu_us === null ? '–' : whole(figures.pg_cpu_us)} µs`.padStart(11),
    `Node ${whole(figures.node_cpu_us)} µs`.padStart(12),
    `WAL ${whole(figures.wal_bytes)} B`.padStart(12),
  ];
  for (const [name, value] of Object.entries(figures.extra ?? {})) {
    const [, label, unit] = /^(.*)_([^_]+)$/.exec(name) ?? [undefined, name, ''];
    parts.push(`${label} ${value.toFixed(2)} ${unit}`);
  }
  return parts.join('  ');
}

/** Per-round and median ratios of the first product to each other one, for every case of a suite. */
export function ratioLines(
  results: Results,
  suite: string,
  [first, ...peers]: readonly ProductName[],
): string[] {
  if (first === undefined) return [];
  return results.cases(suite).flatMap((testCase) => {
    const field = testCase.startsWith('latency') ? 'p50_ms' : 'rate';
    const what = field === 'rate' ? testCase : `${testCase} p50 (lower is better)`;
    return peers.flatMap((peer) => {
      const ratios = results.ratios(testCase, first, peer, field);
      if (ratios.length === 0) return [];
      const rounds = ratios.map((ratio) => ratio.toFixed(2)).join(' ');
      const middle = `${median(ratios).toFixed(2)}x`;
      const cpu = [first, peer].map((name) => results.figure(testCase, name, 'pg_cpu_us'));
      const ofCpu = cpu.some(Number.isNaN) ? '' : `   PG CPU/job ${cpu.map(whole).join(' : ')} µs`;
      return [`  ${what}: ${first} / ${peer} ${middle}   rounds ${rounds}${ofCpu}`];
    });
  });
}

export function gateLines(verdicts: readonly Verdict[]): string[] {
  const word = { true: 'met', false: 'NOT met', null: 'not measured' } as const;
  const rows = [
    ['gate', 'what', 'required', 'measured', ''],
    ...verdicts.map((verdict) => [
      verdict.gate,
      verdict.text,
      verdict.limit,
      verdict.measured,
      word[`${verdict.met}`],
    ]),
  ];
  const widths = [0, 1, 2, 3].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`);
}
