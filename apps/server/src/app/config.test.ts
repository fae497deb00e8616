import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBytes, parseDuration, variablesOf } from '../platform/config-reader.ts';
import { ConfigError, readConfig, variables } from './config.ts';

const SECRET = 'canary-canary-canary-canary-canary';
const server = {
  DATABASE_URL: 'postgres://strait:pw@db/strait',
  INTERNAL_SECRET: SECRET,
  JWT_SIGNING_KEY: SECRET.toUpperCase(),
};

function problems(env: Record<string, string>, argv: readonly string[] = []): readonly string[] {
  try {
    readConfig(env, argv);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    for (const problem of error.problems) assert.ok(error.message.includes(problem));
    return error.problems;
  }
  return [];
}

test('nothing has to be set to start with the embedded database', () => {
  const config = readConfig({}, []);
  assert.equal(config.embedded, true);
  assert.equal(config.process.mode, 'all');
  assert.equal(config.process.host, '127.0.0.1');
  assert.equal(config.process.port, 8080);
  assert.deepEqual(config.secrets.internal, []);
  assert.equal(config.outbound.policy.allow_private, 'loopback');
  assert.equal(config.outbound.connections_per_origin, config.worker.concurrency);
  assert.equal(config.worker.lease_ms, 30_000);
  assert.equal(config.runs.idempotency_retention_secs, 86_400);
});

test('the result cannot be changed', () => {
  const config = readConfig({}, []);
  for (const part of [
    config,
    config.worker,
    config.outbound.policy,
    config.outbound.policy.forbidden_ports,
  ]) {
    assert.equal(Object.isFrozen(part), true);
  }
});

test('with a database of its own, secrets are required', () => {
  assert.deepEqual(
    problems({ DATABASE_URL: server.DATABASE_URL }).map((problem) => problem.split(' ')[0]),
    ['INTERNAL_SECRET', 'JWT_SIGNING_KEY'],
  );
  const config = readConfig(
    {
      ...server,
      INTERNAL_SECRET_OLD: 'o'.repeat(32),
      JWT_SIGNING_KEY_OLD: `${'p'.repeat(32)},${'q'.repeat(32)}`,
    },
    [],
  );
  assert.equal(config.embedded, false);
  assert.deepEqual(config.secrets.internal, [SECRET, 'o'.repeat(32)]);
  assert.deepEqual(config.secrets.run_token, [
    SECRET.toUpperCase(),
    'p'.repeat(32),
    'q'.repeat(32),
  ]);
  assert.equal(config.outbound.policy.allow_private, 'none');
});

test('everything that is wrong is said at once, and no secret is repeated', () => {
  const all = problems(
    {
      DATABASE_URL: `mysql://root:${SECRET}@db/x`,
      PORT: '70000',
      LOG_LEVEL: 'loud',
      HEARTBEAT_INTERVAL: 'soon',
      MAX_RESULT_SIZE: '1TB',
      INTERNAL_SECRET: SECRET.slice(0, 20),
      ENCRYPTION_KEY: `${SECRET}!`,
      STRAIT_DEMO: 'maybe',
      TRUSTED_PROXIES: '10.0.0.0/8,here',
      ENDPOINT_FORBIDDEN_PORTS: '80,x',
    },
    ['--mode', 'both', '--verbose', '--port'],
  );
  for (const name of [
    'DATABASE_URL',
    'LOG_LEVEL',
    'HEARTBEAT_INTERVAL',
    'MAX_RESULT_SIZE',
    'INTERNAL_SECRET',
    'JWT_SIGNING_KEY',
    'ENCRYPTION_KEY',
    'STRAIT_DEMO',
    'TRUSTED_PROXIES',
    'ENDPOINT_FORBIDDEN_PORTS',
    '--mode',
    "unknown argument '--verbose'",
    '--port needs a value',
    'PORT',
  ]) {
    assert.equal(
      all.filter((problem) => problem.startsWith(name)).length,
      1,
      `${name}: ${all.join('\n')}`,
    );
  }
  assert.doesNotMatch(all.join(), /canary/);
});

