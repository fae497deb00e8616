// What one attempt says to its endpoints and hears from them: the primary, and the fallback within the same attempt and
// deadline when the primary cannot serve (engine-semantics §7.9). Every answer is noted for its endpoint.

import type { Clock } from '../../platform/clock.ts';
import type { OutboundClient, OutboundReply } from '../../platform/outbound/client.ts';
import type { JobConfig, Jobs } from '../jobs/index.ts';
import type { ClaimedRun, Entry } from '../queue/index.ts';
import { findingOf, mayFallBack, type Endpoints } from './endpoints/index.ts';
import type { DispatchRequest } from './request.ts';
import { interpretReply, storableText, type AttemptOutcome } from './rules.ts';

export interface ExchangeDeps {
  readonly jobs: Pick<Jobs, 'checkResult'>;
  readonly outbound: Pick<OutboundClient, 'send'>;
  readonly endpoints: Pick<Endpoints, 'enter' | 'returnPromise' | 'note'>;
  readonly clock: Clock;
  readonly maxResultBytes: number;
}

interface Asked {
  readonly reply: OutboundReply;
  readonly outcome: AttemptOutcome;
}

/** The reply and outcome that decided. */
export interface Exchanged extends Asked {
  /** For the event of the attempt, when the fallback was asked. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface ExchangeInput {
  readonly run: ClaimedRun;
  readonly job: JobConfig;
  readonly request: DispatchRequest;
  /** What is left of the attempt's time, in ms. */
  readonly left: () => number;
  /** The attempt was let through as a probe. */
  readonly is_probe: boolean;
  readonly signal: AbortSignal;
}

/** The endpoint says that it has too much to do. */
const OVERLOADED: ReadonlySet<number | undefined> = new Set([429, 503]);

const OPEN: Entry = { verdict: 'open' };

