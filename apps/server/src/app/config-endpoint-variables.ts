// Settings about the endpoints that users choose: part of config-variables.ts.
import { duration, flag, integer, list, optionalFlag } from '../platform/config-reader.ts';

export const endpointVariables = {
  allow_private: optionalFlag('ALLOW_PRIVATE_ENDPOINTS', {
    unset: 'loopback only with the embedded database, else `false`',
    description: 'Lets endpoints be private addresses. Refused in production.',
  }),
  require_tls: flag('ENDPOINT_REQUIRE_TLS', {
    default: false,
    description: 'Refuses endpoints that are not HTTPS.',
  }),
  forbidden_ports: list('ENDPOINT_FORBIDDEN_PORTS', {
    default: '',
    item: 'ports',
    check: isPort,
    description: 'Refused beside the ports of mail, databases and other infrastructure.',
  }),
  breaker_failures: integer('ENDPOINT_BREAKER_FAILURES', {
    default: 5,
    min: 0,
    max: 1_000,
    description: 'Failures in a row after which an endpoint is left alone for a while; 0 is never.',
  }),
  health: flag('ENDPOINT_HEALTH', {
    default: true,
    description: 'Lets the health score of an endpoint slow and block the jobs that call it.',
  }),
  adaptive_concurrency: flag('ADAPTIVE_CONCURRENCY', {
    default: true,
    description:
      'Lets an endpoint that answers 429 or 503, fails often or gets much slower take fewer runs at a time, until it recovers.',
  }),
  concurrency_min: integer('ADAPTIVE_CONCURRENCY_MIN', {
    default: 1,
    min: 1,
    max: 10_000,
    description: 'Such an endpoint takes at least this many.',
  }),
  concurrency_max: integer('ADAPTIVE_CONCURRENCY_MAX', {
    default: 1_000,
    min: 1,
    max: 100_000,
    description: 'And at most this many; endpoints that do well have no limit.',
  }),
  max_connections: integer('ENDPOINT_MAX_CONNECTIONS', {
    default: 0,
    min: 0,
    max: 10_000,
    description: 'Connections to one origin; 0 is as many as `WORKER_CONCURRENCY`.',
  }),
  keep_alive_ms: duration('EXECUTOR_IDLE_CONN_TIMEOUT', 'ms', {
    default: '90s',
    min: '1s',
    max: '10m',
    description: 'How long an idle connection is kept.',
  }),
};

function isPort(item: string): string | undefined {
  return /^\d{1,5}$/.test(item) && Number(item) <= 65_535 ? undefined : 'is not a port';
}
