// One attempt, top to bottom: resolve the version, build the request, send it (exchange.ts), settle the run.
// Together with queue/queue.ts this is the whole life of a run.

import type { DelayStep } from '../../domain/delay.ts';
import { isDatabaseError } from '../../platform/db/database.ts';
import type { OutboundReply } from '../../platform/outbound/client.ts';
import { delayIntoWindow, type JobConfig, type Jobs } from '../jobs/index.ts';
import type { ClaimedRun, Completion, Settlement } from '../queue/index.ts';
import { debugHeaders } from './debug-headers.ts';
import { buildRequest, type DispatchRequest, type ResumeFacts } from './request.ts';
import { createExchange, type ExchangeDeps } from './exchange.ts';
import { decideRetry, policyOf, storableText, type AttemptOutcome } from './rules.ts';
import type { Settling } from './settling.ts';

export interface DispatcherDeps extends ExchangeDeps {
  readonly jobs: Pick<Jobs, 'executionConfig' | 'checkResult'>;
  readonly settling: Settling;
  readonly tokenKey: string;
  readonly traceMode: 'off' | 'errors' | 'full';
  /** How long attempts of a job get when it says `timeout_ms`; absent: exactly that. */
  readonly adaptTimeout?: ((job_id: string, timeout_ms: number) => Promise<number>) | undefined;
  /** What earlier attempts and waits left behind; asked only for runs that started before. */
  readonly resumeFacts: (run_id: string) => Promise<ResumeFacts | undefined>;
  readonly onError: (error: unknown, what: string) => void;
  readonly onAttempt: (outcome: AttemptOutcome, duration_ms: number) => void;
}

/** How long a run stays away from an endpoint that is closed; with nothing to wait for, a moment. */
const untilOpen = (probe_in_ms: number): number =>
  Math.round(Math.max(1_000, probe_in_ms) + 1_000 * Math.random());
/** How long a run stays away from a database that could not prepare its attempt. */
const DATABASE_TROUBLE_MS = 1_000;

const delayed = (kind: DelayStep['kind'], delay_ms: number, now_ms: number) => ({
  delay_ms,
  delayed_by: [{ kind, until: new Date(now_ms + delay_ms).toISOString() }],
});

export type AbortReason = 'canceled' | 'shutdown';

/** Why an attempt is being aborted is kept beside the signal: a canceled run owes nothing, a shut down one goes back. */
export interface AttemptControl {
  readonly signal: AbortSignal;
  reason(): AbortReason | undefined;
  /**
   * Whether this process was heard of lately enough to be sure that its leases are still its own. Once it was frozen, what it
   * has not sent may already be another worker's, and the endpoint would work on more than the limits allow.
   */
  mayStart(): boolean;
  /** The version of the job that this attempt runs, when it is not the one the run names. */
  resolved(version: Completion['version']): void;
  /** From here on the attempt's end is known and only has to be stored. */
  finishing(): void;
}

export function createDispatcher(deps: DispatcherDeps) {
  const { jobs, settling, clock } = deps;
  const { admit, forgo, endProbe, exchange } = createExchange(deps);

  /** Runs one attempt of a claimed run and settles it, whatever happens on the way. */
  const execute = async (run: ClaimedRun, control: AttemptControl): Promise<void> => {
    try {
      await attempt(run, control);
    } catch (error) {
      // Ours to mend, and only this run's trouble. Without an end it would be done again under the same attempt.
      deps.onError(error, `attempt of run ${run.id}`);
      control.finishing();
      await settling.settle(engineFault(run, error));
    }
  };

  const attempt = async (run: ClaimedRun, control: AttemptControl): Promise<void> => {
    const begun = clock.monotonic();
    let job: JobConfig;
    let request: DispatchRequest;
    let timeout_ms: number;
    try {
      job = await jobs.executionConfig(run);
      const facts =
        run.attempt > 1 || run.started_before !== null ? await deps.resumeFacts(run.id) : undefined;
      timeout_ms = (run.timeout_secs_override ?? job.timeout_secs) * 1000;
      if (deps.adaptTimeout && run.timeout_secs_override === null)
        timeout_ms = await deps.adaptTimeout(run.job_id, timeout_ms);
      request = buildRequest(run, job, facts, timeout_ms, clock.now(), deps.tokenKey);
    } catch (error) {
      control.finishing();
      // Nothing was sent: a database that is away or busy gives the run back, a job that cannot be read ends it.
      await settling.settle(
        isDatabaseError(error)
          ? {
              ...handBack(run, 'database_unavailable'),
              unstarted: true,
              ...delayed('database_unavailable', DATABASE_TROUBLE_MS, clock.now()),
            }
          : engineFault(run, error),
      );
      return;
    }
    const version =
      job.version === run.job_version ? undefined : ([job.version, job.version_id] as const);
    control.resolved(version);
    const left = (): number => timeout_ms - (clock.monotonic() - begun);
    if (!control.mayStart()) {
      await forgo(run);
      return handBackInDoubt(run, control);
    }
    const entry = await admit(run, job, timeout_ms);
    if (entry.verdict === 'closed') {
      control.finishing();
      // Nothing was sent. Where the job leads there too, the run waits with the others for its endpoint.
      const elsewhere = job.endpoint !== run.live_endpoint;
      await settling.settle({
        ...handBack(run, 'endpoint_closed'),
        unstarted: true,
        ...(elsewhere ? delayed('endpoint_closed', untilOpen(entry.probe_in_ms), clock.now()) : {}),
      });
      return;
    }
    // Again: being let in is a statement, which may have been what took so long.
    if (!control.mayStart()) {
      if (entry.verdict === 'probe') endProbe(run, job.endpoint, timeout_ms);
      return handBackInDoubt(run, control);
    }
    const {
      reply,
      outcome,
      facts: exchangeFacts,
    } = await exchange({
      run,
      job,
      request,
      left,
      is_probe: entry.verdict === 'probe',
      signal: control.signal,
    });
    control.finishing();
    const duration_ms = clock.monotonic() - begun;
    if (reply.ok === false && reply.kind === 'aborted') {
      // Canceled: somebody else ended the run already. Shut down: it goes back, same attempt.
      if (control.reason() === 'shutdown') await settling.settle(handBack(run, 'worker_shutdown'));
      return;
    }
    deps.onAttempt(outcome, duration_ms);
    if (outcome.ok === 'handed_over') {
      await settling.handOver(claimOf(run), () => Math.max(1, left() / 1000));
      return;
    }
    const wanted =
      deps.traceMode === 'full' || run.debug_mode || (deps.traceMode === 'errors' && !outcome.ok);
    const trace = wanted ? traceOf(run, reply, duration_ms) : undefined;
    const event = {
      duration_ms: Math.round(duration_ms),
      status_code: outcome.status_code,
      ...exchangeFacts,
      ...(run.debug_mode
        ? debugHeaders(request.headers, reply.ok ? reply.headers : undefined)
        : {}),
    };
    if (outcome.ok) {
      await settling.complete({
        ...claimOf(run),
        started_at: run.claimed_at,
        result: outcome.result,
        trace,
        version,
        event,
      });
      return;
    }
    await settling.settle(settlementOf(run, job, outcome, event, trace, version, clock.now()));
  };

  /** At once and to its old place, for whoever is sure of his leases: this worker claims nothing until it is (claiming.ts). */
  const handBackInDoubt = async (run: ClaimedRun, control: AttemptControl): Promise<void> => {
    control.finishing();
    await settling.settle({ ...handBack(run, 'lease_in_doubt'), unstarted: true });
  };

  return { execute };
}