export function createExchange(deps: ExchangeDeps) {
  const { jobs, outbound, endpoints, clock, maxResultBytes } = deps;
  const atOnce = createPeaks();

  /**
   * The last look before anything is sent. Claims have looked already; asked again is only for the probe that a closed
   * endpoint was promised, and for runs of an older version, which may lead elsewhere than the job that was looked at.
   */
  const admit = async (run: ClaimedRun, job: JobConfig, timeout_ms: number): Promise<Entry> => {
    const elsewhere = job.endpoint !== run.live_endpoint;
    if (!run.probe && !elsewhere) return OPEN;
    const { project_id, id: run_id, claim_seq } = run;
    if (run.probe && elsewhere)
      await endpoints.returnPromise(project_id, run.live_endpoint, run_id);
    return endpoints.enter({ project_id, endpoint: job.endpoint, run_id, claim_seq }, timeout_ms);
  };

  /** A promised probe that is not even asked for: another run may have it. */
  const forgo = async (run: ClaimedRun): Promise<void> => {
    if (run.probe) await endpoints.returnPromise(run.project_id, run.live_endpoint, run.id);
  };

  /** A probe that was let through and found nothing out. Nobody else is until it has ended. */
  const endProbe = (run: ClaimedRun, endpoint: string, timeout_ms: number): void =>
    endpoints.note({
      project_id: run.project_id,
      endpoint,
      finding: undefined,
      latency_ms: 0,
      timeout_ms,
      probe: { run_id: run.id, claim_seq: run.claim_seq },
    });

  const ask = async (
    input: ExchangeInput,
    url: string,
    endpoint: string,
    is_probe: boolean,
  ): Promise<Asked> => {
    try {
      return await askAndNote(input, url, endpoint, is_probe);
    } catch (error) {
      if (is_probe) endProbe(input.run, endpoint, Math.max(1, input.left()));
      throw error;
    }
  };

  const askAndNote = async (
    { run, job, request, left, signal }: ExchangeInput,
    url: string,
    endpoint: string,
    is_probe: boolean,
  ): Promise<Asked> => {
    const begun = clock.monotonic();
    const timeout_ms = Math.max(1, left());
    const leave = atOnce.enter(`${run.project_id} ${endpoint}`);
    let concurrent = 1;
    let reply: OutboundReply;
    try {
      reply = await outbound.send({
        method: 'POST',
        url,
        headers: request.headers,
        body: request.body,
        deadline_ms: timeout_ms,
        max_body_bytes: maxResultBytes,
        signal,
      });
    } finally {
      concurrent = leave();
    }
    const outcome = readReply(reply, job);
    const aborted = !reply.ok && reply.kind === 'aborted';
    endpoints.note({
      project_id: run.project_id,
      endpoint,
      finding: aborted
        ? undefined
        : outcome.ok
          ? 'success'
          : findingOf(outcome.error_class, reply.ok),
      latency_ms: clock.monotonic() - begun,
      timeout_ms,
      overloaded: !outcome.ok && OVERLOADED.has(outcome.status_code),
      concurrent,
      probe: is_probe ? { run_id: run.id, claim_seq: run.claim_seq } : undefined,
    });
    return { reply, outcome };
  };

  const exchange = async (input: ExchangeInput): Promise<Exchanged> => {
    const { run, job, left } = input;
    const primary = await ask(input, input.request.url, job.endpoint, input.is_probe);
    const { outcome } = primary;
    const { fallback_endpoint_url: url, fallback_endpoint: endpoint } = job;
    if (outcome.ok || url === null || endpoint === null || input.signal.aborted)
      return { ...primary, facts: {} };
    if (!mayFallBack(outcome.error_class, left())) return { ...primary, facts: {} };
    const { project_id, id: run_id, claim_seq } = run;
    const entry = await endpoints.enter({ project_id, endpoint, run_id, claim_seq }, left());
    if (entry.verdict === 'closed') return { ...primary, facts: { fallback: 'closed' } };
    const second = await ask(input, url, endpoint, entry.verdict === 'probe');
    const facts = {
      fallback: second.outcome.ok ? 'succeeded' : 'failed',
      primary_error: outcome.error,
      primary_error_class: outcome.error_class,
      primary_status_code: outcome.status_code,
    };
    if (second.outcome.ok || (!second.reply.ok && second.reply.kind === 'aborted'))
      return { ...second, facts };
    const error = `${outcome.error}; fallback: ${second.outcome.error}`;
    return { reply: primary.reply, outcome: { ...outcome, error }, facts };
  };

  const readReply = (reply: OutboundReply, job: JobConfig): AttemptOutcome => {
    if (!reply.ok) {
      const error_class =
        reply.kind === 'timeout' ? 'timeout' : reply.kind === 'forbidden' ? 'client' : 'connection';
      return {
        ok: false,
        error: storableText(reply.message),
        error_class,
        fingerprint: reply.message,
      };
    }
    const outcome = interpretReply(reply, clock.now());
    if (outcome.ok !== true || job.result_schema === null) return outcome;
    const problems = jobs.checkResult(
      job,
      outcome.result === undefined ? null : JSON.parse(outcome.result),
    );
    if (problems.length === 0) return outcome;
    const text = problems
      .map((problem) => `${problem.path} ${problem.message}`)
      .join('; ')
      .slice(0, 1024);
    return {
      ok: false,
      error: `result does not match the schema of the job: ${text}`,
      error_class: 'client',
      status_code: outcome.status_code,
      fingerprint: 'result schema',
    };
  };

  return { admit, forgo, endProbe, exchange };
}

/** How many of a kind are under way at a time. */
function createPeaks() {
  const kinds = new Map<string, { now: number; peak: number }>();
  return {
    /** Leaving answers with the most there were since somebody left last. */
    enter(kind: string): () => number {
      const at = kinds.get(kind) ?? { now: 0, peak: 0 };
      kinds.set(kind, at);
      at.now += 1;
      at.peak = Math.max(at.peak, at.now);
      return () => {
        const { peak } = at;
        at.now -= 1;
        at.peak = at.now;
        if (at.now === 0) kinds.delete(kind);
        return peak;
      };
    },
  };
}
