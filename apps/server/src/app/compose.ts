// Puts the product together, layer by layer. What happens when a run leaves its place, which routes exist and
// which services run, in which order: all of it is readable here.

import path from 'node:path';
import { bindingsOf } from './bindings.ts';
import { createEngine } from './engine.ts';
import { createModules } from './modules.ts';
import { queueMetrics } from './queue-metrics.ts';
import type { Config } from './config.ts';
import { createDatabase } from '../platform/db/database.ts';
import { createListener } from '../platform/db/listen.ts';
import { migrate } from '../platform/db/migrate.ts';
import { reachDatabase } from '../platform/db/reachable.ts';
import { ping } from '../platform/db/ping.ts';
import { secureTenantTables } from '../platform/db/tenant-role.ts';
import { createHttpServer } from '../platform/http/server.ts';
import { createLoopMetrics } from '../platform/services/loop-metrics.ts';
import { serviceOf, worstOf } from '../platform/services/supervisor.ts';
import { UP, type Health, type Service } from '../platform/services/service.ts';
import type { Logger } from '../platform/telemetry/log.ts';
import { createMetrics } from '../platform/telemetry/metrics.ts';
import { commonFailures, failures } from '../domain/failures.ts';

export const MIGRATIONS = path.join(import.meta.dirname, '../../migrations');

/** Brings the schema up to date and the tenant role into place; safe for many processes at once. */
export async function prepareDatabase(url: string, log: Logger): Promise<string | undefined> {
  await reachDatabase(url, {
    onWait: (why, wait_ms) => log.warn(`${why}; trying again in ${wait_ms / 1000} s`),
  });
  const { applied } = await migrate(url, {
    directory: MIGRATIONS,
    log: (message) => log.info(message),
  });
  if (applied.length > 0) log.info({ migrations: applied.length }, 'schema is up to date');
  const db = createDatabase({ url, application_name: 'strait-setup', max: 1 });
  try {
    return await db.transaction((tx) => secureTenantTables(tx));
  } finally {
    await db.close();
  }
}

export interface ComposeOptions {
  readonly config: Config;
  readonly url: string;
  readonly log: Logger;
  readonly tenantRole: string | undefined;
  readonly version: string;
  /** Compare every reply with its schema. */
  readonly check_replies: boolean;
}

export type Composition = ReturnType<typeof compose>;

export function compose(options: ComposeOptions) {
  const { config, url, log, tenantRole } = options;
  const { mode } = config.process;
  const metrics = createMetrics();
  const onError = (error: Error): void => log.warn({ err: error }, 'database connection');
  const limits = {
    url,
    tenantRole,
    onError,
    statement_timeout_ms: config.database.statement_timeout_ms,
    lock_timeout_ms: config.database.lock_timeout_ms,
    idle_in_transaction_timeout_ms: config.database.idle_in_transaction_timeout_ms,
  };
  // One connection is the listener's, one for the worker's beats; the hot pool takes a third of the rest.
  const shared = config.database.max_connections - (mode === 'api' ? 1 : 2);
  const hotConnections = Math.max(2, Math.floor(shared / 3));
  const hot = createDatabase({
    ...limits,
    application_name: `strait-${mode}-hot`,
    settings: 'hot',
    max: hotConnections,
  });
  const db = createDatabase({
    ...limits,
    application_name: `strait-${mode}`,
    max: shared - hotConnections,
  });
  const beats = createDatabase({ ...limits, application_name: `strait-${mode}-beat`, max: 1 });
  const listener = createListener({ url, application_name: `strait-${mode}-listen`, onError });

  const firesTotal = metrics.counter({
    name: 'scheduler_cron_triggers_total',
    help: 'Instants of schedules by what became of them',
    labels: ['outcome'],
  });
  const reapedTotal = metrics.counter({
    name: 'workflow_reaper_actions_total',
    help: 'What the reaper of workflow runs had to mend: none in healthy operation',
    labels: ['action'],
  });
  const budgetEvents = metrics.counter({
    name: 'budget_events_total',
    help: 'Daily budgets that reached 80 % or their limit',
  });
  const modules = createModules({
    config,
    db,
    hot,
    beats,
    listener,
    log,
    loopMetrics: createLoopMetrics(metrics),
    countFires: (outcome, fires) => firesTotal.inc({ outcome }, fires),
    onBudgetEvents: (events) => budgetEvents.inc(events),
    onReaped: ({ action }) => reapedTotal.inc({ action }),
  });
  const engine =
    mode === 'api'
      ? undefined
      : createEngine({ ...modules.engineNeeds, config, log, metrics, db, hot, listener });

  queueMetrics(metrics, modules.stats);
  const databaseHealth = async (): Promise<Health> => {
    await ping(db);
    return listener.health().connected
      ? UP
      : { status: 'degraded', message: 'not listening for notifications' };
  };
  const busyShare = (): number => {
    const { total, idle, waiting, max } = db.busy();
    return (total - idle + waiting) / max;
  };
  const background = [...modules.services, ...(engine?.services ?? [])];
  const http = createHttpServer({
    bindings: mode === 'worker' ? [] : bindingsOf(modules),
    access: modules.access.control,
    failures,
    common_failures: commonFailures,
    config: {
      ...config.http,
      host: config.process.host,
      port: config.process.port,
      metrics_token: config.secrets.metrics_token,
      check_replies: options.check_replies,
    },
    log,
    metrics,
    version: options.version,
    // Far beyond what the pool can serve: better an early 503 than a queue nobody waits for.
    overloaded: () => busyShare() > 20,
    health_checks: [
      { name: 'database', critical: true, check: databaseHealth },
      ...(engine ? [{ name: 'worker', critical: false, check: () => engine.worker.health() }] : []),
      { name: 'background work', critical: false, check: () => worstOf(background) },
    ],
  });

  const services: readonly Service[] = [
    serviceOf('databases', {
      stop: async () => void (await Promise.all([db.close(), hot.close(), beats.close()])),
    }),
    serviceOf('listener', {
      start: () => listener.start(),
      stop: () => listener.stop(),
      health: () =>
        listener.health().connected
          ? UP
          : { status: 'degraded', message: listener.health().last_error ?? 'connecting' },
    }),
    ...background,
    http,
    // Last to start and first to stop: while it drains, runs still call home, beat and finish through the API.
    ...(engine ? [engine.worker] : []),
  ];
  return { services, http, db, hot, beats, metrics, modules, engine };
}