export const claimOf = (run: ClaimedRun) => ({
  id: run.id,
  created_at: run.created_at,
  claim_seq: run.claim_seq,
});

/** Back to the queue with attempt and priority unchanged. */
export const handBack = (run: ClaimedRun, reason: string): Settlement => ({
  ...claimOf(run),
  to: 'queued',
  event: { attempt: run.attempt, reason },
  level: 'warn',
  started_at: run.claimed_at,
});

const engineFault = (run: ClaimedRun, error: unknown): Settlement => ({
  ...claimOf(run),
  to: 'system_failed',
  error: storableText(error instanceof Error ? error.message : String(error)),
  error_class: 'internal',
  level: 'error',
  started_at: run.claimed_at,
});

function settlementOf(
  run: ClaimedRun,
  job: JobConfig,
  outcome: Extract<AttemptOutcome, { ok: false }>,
  exchange: Readonly<Record<string, unknown>>,
  trace: unknown,
  version: Settlement['version'],
  now_ms: number,
): Settlement {
  const decision = decideRetry(
    {
      attempt: run.attempt,
      priority: run.priority,
      metadata: run.metadata as Record<string, unknown>,
      error_class: outcome.error_class,
      fingerprint: outcome.fingerprint,
      retry_after_ms: outcome.retry_after_ms,
    },
    policyOf(run, job),
    Math.random(),
  );
  const event = {
    attempt: run.attempt,
    error_class: outcome.error_class,
    ...exchange,
  };
  const shared = {
    ...claimOf(run),
    error: outcome.error,
    error_class: outcome.error_class,
    metadata: decision.metadata,
    trace,
    version,
  };
  if (decision.to === 'queued') {
    const delay = delayIntoWindow(job, decision.delay_ms, now_ms);
    return {
      ...shared,
      to: 'queued',
      attempt: decision.attempt,
      priority: decision.priority,
      ...delay,
      event: { ...event, retry_in_ms: delay.delay_ms },
      level: 'warn',
    };
  }
  return {
    ...shared,
    to: decision.to,
    started_at: run.claimed_at,
    event: decision.poison ? { ...event, poison: true } : event,
    level: 'error',
  };
}

/** Timing breakdown in whole milliseconds; a part shorter than one counts as one. */
function traceOf(run: ClaimedRun, reply: OutboundReply, total_ms: number): Record<string, number> {
  const ready = Math.max(
    ...[run.created_at, run.scheduled_at, run.next_retry_at].map((at) =>
      at === null ? 0 : Date.parse(at),
    ),
  );
  const { connect_ms, ttfb_ms, transfer_ms } = reply.timings;
  const dispatch_ms = connect_ms + ttfb_ms + transfer_ms;
  const trace = {
    queue_wait_ms: Date.parse(run.claimed_at) - ready,
    dequeue_ms: total_ms - dispatch_ms,
    connect_ms,
    ttfb_ms,
    transfer_ms,
    dispatch_ms,
    total_ms,
  };
  return Object.fromEntries(
    Object.entries(trace).map(([key, ms]) => [
      key,
      ms > 0 && ms < 1 ? 1 : Math.max(0, Math.round(ms)),
    ]),
  );
}
