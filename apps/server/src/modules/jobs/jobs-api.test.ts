// Jobs behind the real HTTP host, for the tests of this folder.
import assert from 'node:assert/strict';
import { testDatabase } from '../../../test/database.ts';
import { commonFailures, failures, type FailureCode } from '../../domain/failures.ts';
import { systemClock } from '../../platform/clock.ts';
import { createKeyring } from '../../platform/crypto/keyring.ts';
import { createHttpServer } from '../../platform/http/server.ts';
import { createMetrics } from '../../platform/telemetry/metrics.ts';
import { createAccess } from '../access/index.ts';
import { createRunHistory } from '../queue/index.ts';
import { createJobs, jobRoutes } from './index.ts';

interface Problem {
  readonly index: number;
  readonly code: string;
  readonly details: readonly { readonly path: string; readonly message: string }[];
}

/** What replies about jobs may hold; which of it is there is for the test to say. */
export interface ApiBody {
  readonly [name: string]: unknown;
  readonly id: string;
  readonly project_id: string;
  readonly slug: string;
  readonly version: number;
  readonly version_id: string;
  readonly enabled: boolean;
  readonly code: string;
  readonly details: Problem['details'];
  readonly data: readonly ApiBody[];
  readonly created: readonly ApiBody[];
  readonly errors: readonly Problem[];
}

export interface Answer {
  readonly status: number;
  readonly body: ApiBody;
  readonly headers: Readonly<Record<string, unknown>>;
}

export type JobsApi = Awaited<ReturnType<typeof startJobsApi>>;

const secret = 'i'.repeat(32);
const addresses: Readonly<Record<string, string>> = {
  'example.com': '93.184.216.34',
  'hooks.example.com': '93.184.216.34',
  'inside.example.com': '10.0.0.8',
};
export async function startJobsApi() {
  const database = await testDatabase();
  const statements: string[] = [];
  const db = {
    ...database.db,
    query: (call: Parameters<typeof database.db.query>[0]) => {
      statements.push(call.text);
      return database.db.query(call);
    },
  };
  const jobs = createJobs({
    db,
    keyring: createKeyring({ primary: 'k'.repeat(32) }),
    outboundPolicy: { allow_private: 'none', require_tls: false, forbidden_ports: [22] },
    clock: systemClock,
    history: createRunHistory(),
    resolve: async (name) => {
      const address = addresses[name];
      if (address === undefined) throw new Error('ENOTFOUND');
      return [{ address }];
    },
  });
  const access = createAccess({
    db: database.db,
    // Whatever a test names.
    projects: { exists: async () => true },
    internal_secrets: [secret],
    run_token_keys: [],
    hitWindow: async () => undefined,
  });
  const server = createHttpServer({
    bindings: jobRoutes(jobs),
    access: access.control,
    failures,
    common_failures: commonFailures,
    metrics: createMetrics(),
    log: { debug: () => {}, info: () => {}, error: (fields) => console.error(fields) },
    health_checks: [],
    version: 'test',
    config: {
      host: '127.0.0.1',
      port: 0,
      max_request_body_bytes: 1_048_576,
      request_timeout_ms: 10_000,
      trusted_proxies: [],
      cors_allowed_origins: ['*'],
      cors_allow_credentials: false,
      rate_limit_requests: 0,
      rate_limit_window_ms: 60_000,
      sse_keepalive_ms: 15_000,
      check_replies: true,
    },
  });

  const callIn = async (
    project: string,
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
  ): Promise<Answer> => {
    const response = await server.inject({
      method,
      url: path,
      headers: {
        'x-internal-secret': secret,
        'x-project-id': project,
        'content-type': 'application/json',
      },
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    });
    return {
      status: response.statusCode,
      body: JSON.parse(response.body || '{}') as ApiBody,
      headers: response.headers,
    };
  };
  const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown) =>
    callIn('p', method, path, body);

  let made = 0;
  return {
    jobs,
    db: database.db,
    url: database.url,
    /** What ran on the pool outside transactions. */
    statements,
    callIn,
    /** In project `p`. */
    call,
    sql: async (text: string, ...values: unknown[]) =>
      (await database.db.query({ text, values })).rows as Record<string, unknown>[],
    create: async (
      fields: Readonly<Record<string, unknown>> = {},
      project = 'p',
    ): Promise<ApiBody> => {
      const job = {
        name: 'Job',
        slug: `job-${(made += 1)}`,
        endpoint_url: 'https://example.com/run',
      };
      const answer = await callIn(project, 'POST', '/v1/jobs', { ...job, ...fields });
      assert.equal(answer.status, 201, JSON.stringify(answer.body));
      return answer.body;
    },
    refuse: async (
      fields: Readonly<Record<string, unknown>>,
      code: FailureCode,
      ...paths: string[]
    ): Promise<void> => {
      const job = { name: 'Job', slug: 'refused', endpoint_url: 'https://example.com', ...fields };
      const { status, body } = await call('POST', '/v1/jobs', job);
      assert.deepEqual(
        [status, body.code],
        [failures[code].status, code],
        JSON.stringify([fields, body]),
      );
      assert.deepEqual(
        body.details.map(({ path }) => path),
        paths,
      );
    },
    stop: async () => {
      await server.stop(AbortSignal.abort());
      await access.service.stop(AbortSignal.abort());
      await database.drop();
    },
  };
}

/** Every setting at once, none of them at its default. */
export const everything = {
  description: 'All of it',
  cron: '*/5 * * * *',
  timezone: 'Europe/Berlin',
  execution_window_cron: '* 9-17 * * 1-5',
  payload_schema: { type: 'object' },
  result_schema: { type: 'object', required: ['ok'] },
  tags: { team: 'mail' },
  fallback_endpoint_url: 'https://hooks.example.com/b',
  max_attempts: 7,
  timeout_secs: 60,
  max_concurrency: 5,
  max_concurrency_per_key: 2,
  rate_limit_max: 10,
  rate_limit_window_secs: 60,
  rate_limit_keys: [{ name: 'smtp', max: 5, window_secs: 1 }],
  dedup_window_secs: 5,
  run_ttl_secs: 3600,
  retry_strategy: 'custom',
  retry_delays_secs: [1, 5, 30],
  retry_priority_boost: 3,
  poison_pill_threshold: 4,
  version_policy: 'minor',
  backwards_compatible: true,
  default_run_metadata: { origin: 'api' },
  cron_overlap_policy: 'skip',
  cron_catchup: 'all',
  skip_if_running: true,
  debounce_window_secs: 4,
  on_complete_trigger_job: 'next',
  on_complete_payload_mapping: { id: 'order.id' },
  on_failure_trigger_workflow: 'repair',
  on_failure_payload_mapping: { why: 'error' },
  webhook_url: 'https://hooks.example.com/w',
  dlq_alert_threshold: 3,
  queue_depth_alert_threshold: 100,
};
export const secrets = { webhook_secret: 'hush-webhook', endpoint_signing_secret: 'hush-signing' };
