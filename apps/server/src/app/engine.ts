// The part of the composition that executes: worker, mover, upkeep loops.

import { randomUUID } from 'node:crypto';
import type { Clock } from '../platform/clock.ts';
import { isDatabaseUnavailable, type Database } from '../platform/db/database.ts';
import type { Listener } from '../platform/db/listen.ts';
import { createOutboundClient, type OutboundClient } from '../platform/outbound/client.ts';
import { createLeader } from '../platform/services/leader.ts';
import type { LoopDeps } from '../platform/services/loop.ts';
import type { Service } from '../platform/services/service.ts';
import type { Logger } from '../platform/telemetry/log.ts';
import type { Metrics } from '../platform/telemetry/metrics.ts';
import {
  createAdaptiveTimeout,
  createDispatcher,
  createEndpoints,
  createSettling,
  createWorker,
  endpointLoops,
  lostSettlement,
  type ResumeFacts,
} from '../modules/executor/index.ts';
import type { Jobs } from '../modules/jobs/index.ts';
import {
  createEndpointAdmission,
  createMover,
  createPromoter,
  createUpkeep,
  moneyLoops,
  queueLoops,
  type MoneyUpkeep,
  type Queue,
  type QueueSettings,
  type Limits,
  type Retention,
} from '../modules/queue/index.ts';
import type { Config } from './config.ts';

export interface EngineDeps {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly db: Database;
  readonly hot: Database;
  readonly listener: Listener;
  readonly queue: Queue;
  readonly queueSettings: QueueSettings;
  readonly jobs: Jobs;
  /** The database's time. */
  readonly clock: Clock;
  readonly tokenKey: string;
  readonly resumeFacts: (run_id: string) => Promise<ResumeFacts | undefined>;
  readonly retention: Retention;
  readonly limits: Limits;
  readonly moneyUpkeep: MoneyUpkeep;
  readonly onBudgetEvents: (events: number) => void;
  readonly loopDeps: Pick<LoopDeps, 'on_error' | 'metrics'>;
  /** Loops of other modules that belong where the work is done. */
  readonly loops: (shared: EngineLoopDeps) => readonly Service[];
}

export interface EngineLoopDeps extends LoopDeps {
  readonly outbound: OutboundClient;
}

const CHECK_EVERY_MS = 60_000;