test('settings that contradict each other are refused', () => {
  assert.match(String(problems({ HEARTBEAT_INTERVAL: '11s' })), /WORKER_LEASE/);
  assert.match(
    String(problems({ HEARTBEAT_INTERVAL: '21s', WORKER_LEASE: '63s' })),
    /STALE_THRESHOLD/,
  );
  assert.match(String(problems({ CORS_ALLOW_CREDENTIALS: 'true' })), /CORS_ALLOWED_ORIGINS/);
  assert.deepEqual(
    problems({ CORS_ALLOW_CREDENTIALS: 'true', CORS_ALLOWED_ORIGINS: 'https://a.example' }),
    [],
  );
  assert.match(String(problems({ RUN_RETENTION_LONG: '1d' })), /RUN_RETENTION_LONG/);
  assert.match(
    String(problems({ ADAPTIVE_CONCURRENCY_MIN: '1001' })),
    /ADAPTIVE_CONCURRENCY_MAX must not be smaller/,
  );
  assert.match(String(problems({ FINISH_BATCH_SIZE: '100' })), /FINISH_BATCH_EARLY/);
  assert.match(String(problems({ ENCRYPTION_KEY_OLD: 'k'.repeat(32) })), /needs ENCRYPTION_KEY/);
});

test('private endpoints: loopback in development, all on request, never in production', () => {
  const allowed = (env: Record<string, string>) =>
    readConfig(env, []).outbound.policy.allow_private;
  assert.equal(allowed({}), 'loopback');
  assert.equal(allowed({ ALLOW_PRIVATE_ENDPOINTS: 'false' }), 'none');
  assert.equal(allowed({ ALLOW_PRIVATE_ENDPOINTS: 'true' }), 'all');
  assert.equal(allowed({ NODE_ENV: 'production' }), 'none');
  assert.equal(allowed(server), 'none');
  assert.equal(allowed({ ...server, ALLOW_PRIVATE_ENDPOINTS: 'true' }), 'all');
  assert.match(
    String(problems({ ...server, ALLOW_PRIVATE_ENDPOINTS: 'true', NODE_ENV: 'production' })),
    /production/,
  );
});

test('an option beats its variable, an alias stands in for one, and set to nothing is not set', () => {
  assert.equal(readConfig({ MODE: 'api' }, ['--mode', 'worker']).process.mode, 'worker');
  assert.equal(readConfig({}, ['--mode=api', '--port=0']).process.port, 0);
  assert.equal(readConfig({ PORT: ' ' }, []).process.port, 8080);
  assert.equal(readConfig({ DATABASE_URL: '' }, []).embedded, true);
  const key = 'a'.repeat(32);
  assert.equal(readConfig({ SECRET_ENCRYPTION_KEY: key }, []).secrets.encryption?.primary, key);
  assert.equal(
    readConfig({ SECRET_ENCRYPTION_KEY: key, ENCRYPTION_KEY: 'b'.repeat(32) }, []).secrets
      .encryption?.primary,
    'b'.repeat(32),
  );
});

