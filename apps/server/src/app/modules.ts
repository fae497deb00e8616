// Makes every module, layer by layer, and registers the reactions between them.

import { createKeyring } from '../platform/crypto/keyring.ts';
import type { Database } from '../platform/db/database.ts';
import type { Listener } from '../platform/db/listen.ts';
import { createDatabaseClock } from '../platform/services/database-clock.ts';
import type { LoopFailure, LoopMetrics } from '../platform/services/loop.ts';
import type { Service } from '../platform/services/service.ts';
import type { Logger } from '../platform/telemetry/log.ts';
import { createAccess, seedSystemRoles } from '../modules/access/index.ts';
import { cancelLeftWaits, resumeFacts } from '../modules/events/index.ts';
import { createEndpointReads } from '../modules/executor/index.ts';
import { createInRun } from '../modules/in-run/index.ts';
import {
  createBudgets,
  createProjectQueue,
  createKeyLimits,
  createDependencies,
  createGroups,
  createJobs,
  jobLoops,
} from '../modules/jobs/index.ts';
import { createRateWindows } from '../modules/limits/index.ts';
import { createProjects } from '../modules/projects/index.ts';
import {
  createEndings,
  intake,
  createLimits,
  createMoneyReads,
  createMoneyUpkeep,
  createOperatorVerbs,
  createQueue,
  createRetention,
  createRunHistory,
  createWaitingVerbs,
  partitionsService,
  type LeftReaction,
  type QueueSettings,
} from '../modules/queue/index.ts';
import {
  createChaining,
  createDependencyReads,
  relationLoops,
} from '../modules/relations/index.ts';
import { createRuns, runLoops } from '../modules/runs/index.ts';
import { createStats, createWhatIf, statsLoops } from '../modules/stats/index.ts';
import { createWhy } from '../modules/why/index.ts';
import {
  changeSchedules,
  changeWorkflowSchedule,
  createScheduler,
  createScheduleReads,
  createWorkflowScheduler,
  createWorkflowScheduleReads,
  schedulerLoops,
  workflowSchedulerLoops,
  type Scheduling,
} from '../modules/scheduler/index.ts';
import {
  callbackLoops,
  canaryLoops,
  createDefinitions,
  createPolicies,
  createSimulating,
  createWorkflowRuns,
  definitionLoops,
  jobsInSteps,
  reminderLoops,
  workflowUpkeepLoops,
  type Reaped,
} from '../modules/workflows/index.ts';
import { chainedWorkflows } from './chained-workflows.ts';
import type { EngineLoopDeps } from './engine.ts';
import { createEventParts } from './event-parts.ts';
import { pauseOverBudget } from './over-budget.ts';
import type { Config } from './config.ts';

export interface ModulesDeps {
  readonly config: Config;
  /** Default planner settings; reads and control-plane writes. */
  readonly db: Database;
  /** The queue's own pool. */
  readonly hot: Database;
  /** One connection for the beats of the worker. */
  readonly beats: Database;
  readonly listener: Listener;
  readonly log: Logger;
  readonly loopMetrics: LoopMetrics;
  /** Told what became of instants of schedules. */
  /** What the reaper of workflow runs had to do. */
  readonly onReaped?: (reaped: Reaped) => void;
  readonly countFires?: Scheduling['onFires'];
  /** Budgets that reached 80 % or their limit. */
  readonly onBudgetEvents?: (events: number) => void;
}

export type Modules = ReturnType<typeof createModules>;

