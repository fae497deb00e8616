// What operators and their machines ask: is it alive, can it work, how is it doing.

import { matchesAnySecret } from '../crypto/secret-compare.ts';
import { Failure } from '../failure.ts';
import type { Health } from '../services/service.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { z } from 'zod';
import { defineApi, reply } from './define-api.ts';
import type { Binding } from './define-api.ts';
import { omitEmpty } from './json-reply.ts';

export interface HealthCheck {
  readonly name: string;
  /** Whether the server can do nothing useful while this is down. */
  readonly critical: boolean;
  /** Given up after 2 seconds. */
  readonly check: () => Health | Promise<Health>;
}

export interface SystemOptions {
  readonly health_checks: readonly HealthCheck[];
  readonly metrics: Metrics;
  /** When set, `/metrics` wants it as bearer token. */
  readonly metrics_token: string | undefined;
  /** The server is on its way out and should get nothing new. */
  readonly leaving: () => boolean;
}

const checkTimeoutMs = 2000;
const Status = z.enum(['up', 'degraded', 'down']);

const ComponentResult = z
  .object({
    name: z.string(),
    status: Status,
    latency_ms: z.int(),
    error: omitEmpty(z.string()),
  })
  .meta({ id: 'ComponentResult' });
const CheckResult = z
  .object({ status: Status, components: z.array(ComponentResult) })
  .meta({ id: 'CheckResult' });

const { operation, bind } = defineApi<never, 'unauthorized', unknown, unknown>();
const shared = {
  method: 'GET',
  tags: ['Health'],
  permission: 'public',
  failures: [],
  uncounted: true,
} as const;

const getHealth = operation({
  ...shared,
  id: 'getHealth',
  sdk: 'health.list',
  path: '/health',
  summary: 'Whether the process answers; depends on nothing',
  replies: { 200: z.object({ status: z.literal('ok') }) },
});

const getHealthReady = operation({
  ...shared,
  id: 'getHealthReady',
  sdk: 'health.getReady',
  path: '/health/ready',
  summary: 'Whether the server can work, by component',
  replies: { 200: CheckResult, 503: CheckResult },
});

const getMetrics = operation({
  ...shared,
  id: 'getMetrics',
  sdk: 'health.listMetrics',
  path: '/metrics',
  summary: 'Metrics in the Prometheus text format',
  replies: { 200: z.string() },
  raw: 'text/plain; version=0.0.4; charset=utf-8',
});

export function systemOperations(options: SystemOptions): Binding[] {
  return [
    bind(getHealth, () => ({ status: 'ok' })),
    bind(getHealthReady, async () => {
      const components = await Promise.all(options.health_checks.map(runCheck));
      const status = options.leaving() ? 'down' : overall(options.health_checks, components);
      return reply(status === 'down' ? 503 : 200, { status, components });
    }),
    bind(getMetrics, async ({ headers }) => {
      const { metrics_token } = options;
      const given = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
      if (metrics_token && !(given && matchesAnySecret(given, [metrics_token]))) {
        throw new Failure('unauthorized');
      }
      return options.metrics.text();
    }),
  ];
}

type Component = z.output<typeof ComponentResult>;

async function runCheck({ name, check }: HealthCheck): Promise<Component> {
  const began = performance.now();
  const { promise: late, resolve } = Promise.withResolvers<Health>();
  const timer = setTimeout(resolve, checkTimeoutMs, { status: 'down' });
  const { status } = await Promise.race([(async () => check())(), late]).catch((): Health => ({
    status: 'down',
  }));
  clearTimeout(timer);
  const latency_ms = Math.round(performance.now() - began);
  // Anybody may ask: what exactly is wrong stands in the log.
  return { name, status, latency_ms, error: status === 'up' ? undefined : `${name} is ${status}` };
}

function overall(
  checks: readonly HealthCheck[],
  components: readonly Component[],
): Health['status'] {
  if (checks.some(({ critical }, index) => critical && components[index]?.status === 'down'))
    return 'down';
  return components.every(({ status }) => status === 'up') ? 'up' : 'degraded';
}
