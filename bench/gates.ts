// The acceptance gates of design/queue-performance.md §9 (and §4 for the mark), as arithmetic on
// what was measured. A gate whose figures are missing is "not measured", never met.
import type { Results } from './results.ts';
import { median } from './measure.ts';
import type { ProductName } from './product.ts';

export interface Verdict {
  readonly gate: string;
  readonly text: string;
  readonly limit: string;
  readonly measured: string;
  readonly met: boolean | null;
}

interface Gate {
  readonly gate: string;
  readonly text: string;
  readonly limit: number;
  readonly at: 'least' | 'most';
  readonly unit: 'x' | 'µs' | 'ms';
  readonly value: (results: Results) => number;
}

const rateTo = (peer: ProductName, testCase: string) => (results: Results) =>
  median(results.ratios(testCase, 'strait', peer));

const cpuTo = (testCase: string, baseline: string) => (results: Results) =>
  median(results.caseRatios(testCase, baseline, 'strait', 'pg_cpu_us'));

const GATES: readonly Gate[] = [
  ...(['graphile-worker', 'pg-boss'] as const).flatMap((peer): Gate[] => [
    {
      gate: '1',
      text: `drain, no-op, history kept / ${peer}`,
      limit: 1,
      at: 'least',
      unit: 'x',
      value: rateTo(peer, 'drain-noop'),
    },
    {
      gate: '1',
      text: `drain over HTTP / ${peer}`,
      limit: 1,
      at: 'least',
      unit: 'x',
      value: rateTo(peer, 'drain-http'),
    },
    {
      gate: '2',
      text: `single enqueue, 16 callers / ${peer}`,
      limit: 5,
      at: 'least',
      unit: 'x',
      value: rateTo(peer, 'enqueue 16 callers'),
    },
    {
      gate: '2',
      text: `single enqueue, 256 callers / ${peer}`,
      limit: 5,
      at: 'least',
      unit: 'x',
      value: rateTo(peer, 'enqueue 256 callers'),
    },
    {
      gate: '2',
      text: `bulk enqueue, 1000 per call / ${peer}`,
      limit: 0.9,
      at: 'least',
      unit: 'x',
      value: rateTo(peer, 'enqueue bulk 1000'),
    },
  ]),
  {
    gate: '3',
    text: 'enqueue → handler p50 at 50/s / graphile-worker',
    limit: 1,
    at: 'most',
    unit: 'x',
    value: (results) =>
      median(results.ratios('latency 50/s', 'strait', 'graphile-worker', 'p50_ms')),
  },
  ...(['one_ms', 'hundred_ms'] as const).map((field): Gate => ({
    gate: '4',
    text: `claim of ${field === 'one_ms' ? 1 : 100}, behind the backlog / empty`,
    limit: 2,
    at: 'most',
    unit: 'x',
    value: (results) =>
      results.figure('claim, backlog', 'strait', field) /
      results.figure('claim, empty', 'strait', field),
  })),
  {
    gate: '5',
    text: 'drain right after migration / warm',
    limit: 0.8,
    at: 'least',
    unit: 'x',
    value: (results) => median(results.caseRatios('drain, cold', 'drain, warm', 'strait')),
  },
  {
    gate: '6',
    text: 'PostgreSQL CPU per drained run',
    limit: 100,
    at: 'most',
    unit: 'µs',
    value: (results) => results.figure('drain-noop', 'strait', 'pg_cpu_us'),
  },
  ...(['job', 'key', 'project'] as const).flatMap((kind): Gate[] => {
    const none = kind === 'key' ? 'limit none, keys' : 'limit none';
    return [
      {
        gate: 'limits',
        text: `PostgreSQL CPU of a run, limit of its ${kind} free / none`,
        limit: 1.15,
        at: 'most',
        unit: 'x',
        value: cpuTo(`limit ${kind}, free`, none),
      },
      {
        gate: 'limits',
        text: `the same, limit of its ${kind} saturated / none, 50 at a time`,
        limit: 1.5,
        at: 'most',
        unit: 'x',
        value: cpuTo(`limit ${kind}, saturated`, `${none}, 50 at a time`),
      },
    ];
  }),
  {
    gate: 'limits',
    text: 'drain of one project / of a project per run',
    limit: 1.5,
    at: 'most',
    unit: 'x',
    value: (results) => median(results.caseRatios('one project', 'a project per run', 'strait')),
  },
  {
    gate: '§4',
    text: 'job_runs.status behind the lease, p99',
    limit: 50,
    at: 'most',
    unit: 'ms',
    value: (results) => results.figure('mark lag', 'strait', 'p99_ms'),
  },
];

export function judge(results: Results): Verdict[] {
  const verdicts = GATES.map(({ gate, text, limit, at, unit, value }): Verdict => {
    const measured = value(results);
    const known = Number.isFinite(measured);
    return {
      gate,
      text,
      limit: `${at === 'least' ? '≥' : '≤'} ${limit} ${unit}`,
      measured: known ? `${measured.toFixed(measured < 10 ? 2 : 1)} ${unit}` : '–',
      met: known ? (at === 'least' ? measured >= limit : measured <= limit) : null,
    };
  });
  verdicts.push({
    gate: '7',
    text: 'kill -9, freeze, restart: nothing lost, no attempt finished twice',
    limit: 'exact',
    measured: 'a scenario test (npm test), not a figure',
    met: null,
  });
  return verdicts;
}