export function createModules(deps: ModulesDeps) {
  const { config, db, hot, beats, listener, log, loopMetrics, countFires } = deps;
  const { onBudgetEvents = () => {}, onReaped = () => {} } = deps;
  const { runs: runSettings, secrets } = config;
  const tokenKey = secrets.run_token[0] ?? '';
  const keyring = secrets.encryption && createKeyring(secrets.encryption);
  const onError = (error: unknown, what: string): void => log.warn({ err: error }, what);
  const loopDeps = {
    metrics: loopMetrics,
    on_error: (error: unknown, failure: LoopFailure): void =>
      log.warn({ err: error, ...failure }, 'background loop failed'),
  };
  const clock = createDatabaseClock(db, loopDeps);

  // The queue's, made early: what is limited is set further down.
  const limits = createLimits({
    db: hot,
    onBreach: (breaches) => pauseOverBudget({ jobs, onBudgetEvents }, breaches),
  });

  // 2 ground
  const projects = createProjects({
    db,
    onCreated: seedSystemRoles,
    onQuotasChanged: async (tx, { project_id, limits: changed }) => {
      // In this order: who enqueues may hold the root lane, and takes the room next.
      if (changed.has('max_executing_runs') || changed.has('max_daily_cost_microusd'))
        await limits.changed(tx, { project_id });
      if (changed.has('max_queued_runs')) await intake.forgetRoom(tx, project_id);
    },
  });
  const windows = createRateWindows(db);
  const access = createAccess({
    db,
    projects,
    internal_secrets: secrets.internal,
    run_token_keys: secrets.run_token,
    hitWindow: windows.hit,
    now: clock.now,
  });

  // 3 work
  const queueSettings: QueueSettings = {
    aging_ms: runSettings.priority_aging_secs * 1000,
    default_ttl_secs: runSettings.default_ttl_secs,
    idempotency_retention_secs: runSettings.idempotency_retention_secs,
  };
  const endings = createEndings({ db: hot, settings: queueSettings });
  const history = createRunHistory();
  const jobs = createJobs({
    db,
    keyring,
    outboundPolicy: config.outbound.policy,
    clock,
    history,
    users: jobsInSteps,
    onLimitsChanged: (tx, job) => limits.changed(tx, job),
    onScheduleChanged: changeSchedules,
    defaults: {
      max_attempts: runSettings.default_max_attempts,
      timeout_secs: runSettings.default_timeout_secs,
    },
  });
  const groups = createGroups({ db, jobs, history });
  const dependencies = createDependencies({ db, onChanged: endings.dependenciesChanged });
  const budgets = createBudgets({
    db,
    books: createMoneyReads({ db }),
    onLimitsChanged: (tx, scope) => limits.changed(tx, scope),
  });
  const keyLimits = createKeyLimits({
    db,
    onLimitsChanged: (tx, scope) => limits.changed(tx, scope),
  });
  const projectQueue = createProjectQueue({ db });
  const queue = createQueue({ db: hot, beats, settings: queueSettings });
  const retention = createRetention({
    db: hot,
    settings: {
      short_secs: runSettings.retention_short_secs,
      long_secs: runSettings.retention_long_secs,
      dead_letter_secs: runSettings.dead_letter_retention_secs,
      dead_letters_per_project: runSettings.dead_letters_per_project,
      dead_letters_per_job: runSettings.dead_letters_per_job,
      dead_letter_overflow: runSettings.dead_letter_overflow,
    },
  });
  const waiting = createWaitingVerbs(queueSettings);
  // What else ends when somebody takes runs out of their attempt or wait, in the same transaction.
  const onLeft: LeftReaction[] = [cancelLeftWaits];
  const operator = createOperatorVerbs(queueSettings, onLeft);
  const runs = createRuns({
    db,
    hot,
    listener,
    queue,
    operator,
    jobs,
    clock,
    settings: {
      max_payload_bytes: config.http.max_request_body_bytes,
      max_bulk_items: runSettings.max_bulk_trigger_items,
      default_ttl_secs: runSettings.default_ttl_secs,
      token_key: tokenKey,
      batch_retention_secs: runSettings.retention_long_secs,
    },
    onBudgetEvents,
    onLiveError: (error) => onError(error, 'live streams'),
    onBackgroundError: (error) => onError(error, 'a chunk of a bulk operation'),
  });
  const endpoints = createEndpointReads({ db, jobs });

  // 4 orchestration
  const workflowDefinitions = createDefinitions({
    db,
    outboundPolicy: config.outbound.policy,
    step_cap: config.workflows.step_cap,
    onScheduleChanged: changeWorkflowSchedule,
  });
  const workflowPolicies = createPolicies({ db });
  const { workflows: wf } = config;
  const engineLimits = {
    step_concurrency: wf.step_concurrency,
    small: wf.small_steps,
    medium: wf.medium_steps,
    large: wf.large_steps,
    max_nesting_depth: wf.max_nesting_depth,
    max_payload_bytes: config.http.max_request_body_bytes,
    max_map_items: 10_000,
    max_generations: wf.max_continuations,
  };
  const simulating = createSimulating({
    db,
    definitions: workflowDefinitions,
    limits: engineLimits,
  });
  const workflowRuns = createWorkflowRuns({
    db,
    hot,
    listener,
    queue,
    operator,
    endings,
    jobs,
    limits: engineLimits,
    upkeep: wf,
    onReaped: (reaped) => {
      log.warn(reaped, 'the reaper of workflow runs had something to do');
      onReaped(reaped);
    },
    onWarning: (warning, of) => log.warn(of, warning),
    onError,
  });
  const dependencyReads = createDependencyReads({ db });
  const chaining = createChaining({
    startWorkflow: chainedWorkflows(workflowRuns.triggers),
    db: hot,
    endings,
    queue,
    jobs,
    clock,
    max_payload_bytes: config.http.max_request_body_bytes,
    onError,
  });
  const events = createEventParts({
    db,
    hot,
    listener,
    waiting,
    operator,
    steps: workflowRuns.stepEvents,
    access: access.control,
    retention_secs: runSettings.event_trigger_retention_secs,
    log,
  });
  const inRun = createInRun({
    db: hot,
    queue,
    waiting,
    jobs,
    access: access.control,
    clock,
    outboundPolicy: config.outbound.policy,
    settings: {
      max_result_bytes: config.worker.max_result_bytes,
      max_payload_bytes: config.http.max_request_body_bytes,
    },
    onBudgetEvents,
    ...loopDeps,
  });
  const schedules = createScheduleReads({ db, jobs });
  const scheduler = createScheduler({
    db: hot,
    queue,
    operator,
    settings: { misfire_grace_ms: runSettings.cron_misfire_grace_ms },
    onFires: countFires,
    onTrouble: (error, job_id) => log.warn({ err: error, job_id }, 'a schedule could not fire'),
  });
  const workflowSchedules = createWorkflowScheduleReads({ db, definitions: workflowDefinitions });
  const workflowScheduler = createWorkflowScheduler({
    db: hot,
    triggers: workflowRuns.triggers,
    settings: { misfire_grace_ms: runSettings.cron_misfire_grace_ms },
    onFire: (outcome) => countFires?.(outcome, 1),
    onSkipped: (workflow_id, reason) =>
      log.info({ workflow_id, reason }, 'a fire of a workflow made no run'),
    onTrouble: (error, workflow_id) =>
      log.warn({ err: error, workflow_id }, 'a schedule of a workflow could not fire'),
  });

  // 6 insight
  const stats = createStats({ db, findJob: jobs.findForTrigger });
  const whatIf = createWhatIf({
    db,
    clock,
    aging_ms: queueSettings.aging_ms,
    findJob: jobs.findForTrigger,
  });
  const why = createWhy({ db, lease_ms: config.worker.lease_ms });

  // Heartbeats of endpoints arrive at the API; everything that ends waits runs where the work is done.
  const services: readonly Service[] = [
    clock.loop,
    partitionsService({ ...loopDeps, retention }),
    access.service,
    ...inRun.loops,
  ];
  return {
    projects,
    access,
    jobs,
    history,
    groups,
    dependencies,
    budgets,
    projectQueue,
    keyLimits,
    queue,
    endings,
    waiting,
    operator,
    runs,
    chaining,
    dependencyReads,
    endpoints,
    events: events.service,
    eventUpkeep: events.upkeep,
    emits: events.emits,
    workflowDefinitions,
    workflowPolicies,
    workflowRuns,
    simulating,
    schedules,
    workflowSchedules,
    inRun,
    stats,
    whatIf,
    why,
    services,
    engineNeeds: {
      queue,
      queueSettings,
      jobs,
      clock,
      tokenKey,
      resumeFacts: (run_id: string) => resumeFacts(hot, run_id),
      retention,
      limits,
      moneyUpkeep: createMoneyUpkeep({ db: hot }),
      onBudgetEvents,
      loopDeps,
      /** Upkeep of the other modules, where the work is done. */
      loops: ({ outbound, ...shared }: EngineLoopDeps): readonly Service[] => [
        ...jobLoops({ ...shared, jobs }),
        ...runLoops({ ...shared, ...runs, workOnBulkOperations: runs.background.work }),
        ...relationLoops({ ...shared, chaining, endings, listener }),
        ...events.loops({ ...shared, outbound }),
        ...definitionLoops({ ...shared, definitions: workflowDefinitions }),
        ...workflowUpkeepLoops({ ...shared, ...workflowRuns }),
        ...callbackLoops({ ...shared, callbacks: workflowRuns.callbacks, listener }),
        ...canaryLoops({ ...shared, canaries: workflowRuns.canaries }),
        ...reminderLoops({ ...shared, reminders: workflowRuns.reminders }),
        ...statsLoops({ ...shared, stats }),
        ...schedulerLoops({ ...shared, scheduler, listener }),
        ...workflowSchedulerLoops({ ...shared, scheduler: workflowScheduler, listener }),
      ],
    },
  };
}
