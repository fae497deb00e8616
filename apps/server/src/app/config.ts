// Every setting of the server, read once at start, frozen, handed out in slices. The only place that reads the environment.
import { env, argv } from 'node:process';
import { readVariables, type Values, type Variable } from '../platform/config-reader.ts';
import { INFRASTRUCTURE_PORTS, type AddressPolicy } from '../platform/outbound/address-rules.ts';
import { MIN_SECRET_LENGTH, variables } from './config-variables.ts';

export { variables };

type Read = Values<typeof variables>;

export interface Config extends Omit<Read, 'process' | 'endpoints' | 'secrets'> {
  readonly process: Omit<Read['process'], 'environment'> & { readonly production: boolean };
  /** No `DATABASE_URL`: this process brings its own PostgreSQL and is meant for one developer. */
  readonly embedded: boolean;
  readonly secrets: {
    /** Newest first. Empty only when embedded and not read from the home yet. */
    readonly internal: readonly string[];
    /** Keys of run tokens, the signing one first. Empty only as above. */
    readonly run_token: readonly string[];
    readonly encryption: { readonly primary: string; readonly old: readonly string[] } | undefined;
    readonly metrics_token: string | undefined;
  };
  readonly outbound: {
    readonly policy: AddressPolicy;
    readonly connections_per_origin: number;
    readonly keep_alive_ms: number;
    readonly breaker_failures: number;
    readonly health_counts: boolean;
    /** Undefined: off. */
    readonly adaptive_concurrency: { readonly min: number; readonly max: number } | undefined;
  };
}

/** Settings that cannot be used; the message lists all of them and repeats no secret. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `Strait cannot start with these settings:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    );
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * When `embedded`, the missing secrets are read again by passing what the home stores under the variables' names:
 * `readConfig({ ...stored, ...env }, argv)`.
 * @throws ConfigError
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  args: readonly string[],
): Config {
  const { values, problems } = readVariables(variables, { env: environment, argv: args });
  // Rules between settings would only repeat the trouble of a setting that could not be read.
  if (problems.length > 0)
    throw new ConfigError([...problems, ...missingSecrets(values, environment)]);
  const broken = [...missingSecrets(values, environment), ...contradictions(values)];
  if (broken.length > 0) throw new ConfigError(broken);

  const {
    process: { environment: stage, ...rest },
    secrets: given,
    endpoints,
    ...slices
  } = values;
  const embedded = values.database.url === undefined;
  const production = stage === 'production';
  return deepFreeze({
    ...slices,
    process: { ...rest, production },
    embedded,
    secrets: {
      internal: present(given.internal_secret, given.internal_secret_old),
      run_token: [...present(given.jwt_signing_key), ...given.jwt_signing_key_old],
      encryption:
        given.encryption_key === undefined
          ? undefined
          : { primary: given.encryption_key, old: given.encryption_keys_old },
      metrics_token: given.metrics_token,
    },
    outbound: {
      policy: {
        allow_private: allowPrivate(endpoints.allow_private, embedded && !production),
        require_tls: endpoints.require_tls,
        forbidden_ports: [...INFRASTRUCTURE_PORTS, ...endpoints.forbidden_ports.map(Number)],
      },
      connections_per_origin: endpoints.max_connections || values.worker.concurrency,
      keep_alive_ms: endpoints.keep_alive_ms,
      breaker_failures: endpoints.breaker_failures,
      health_counts: endpoints.health,
      adaptive_concurrency: endpoints.adaptive_concurrency
        ? { min: endpoints.concurrency_min, max: endpoints.concurrency_max }
        : undefined,
    },
  });
}

/** The settings of this process. */
export const readProcessConfig = (stored: Readonly<Record<string, string>> = {}): Config =>
  readConfig({ ...stored, ...env }, argv.slice(2));

export const wantsHelp = (): boolean => argv.includes('--help') || argv.includes('-h');

/** What can be said on the command line; everything else is said by the environment. */
export function usage(): string {
  const options = Object.values<Record<string, Variable<unknown>>>(variables)
    .flatMap((slice) => Object.values(slice))
    .flatMap(({ option, format, defaultText, description }) =>
      option === undefined ? [] : [[option, `${description} ${format}; default ${defaultText}.`]],
    );
  return [
    'usage: npm start -- [options]',
    ...options.map(
      ([option = '', text = '']) => `  ${option.padEnd(8)} ${text.replaceAll('`', '')}`,
    ),
    '',
    'Everything else is set by environment variables: docs/configuration.md.',
  ].join('\n');
}

function missingSecrets(
  values: Read,
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  // Judged by what is set, not by what could be read: a bad DATABASE_URL is one too.
  if ((environment['DATABASE_URL'] ?? '').trim() === '') return [];
  return ['INTERNAL_SECRET', 'JWT_SIGNING_KEY']
    .filter((name) => (environment[name] ?? '').trim() === '')
    .map(
      (name) =>
        `${name} is required with DATABASE_URL (at least ${MIN_SECRET_LENGTH} random characters)`,
    );
}

function contradictions({
  worker,
  http,
  endpoints,
  process,
  runs,
  secrets: given,
}: Read): string[] {
  const problems: string[] = [];
  const beats = 3 * worker.heartbeat_interval_ms;
  if (worker.lease_ms < beats)
    problems.push('WORKER_LEASE must be at least three times HEARTBEAT_INTERVAL');
  if (worker.stale_threshold_ms < beats)
    problems.push('STALE_THRESHOLD must be at least three times HEARTBEAT_INTERVAL');
  if (worker.finish_early > worker.finish_batch)
    problems.push('FINISH_BATCH_EARLY must not be larger than FINISH_BATCH_SIZE');
  if (endpoints.concurrency_max < endpoints.concurrency_min)
    problems.push('ADAPTIVE_CONCURRENCY_MAX must not be smaller than ADAPTIVE_CONCURRENCY_MIN');
  if (runs.retention_long_secs < runs.retention_short_secs) {
    problems.push('RUN_RETENTION_LONG must not be shorter than RUN_RETENTION_SHORT');
  }
  if (http.cors_allow_credentials && http.cors_allowed_origins.includes('*')) {
    problems.push('CORS_ALLOW_CREDENTIALS needs CORS_ALLOWED_ORIGINS to name the origins');
  }
  if (endpoints.allow_private && process.environment === 'production') {
    problems.push('ALLOW_PRIVATE_ENDPOINTS is refused in production (NODE_ENV=production)');
  }
  if (given.encryption_keys_old.length > 0 && given.encryption_key === undefined) {
    problems.push('ENCRYPTION_KEY_OLD needs ENCRYPTION_KEY');
  }
  return problems;
}

/** The embedded server is a developer's: it may call handlers on the same machine, the local network is another matter. */
function allowPrivate(
  wanted: boolean | undefined,
  isDevelopment: boolean,
): AddressPolicy['allow_private'] {
  if (wanted !== undefined) return wanted ? 'all' : 'none';
  return isDevelopment ? 'loopback' : 'none';
}

const present = (...values: readonly (string | undefined)[]) =>
  values.filter((value) => value !== undefined);

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value))
    if (typeof part === 'object' && part !== null) deepFreeze(part);
  return Object.freeze(value);
}