test('every variable changes something', () => {
  const samples: Record<string, string> = {
    MODE: 'api',
    HOST: '0.0.0.0',
    PORT: '81',
    STRAIT_HOME: '/tmp/x',
    STRAIT_DEMO: '0',
    LOG_LEVEL: 'debug',
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://h/other',
    DB_MAX_CONNS: '9',
    DB_STATEMENT_TIMEOUT: '9s',
    DB_LOCK_TIMEOUT: '9s',
    DB_IDLE_IN_TX_TIMEOUT: '9s',
    INTERNAL_SECRET: 'n'.repeat(32),
    INTERNAL_SECRET_OLD: 'o'.repeat(32),
    JWT_SIGNING_KEY: 'm'.repeat(32),
    JWT_SIGNING_KEY_OLD: 'p'.repeat(32),
    ENCRYPTION_KEY: 'e'.repeat(32),
    ENCRYPTION_KEY_OLD: 'f'.repeat(32),
    METRICS_TOKEN: 't',
    MAX_REQUEST_BODY_SIZE: '2MiB',
    REQUEST_TIMEOUT: '9s',
    RATE_LIMIT_REQUESTS: '9',
    RATE_LIMIT_WINDOW: '9s',
    TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    CORS_ALLOWED_ORIGINS: 'https://a.example',
    CORS_ALLOW_CREDENTIALS: 'true',
    SSE_KEEPALIVE_INTERVAL: '9s',
    WORKER_CONCURRENCY: '9',
    MAX_DEQUEUE_BATCH_SIZE: '9',
    WORKER_CLAIMERS: '3',
    FINISH_BATCH_SIZE: '300',
    FINISH_BATCHES_IN_FLIGHT: '3',
    FINISH_BATCH_WAIT: '9ms',
    FINISH_BATCH_EARLY: '9',
    HEARTBEAT_INTERVAL: '4s',
    WORKER_LEASE: '40s',
    STALE_THRESHOLD: '50s',
    POLLER_INTERVAL: '9s',
    EXECUTING_MARK_AFTER: '9ms',
    WORKER_DRAIN_TIMEOUT: '9s',
    EXECUTION_TRACE_MODE: 'full',
    ADAPTIVE_TIMEOUT: 'true',
    ENDPOINT_BREAKER_FAILURES: '9',
    ENDPOINT_HEALTH: 'false',
    ADAPTIVE_CONCURRENCY: 'false',
    ADAPTIVE_CONCURRENCY_MIN: '9',
    ADAPTIVE_CONCURRENCY_MAX: '9',
    MAX_RESULT_SIZE: '2MiB',
    ALLOW_PRIVATE_ENDPOINTS: 'true',
    ENDPOINT_REQUIRE_TLS: 'true',
    ENDPOINT_FORBIDDEN_PORTS: '9999',
    ENDPOINT_MAX_CONNECTIONS: '9',
    EXECUTOR_IDLE_CONN_TIMEOUT: '9s',
    MAX_BULK_TRIGGER_ITEMS: '9',
    WF_MAX_STEP_CAP: '50',
    WF_STEP_CONCURRENCY_LIMIT: '9',
    WF_SMALL_STEPS: '9',
    WF_MEDIUM_STEPS: '9',
    WF_LARGE_STEPS: '9',
    MAX_WORKFLOW_NESTING_DEPTH: '9',
    WF_MAX_CONTINUATIONS: '9',
    WF_STALL_ACTION: 'log_only',
    WF_STALL_THRESHOLD: '9m',
    WORKFLOW_RETENTION: '9d',
    DEFAULT_JOB_MAX_ATTEMPTS: '9',
    DEFAULT_JOB_TIMEOUT_SECS: '9',
    DEFAULT_RUN_TTL_SECS: '9',
    PRIORITY_AGING_SECS: '9',
    IDEMPOTENCY_RETENTION: '9h',
    RUN_RETENTION_SHORT: '9d',
    RUN_RETENTION_LONG: '99d',
    DLQ_RETENTION: '9d',
    EVENT_TRIGGER_RETENTION: '9d',
    CRON_MISFIRE_GRACE: '10m',
    DLQ_MAX_PER_PROJECT: '9',
    DLQ_MAX_PER_JOB: '9',
    DLQ_OVERFLOW: 'reject',
  };
  const companions: Record<string, Record<string, string>> = {
    CORS_ALLOW_CREDENTIALS: { CORS_ALLOWED_ORIGINS: 'https://a.example' },
    ENCRYPTION_KEY_OLD: { ENCRYPTION_KEY: 'e'.repeat(32) },
  };
  const read = (env: Record<string, string>) => JSON.stringify(readConfig(env, []));
  for (const { name } of variablesOf(variables)) {
    const base = { ...server, ...companions[name] };
    const sample = samples[name];
    assert.ok(sample !== undefined, `${name} has no sample`);
    assert.notEqual(read({ ...base, [name]: sample }), read(base), name);
  }
  assert.equal(variablesOf(variables).length, Object.keys(samples).length);
});

test('durations and sizes are read in every documented form', () => {
  assert.deepEqual(
    ['500ms', '30s', '5m', '1h', '24h', '30d', '1h30m', '90', '1.5', '0'].map(parseDuration),
    [500, 30_000, 300_000, 3_600_000, 86_400_000, 2_592_000_000, 5_400_000, 90_000, 1_500, 0],
  );
  for (const text of ['', 's', '5 s', '-5s', '5y', '1h30', 'soon'])
    assert.ok(Number.isNaN(parseDuration(text)), text);
  assert.deepEqual(
    ['65536', '64KiB', '64KB', '64k', '1MiB', '1GiB', '10B'].map(parseBytes),
    [65_536, 65_536, 65_536, 65_536, 1_048_576, 1_073_741_824, 10],
  );
  for (const text of ['', 'KB', '1.5MB', '-1', '1TB'])
    assert.ok(Number.isNaN(parseBytes(text)), text);
});
