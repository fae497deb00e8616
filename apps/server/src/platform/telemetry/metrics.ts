// Prometheus metrics. Label values must be bounded: never an id, a URL or anything a user wrote.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface MetricOptions<Label extends string> {
  /** Without the prefix, which is added here: `run_transitions_total`. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[];
}

export interface Metrics {
  counter<Label extends string = never>(options: MetricOptions<Label>): Counter<Label>;
  /** `collect` is asked at each scrape, for what is cheaper to read then than to follow. */
  gauge<Label extends string = never>(
    options: MetricOptions<Label> & {
      readonly collect?: (gauge: Gauge<Label>) => void | Promise<void>;
    },
  ): Gauge<Label>;
  /** In seconds; buckets from 1 ms to a minute unless given. */
  histogram<Label extends string = never>(
    options: MetricOptions<Label> & { readonly buckets?: readonly number[] },
  ): Histogram<Label>;
  /** The exposition text. The first call also starts the metrics of the process itself, which cost a timer. */
  text(): Promise<string>;
  readonly content_type: string;
}

const PREFIX = 'strait_';
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** One registry per process (and per test): nothing is global. Two metrics of one name are an error. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  let processStarted = false;

  const common = <Label extends string>({ name, help, labels = [] }: MetricOptions<Label>) => ({
    name: PREFIX + name,
    help,
    labelNames: [...labels],
    registers: [registry],
  });

  return {
    counter: (options) => new Counter(common(options)),
    gauge<Label extends string>({ collect, ...options }: Parameters<Metrics['gauge']>[0]) {
      const gauge: Gauge<Label> = new Gauge<Label>({
        ...(common(options) as ReturnType<typeof common<Label>>),
        ...(collect && { collect: () => collect(gauge as Gauge<never>) }),
      });
      return gauge;
    },
    histogram: ({ buckets = SECONDS, ...options }) =>
      new Histogram({ ...common(options), buckets: [...buckets] }),
    text() {
      if (!processStarted) collectDefaultMetrics({ register: registry });
      processStarted = true;
      return registry.metrics();
    },
    content_type: registry.contentType,
  };
}
