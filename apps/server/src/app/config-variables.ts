// Every setting of the server as data: name, form, default, meaning. Read by config.ts, documented from here.
import ipaddr from 'ipaddr.js';
import {
  bytes,
  choice,
  connectionUrl,
  duration,
  flag,
  integer,
  list,
  secret,
  secrets,
  text,
} from '../platform/config-reader.ts';
import { parseEncryptionKey } from '../platform/crypto/keyring.ts';
import { endpointVariables } from './config-endpoint-variables.ts';
import { workflowVariables } from './config-workflow-variables.ts';

export const MIN_SECRET_LENGTH = 32;
const longEnough = (value: string) =>
  value.length < MIN_SECRET_LENGTH
    ? `must be at least ${MIN_SECRET_LENGTH} characters long`
    : undefined;
const isEncryptionKey = (value: string) => {
  try {
    parseEncryptionKey(value);
    return undefined;
  } catch {
    return 'must be 32 bytes, written as 64 hex digits, base64 or 32 characters';
  }
};

/** In the order of docs/configuration.md, which is generated from this table. */
export const variables = {
  process: {
    mode: choice('MODE', ['all', 'api', 'worker'], {
      option: '--mode',
      default: 'all',
      description: 'What this process does: answer the API, run the work, or both.',
    }),
    host: text('HOST', {
      option: '--host',
      default: '127.0.0.1',
      description: 'Address to listen on. `0.0.0.0` for all.',
    }),
    port: integer('PORT', {
      option: '--port',
      default: 8080,
      min: 0,
      max: 65_535,
      description: 'Port to listen on; 0 takes a free one.',
    }),
    home: text('STRAIT_HOME', {
      default: '.strait',
      description: 'Folder of the embedded database, its secrets and `dev.json`.',
    }),
    demo: flag('STRAIT_DEMO', {
      default: true,
      description: 'Whether the embedded server runs a sample job when it starts.',
    }),
    log_level: choice('LOG_LEVEL', ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      default: 'info',
      description: 'Lowest level that is logged.',
    }),
    environment: text('NODE_ENV', {
      default: 'development',
      description: '`production` refuses settings that are only fit for development.',
    }),
  },
  database: {
    url: connectionUrl('DATABASE_URL', {
      schemes: ['postgres:', 'postgresql:'],
      unset: 'an embedded server in `STRAIT_HOME`',
      description: 'PostgreSQL 18 to use.',
    }),
    max_connections: integer('DB_MAX_CONNS', {
      default: 25,
      min: 5,
      max: 1_000,
      description: 'Connections of this process, all pools together.',
    }),
    statement_timeout_ms: duration('DB_STATEMENT_TIMEOUT', 'ms', {
      default: '30s',
      min: '1s',
      max: '1h',
      description: 'Longest a statement may run.',
    }),
    lock_timeout_ms: duration('DB_LOCK_TIMEOUT', 'ms', {
      default: '5s',
      min: '100ms',
      max: '10m',
      description: 'Longest a statement may wait for a lock.',
    }),
    idle_in_transaction_timeout_ms: duration('DB_IDLE_IN_TX_TIMEOUT', 'ms', {
      default: '30s',
      min: '1s',
      max: '1h',
      description: 'Longest an open transaction may do nothing.',
    }),
  },
  secrets: {
    internal_secret: secret('INTERNAL_SECRET', {
      unset: 'required with `DATABASE_URL`, else made and kept in `STRAIT_HOME`',
      check: longEnough,
      description:
        'Opens everything; for trusted back ends (`X-Internal-Secret`). At least 32 characters.',
    }),
    internal_secret_old: secret('INTERNAL_SECRET_OLD', {
      unset: 'none',
      check: longEnough,
      description: 'Accepted too, while callers move to the new one.',
    }),
    jwt_signing_key: secret('JWT_SIGNING_KEY', {
      unset: 'required with `DATABASE_URL`, else made and kept in `STRAIT_HOME`',
      check: longEnough,
      description: 'Signs run tokens. At least 32 characters.',
    }),
    jwt_signing_key_old: secrets('JWT_SIGNING_KEY_OLD', {
      check: longEnough,
      description: 'Accepted too, until tokens signed with them have expired.',
    }),
    encryption_key: secret('ENCRYPTION_KEY', {
      aliases: ['SECRET_ENCRYPTION_KEY'],
      unset:
        'none with `DATABASE_URL` (jobs cannot have secrets), else made and kept in `STRAIT_HOME`',
      check: isEncryptionKey,
      description: 'Encrypts stored secrets: 32 bytes as 64 hex digits, base64 or raw characters.',
    }),
    encryption_keys_old: secrets('ENCRYPTION_KEY_OLD', {
      check: isEncryptionKey,
      description: 'Still decrypt; nothing is written with them.',
    }),
    metrics_token: secret('METRICS_TOKEN', {
      unset: 'open',
      description: 'Bearer token that `GET /metrics` asks for.',
    }),
  },
  http: {
    max_request_body_bytes: bytes('MAX_REQUEST_BODY_SIZE', {
      default: '1MiB',
      min: '1KiB',
      max: '100MiB',
      description: 'Largest request body; more is answered with 413.',
    }),
    request_timeout_ms: duration('REQUEST_TIMEOUT', 'ms', {
      default: '30s',
      min: '1s',
      max: '10m',
      description: 'Longest a request may take. Not for event streams.',
    }),
    rate_limit_requests: integer('RATE_LIMIT_REQUESTS', {
      default: 100,
      min: 0,
      max: 1_000_000,
      description: 'Requests without a valid credential per address and window; 0 is no limit.',
    }),
    rate_limit_window_ms: duration('RATE_LIMIT_WINDOW', 'ms', {
      default: '1m',
      min: '1s',
      max: '1h',
      description: 'Length of that window.',
    }),
    trusted_proxies: list('TRUSTED_PROXIES', {
      default: '',
      item: 'addresses or CIDR ranges',
      check: isAddressRange,
      description: 'Whose `X-Forwarded-For` is believed.',
    }),
    cors_allowed_origins: list('CORS_ALLOWED_ORIGINS', {
      default: '*',
      item: 'origins',
      description: 'Origins whose browsers may call the API.',
    }),
    cors_allow_credentials: flag('CORS_ALLOW_CREDENTIALS', {
      default: false,
      description: 'Lets them send credentials; not together with `*`.',
    }),
    sse_keepalive_ms: duration('SSE_KEEPALIVE_INTERVAL', 'ms', {
      default: '15s',
      min: '1s',
      max: '5m',
      description: 'Pause between comments that keep an idle event stream open.',
    }),
  },
  worker: {
    concurrency: integer('WORKER_CONCURRENCY', {
      default: 200,
      min: 1,
      max: 10_000,
      description: 'Runs that one process executes at a time.',
    }),
    claim_batch: integer('MAX_DEQUEUE_BATCH_SIZE', {
      default: 200,
      min: 1,
      max: 1_000,
      description: 'Runs claimed by one statement.',
    }),
    claimers: integer('WORKER_CLAIMERS', {
      default: 2,
      min: 1,
      max: 16,
      description: 'Claims under way at a time.',
    }),
    finish_batch: integer('FINISH_BATCH_SIZE', {
      default: 500,
      min: 1,
      max: 2_000,
      description: 'Runs finished by one statement.',
    }),
    finish_in_flight: integer('FINISH_BATCHES_IN_FLIGHT', {
      default: 2,
      min: 1,
      max: 16,
      description: 'Such statements under way at a time.',
    }),
    finish_wait_ms: duration('FINISH_BATCH_WAIT', 'ms', {
      default: '5ms',
      min: '0ms',
      max: '1s',
      description: 'Longest a finished run waits for company.',
    }),
    finish_early: integer('FINISH_BATCH_EARLY', {
      default: 200,
      min: 1,
      max: 2_000,
      description: 'This many waiting are written without waiting longer.',
    }),
    heartbeat_interval_ms: duration('HEARTBEAT_INTERVAL', 'ms', {
      default: '5s',
      min: '100ms',
      max: '5m',
      description: 'How often a worker says that it lives.',
    }),
    lease_ms: duration('WORKER_LEASE', 'ms', {
      default: '30s',
      min: '300ms',
      max: '1h',
      description: 'Silence after which its runs are given to others; at least three heartbeats.',
    }),
    stale_threshold_ms: duration('STALE_THRESHOLD', 'ms', {
      default: '60s',
      min: '300ms',
      max: '24h',
      description:
        'The same for runs whose endpoint reports for itself; at least three heartbeats.',
    }),
    poll_interval_ms: duration('POLLER_INTERVAL', 'ms', {
      default: '1s',
      min: '10ms',
      max: '1m',
      description: 'How often the queue is looked at without being notified.',
    }),
    mark_after_ms: duration('EXECUTING_MARK_AFTER', 'ms', {
      default: '25ms',
      min: '0ms',
      max: '1s',
      description: 'Age at which a run in flight is shown as `executing`.',
    }),
    drain_timeout_ms: duration('WORKER_DRAIN_TIMEOUT', 'ms', {
      default: '30s',
      min: '0s',
      max: '1h',
      description: 'How long a stopping worker waits for what it executes.',
    }),
    adaptive_timeout: flag('ADAPTIVE_TIMEOUT', {
      default: false,
      description:
        'Gives attempts of jobs that take long 1.5 times the 95th percentile of the successes of a day.',
    }),
    trace_mode: choice('EXECUTION_TRACE_MODE', ['off', 'errors', 'full'], {
      default: 'errors',
      description: 'Which attempts keep their timings.',
    }),
    max_result_bytes: bytes('MAX_RESULT_SIZE', {
      default: '1MiB',
      min: '1KiB',
      max: '100MiB',
      description: 'Largest reply of an endpoint; more fails the attempt.',
    }),
  },
  endpoints: endpointVariables,
  workflows: workflowVariables,
  runs: {
    max_bulk_trigger_items: integer('MAX_BULK_TRIGGER_ITEMS', {
      default: 500,
      min: 1,
      max: 10_000,
      description: 'Items of one bulk trigger.',
    }),
    default_max_attempts: integer('DEFAULT_JOB_MAX_ATTEMPTS', {
      default: 3,
      min: 1,
      max: 100,
      description: 'Attempts of a job that does not say.',
    }),
    default_timeout_secs: duration('DEFAULT_JOB_TIMEOUT_SECS', 'secs', {
      default: '300',
      min: '1s',
      max: '24h',
      description: 'Deadline of an attempt of a job that does not say.',
    }),
    default_ttl_secs: duration('DEFAULT_RUN_TTL_SECS', 'secs', {
      default: '0',
      min: '0s',
      max: '365d',
      description: 'How long a run may wait for its start; 0 is for ever.',
    }),
    priority_aging_secs: integer('PRIORITY_AGING_SECS', {
      default: 3_600,
      min: 1,
      max: 1_000_000_000,
      description: 'Waiting this long counts as much as one step of priority.',
    }),
    idempotency_retention_secs: duration('IDEMPOTENCY_RETENTION', 'secs', {
      default: '24h',
      min: '1m',
      max: '30d',
      description: 'How long an idempotency key answers with its run.',
    }),
    retention_short_secs: duration('RUN_RETENTION_SHORT', 'secs', {
      default: '30d',
      min: '1h',
      max: '3650d',
      description: 'How long completed, failed, canceled and expired runs are kept.',
    }),
    retention_long_secs: duration('RUN_RETENTION_LONG', 'secs', {
      default: '90d',
      min: '1h',
      max: '3650d',
      description: 'How long runs are kept that timed out, crashed or failed in the engine.',
    }),
    event_trigger_retention_secs: duration('EVENT_TRIGGER_RETENTION', 'secs', {
      default: '30d',
      min: '1h',
      max: '3650d',
      description: 'How long waits for events are kept after they ended.',
    }),
    cron_misfire_grace_ms: duration('CRON_MISFIRE_GRACE', 'ms', {
      default: '5m',
      min: '1m',
      max: '24h',
      description:
        'How late the latest missed fire of a schedule is still made up for (`cron_catchup: latest`).',
    }),
    dead_letter_retention_secs: duration('DLQ_RETENTION', 'secs', {
      default: '90d',
      min: '1h',
      max: '3650d',
      description: 'How long dead letters are kept.',
    }),
    dead_letters_per_project: integer('DLQ_MAX_PER_PROJECT', {
      default: 10_000,
      min: 0,
      max: 10_000_000,
      description: 'Dead letters a project may have; 0 is no limit.',
    }),
    dead_letters_per_job: integer('DLQ_MAX_PER_JOB', {
      default: 1_000,
      min: 0,
      max: 10_000_000,
      description: 'Dead letters a job may have; 0 is no limit.',
    }),
    dead_letter_overflow: choice('DLQ_OVERFLOW', ['drop_oldest', 'reject'], {
      default: 'drop_oldest',
      description: 'Beyond these: the oldest goes, or the new one becomes `system_failed`.',
    }),
  },
} as const;

function isAddressRange(item: string): string | undefined {
  return ipaddr.isValidCIDR(item) || ipaddr.isValid(item)
    ? undefined
    : 'is not an address or CIDR range';
}
