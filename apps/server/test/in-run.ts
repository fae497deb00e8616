// The in-run API and the events API on the real application, with claims made by hand: for tests of what a run may
// do with its token, and of what ends its waits.

import assert from 'node:assert/strict';
import { commonFailures, failures } from '../src/domain/failures.ts';
import {
  createEvents,
  createEventUpkeep,
  cancelLeftWaits,
  eventRoutes,
} from '../src/modules/events/index.ts';
import { createInRun, inRunRoutes } from '../src/modules/in-run/index.ts';
import {
  createOperatorVerbs,
  createWaitingVerbs,
  type RunClaim,
} from '../src/modules/queue/index.ts';
import { systemClock } from '../src/platform/clock.ts';
import { signRunToken } from '../src/platform/crypto/run-token.ts';
import { createHttpServer } from '../src/platform/http/server.ts';
import { createMetrics } from '../src/platform/telemetry/metrics.ts';
import { testConfig } from './app.ts';
import { runActions } from './run-actions.ts';

export type InRunTest = Awaited<ReturnType<typeof inRunTest>>;

export async function inRunTest(options: { readonly max_events?: number } = {}) {
  const base = await runActions();
  const { app, queue } = base;
  const { modules, db } = app.composition;
  const settings = {
    aging_ms: 60_000,
    default_ttl_secs: 86_400,
    idempotency_retention_secs: 86_400,
  };
  const waiting = createWaitingVerbs(settings);
  const operator = createOperatorVerbs(settings, [cancelLeftWaits]);
  const wakes = new Set<(payload: string) => void>();
  const listener = {
    on: (_channel: string, handler: (payload: string) => void) => {
      wakes.add(handler);
      return () => void wakes.delete(handler);
    },
  };
  const unexpected: unknown[] = [];
  const { hot } = app.composition;
  const access = modules.access.control;
  const steps = modules.workflowRuns.stepEvents;
  const events = createEvents({ db, hot, listener, waiting, operator, steps, access });
  const upkeep = createEventUpkeep({
    db: app.composition.hot,
    waiting,
    settings: { retention_secs: 30 * 86_400 },
  });
  const inRun = createInRun({
    db,
    queue,
    waiting,
    jobs: modules.jobs,
    access,
    clock: systemClock,
    outboundPolicy: { ...testConfig(app.url).outbound.policy, allow_private: 'loopback' },
    settings: { max_result_bytes: 100_000, max_payload_bytes: 100_000, ...options },
    on_error: (error) => void unexpected.push(error),
  });
  const http = createHttpServer({
    bindings: [...inRunRoutes(inRun), ...eventRoutes(events)],
    access: modules.access.control,
    failures,
    common_failures: commonFailures,
    config: {
      ...testConfig(app.url).http,
      host: '127.0.0.1',
      port: 0,
      metrics_token: '',
      check_replies: true,
    },
    log: {
      debug: () => undefined,
      info: () => undefined,
      error: (fields) => void unexpected.push(fields),
    },
    metrics: createMetrics(),
    version: 'test',
    health_checks: [],
  });

  const request = async (
    method: string,
    path: string,
    key: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const response = await http.inject({
      method: method as 'GET',
      url: path,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    });
    assert.notEqual(
      response.statusCode,
      500,
      JSON.stringify(unexpected, (_key, value: unknown) =>
        value instanceof Error ? String(value.stack) : value,
      ),
    );
    // A test asserts what it reads; replies are checked against their schemas.
    // oxlint-disable-next-line typescript/no-explicit-any
    const parsed: any = response.payload === '' ? undefined : JSON.parse(response.payload);
    return { status: response.statusCode, headers: response.headers, body: parsed };
  };

  const token = ({ run_id, attempt, claim_seq }: RunClaim) =>
    signRunToken(
      { run_id, attempt, claim_seq, expires_at_secs: Math.floor(Date.now() / 1000) + 600 },
      app.token_key,
    );

  /** Claims the run (which must be queued) as a worker does; the answer calls home with its token. */
  async function start(id: string, attempt = 1) {
    const { claim_seq, created_at } = await base.claim(id);
    await queue.mark([{ id, created_at, claim_seq, started_at: new Date().toISOString() }]);
    return as({ run_id: id, attempt, claim_seq });
  }

  /** Calls of one token. */
  function as(claim: RunClaim) {
    const key = token(claim);
    const call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
      request(method, `/sdk/v1/runs/${claim.run_id}/${path}`, key, body, headers);
    return {
      id: claim.run_id,
      claim,
      call,
      get: (path: string) => call('GET', path),
      post: (path: string, body?: unknown) => call('POST', path, body),
    };
  }

  return {
    ...base,
    http,
    /** As a notification from the database would. */
    wake: () => wakes.forEach((handler) => handler('')),
    inRun,
    upkeep,
    as,
    start,
    token,
    request,
    unexpected,
    /** A new run of a job, already executing. */
    running: async (job: string, body: object = {}) => start(await base.run(job, body)),
    event: (
      method: string,
      key: string,
      what = '',
      body?: unknown,
      api_key = base.project.api_key,
    ) => request(method, `/v1/events/${encodeURIComponent(key)}${what}`, api_key, body),
    status: async (id: string): Promise<string> => (await base.read(id)).status as string,
    operator,
    settings,
    close: async () => {
      await app.sql(`update event_triggers set status = 'canceled' where status = 'waiting'`);
      // No mover runs here: what was to be retried would look forgotten.
      await app.sql(`update run_delayed set due_at = due_at + interval '1 hour'`);
      await http.stop(AbortSignal.timeout(2_000));
      await base.close();
    },
  };
}