/** Services in starting order, the worker that comes after them, and what tests and the demo want to reach. */
export function createEngine(deps: EngineDeps) {
  const { config, log, metrics, queue, jobs, listener } = deps;
  const onError = (error: unknown, what: string): void => log.warn({ err: error }, what);
  const attemptsTotal = metrics.counter({
    name: 'run_attempts_total',
    help: 'Attempts by how they ended',
    labels: ['outcome'],
  });
  const attemptSeconds = metrics.histogram({
    name: 'run_attempt_seconds',
    help: 'From claim to reply',
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 300],
  });
  const reapedTotal = metrics.counter({
    name: 'run_leases_reaped_total',
    help: 'Attempts whose worker or endpoint fell silent',
  });
  const driftTotal = metrics.counter({
    name: 'queue_slot_drift_total',
    help: 'Limits whose count of runs in flight had to be mended',
  });
  const moneyDriftTotal = metrics.counter({
    name: 'budget_drift_total',
    help: 'Sums of a day whose spending had to be mended',
  });
  const violations = metrics.gauge({
    name: 'queue_violations',
    help: 'Findings of the queue checker, by check',
    labels: ['check'],
  });

  const outbound = createOutboundClient({
    policy: config.outbound.policy,
    connections_per_origin: config.outbound.connections_per_origin,
    keep_alive_ms: config.outbound.keep_alive_ms,
  });
  const { worker: settings } = config;
  const settling = createSettling({
    queue,
    max: settings.finish_batch,
    parallel: settings.finish_in_flight,
    pause_ms: settings.finish_wait_ms,
    early: settings.finish_early,
    isUnavailable: isDatabaseUnavailable,
    onError,
  });
  const endpointChanges = metrics.counter({
    name: 'endpoint_changes_total',
    help: 'Changes of circuit breakers, health levels and adaptive limits of endpoints, by what they became',
    labels: ['what', 'to'],
  });
  const endpoints = createEndpoints({
    db: deps.hot,
    admission: createEndpointAdmission({ db: deps.hot }),
    breaker_failures: config.outbound.breaker_failures,
    health_counts: config.outbound.health_counts,
    concurrency: config.outbound.adaptive_concurrency,
    onError,
    onChange: ({ project_id, endpoint, what, to }) => {
      endpointChanges.inc({ what, to });
      log.info({ project_id, endpoint, what, to }, 'endpoint changed');
    },
  });
  const dispatcher = createDispatcher({
    jobs,
    outbound,
    endpoints,
    settling,
    clock: deps.clock,
    tokenKey: deps.tokenKey,
    maxResultBytes: settings.max_result_bytes,
    traceMode: settings.trace_mode,
    adaptTimeout: settings.adaptive_timeout
      ? createAdaptiveTimeout({ db: deps.db, monotonic: deps.clock.monotonic, onError })
      : undefined,
    resumeFacts: deps.resumeFacts,
    onError,
    onAttempt: (outcome, duration_ms) => {
      attemptsTotal.inc({
        outcome:
          outcome.ok === true ? 'ok' : outcome.ok === false ? outcome.error_class : outcome.ok,
      });
      attemptSeconds.observe(duration_ms / 1000);
    },
  });
  const worker = createWorker({
    queue,
    execute: dispatcher.execute,
    settling,
    listener,
    clock: deps.clock,
    settings,
    onError,
  });
  metrics.gauge({
    name: 'runs_executing',
    help: 'Runs in flight in this process',
    collect: (gauge) => gauge.set(worker.executing()),
  });

  const upkeep = createUpkeep({
    db: deps.hot,
    queue,
    settings: {
      ...deps.queueSettings,
      lease_ms: settings.lease_ms,
      stale_ms: settings.stale_threshold_ms,
    },
    settlementOf: (lease) => lostSettlement(lease, jobs, deps.clock.now()),
  });
  const { retention } = deps;
  const leader = createLeader({
    db: deps.db,
    name: 'upkeep',
    holder: randomUUID(),
    on_error: (error) => onError(error, 'leader lease'),
    // Whoever leads now looks at the queue; what this process found last is nobody's finding any more.
    on_change: (leading) => {
      if (!leading) violations.reset();
    },
  });
  const shared = { ...deps.loopDeps, leader };
  const loops = queueLoops({
    ...shared,
    upkeep,
    retention,
    limits: deps.limits,
    db: deps.db,
    listener,
    heartbeat_interval_ms: settings.heartbeat_interval_ms,
    check_interval_ms: CHECK_EVERY_MS,
    onReaped: (runs) => {
      reapedTotal.inc(runs);
      log.warn({ runs }, 'took over attempts of silent workers or endpoints');
    },
    onDrift: (drift) => {
      driftTotal.inc(drift.length);
      log.error({ drift }, 'slots of a limit were counted wrongly; mended');
    },
    onViolations: (found) => {
      violations.reset();
      for (const { check, subject } of found) {
        violations.inc({ check });
        log.error({ check, subject }, 'queue check found a violation');
      }
    },
  });
  const books = moneyLoops({
    ...shared,
    upkeep: deps.moneyUpkeep,
    onTold: deps.onBudgetEvents,
    onDrift: (drift) => {
      moneyDriftTotal.inc(drift.length);
      log.error({ drift }, 'spending of the day was missing in the books; mended');
    },
  });
  const client: Service = {
    name: 'outbound client',
    start: () => Promise.resolve(),
    stop: () => outbound.close(),
    health: () => ({ status: 'up' }),
  };
  const promoter = createPromoter({
    limits: deps.limits,
    listener,
    onError: (error) => onError(error, 'promoter'),
  });
  queue.onFreed(promoter.ask);
  const mover = createMover({ upkeep, listener, onError: (error) => onError(error, 'mover') });
  return {
    /** Without the worker: it stops first, while all of this and the API still serve what it drains. */
    services: [
      client,
      endpoints.service,
      leader,
      ...loops,
      ...books,
      ...deps.loops({ ...shared, outbound }),
      ...endpointLoops({ ...shared, endpoints }),
      promoter,
      mover,
    ] as readonly Service[],
    worker,
    upkeep,
    retention,
    promoter,
    endpoints,
    loops: [...loops, ...books],
  };
}
