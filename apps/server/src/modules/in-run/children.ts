// Runs that a run starts: children, and continuations of itself. The new row is written under the parent's lease,
// so a cancel of the parent comes either before, and there is no child, or after, and finds it.

import type { FailureCode } from '../../domain/failures.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { Credentials } from '../../platform/http/access-control.ts';
import type { AnyCaller } from '../access/index.ts';
import { awaitKey, openWait } from '../events/index.ts';
import type { Jobs, TriggerJob } from '../jobs/index.ts';
import {
  givenPriority,
  leases,
  type Lease,
  type NewRun,
  type Queue,
  type RunClaim,
  type RunStatus,
  type WaitingVerbs,
} from '../queue/index.ts';
import {
  canonicalJson,
  deferred,
  runDetailLimits,
  runDetails,
  runMetadata,
  runView,
} from '../runs/index.ts';
import { limits } from './contract.ts';
import { leaseLost, type Fence } from './fence.ts';
import { detailsAt } from './rules.ts';

/** Checks the key of another project. Throws `unauthorized`, `forbidden`. */
export interface TargetAccess {
  authenticate(credentials: Credentials): Promise<AnyCaller>;
  authorize(
    caller: AnyCaller,
    permission: string,
    target: { project_id: string | undefined; params: Readonly<Record<string, string>> },
  ): Promise<boolean>;
}

export interface ChildrenDeps {
  readonly db: Database;
  readonly fence: Fence;
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly waiting: Pick<WaitingVerbs, 'wait'>;
  readonly jobs: Pick<Jobs, 'findForTrigger' | 'checkPayload'>;
  readonly access: TargetAccess;
  readonly clock: Pick<Clock, 'now'>;
  readonly max_payload_bytes: number;
}

export interface SpawnRequest {
  readonly job: string;
  readonly project_id?: string | undefined;
  readonly target_api_key?: string | undefined;
  readonly payload?: unknown;
  readonly priority?: number | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly ttl_secs?: number | undefined;
  readonly await_completion: boolean;
  readonly await_timeout_secs: number;
}

const refusal = (code: FailureCode, message?: string) =>
  new Failure<FailureCode>(code, message === undefined ? {} : { message });

export function createChildren({
  db,
  fence,
  queue,
  waiting,
  jobs,
  access,
  clock,
  max_payload_bytes,
}: ChildrenDeps) {
  /** The caller is a run: for a project that is not its own it must show a key of that project. */
  const targetProject = async (
    own: string,
    { project_id, target_api_key }: SpawnRequest,
  ): Promise<string> => {
    if (project_id === undefined || project_id === own) return own;
    if (!target_api_key)
      throw refusal('unauthorized', 'another project needs a target_api_key of it');
    const caller = await access.authenticate({
      headers: { authorization: `Bearer ${target_api_key}` },
    });
    if (caller.kind !== 'api_key') throw refusal('unauthorized');
    if (caller.project_id !== project_id)
      throw refusal('project_mismatch', 'target_api_key does not belong to this project');
    await access.authorize(caller, 'jobs:trigger', { project_id, params: {} });
    return project_id;
  };

  const requireJob = async (project_id: string, job: string): Promise<TriggerJob> => {
    const found = await jobs.findForTrigger(project_id, job);
    if (!found) throw refusal('job_not_found');
    if (!found.enabled) throw refusal('job_disabled');
    return found;
  };

  /** Canonical text; an absent payload is checked as null and stored as `{}`, as in a trigger. */
  const payloadOf = (job: TriggerJob, payload: unknown): string => {
    const text = canonicalJson(payload ?? (payload === undefined ? {} : null));
    if (Buffer.byteLength(text) > max_payload_bytes)
      throw refusal('payload_too_large', `the payload is larger than ${max_payload_bytes} bytes`);
    const details = detailsAt('body.payload', jobs.checkPayload(job, payload));
    if (details.length > 0) throw new Failure<FailureCode>('invalid_payload', { details });
    return text;
  };

  const refuseDepth = (lease: Lease): void => {
    if (lease.lineage_depth >= limits.lineage_depth)
      throw refusal(
        'lineage_too_deep',
        `the run has ${limits.lineage_depth} ancestors, as many as it may`,
      );
  };

  const enqueue = async (tx: Tx, job: TriggerJob, run: NewRun) => {
    const [created] = await queue.enqueueMany([await deferred(tx, job, run, clock.now())], tx);
    if (created?.outcome !== 'created') throw refusal('job_disabled');
    return created;
  };

  const spawnChild = async (tx: Tx, job: TriggerJob, run: NewRun, parent_id: string) => {
    if (!(await runDetails.maySpawn(tx, parent_id))) {
      throw refusal(
        'invalid_request',
        `the run has spawned ${runDetailLimits.children} runs, as many as it may`,
      );
    }
    return enqueue(tx, job, run);
  };

  /**
   * The child, the wait for it and the parent's way into `waiting`, or none of them. The parent's lease is taken away
   * instead of being shared first, because raising a shared lock can deadlock; and it is locked before the child is made,
   * which may take the lane that an end of the parent waits for.
   */
  const spawnAndWait = (claim: RunClaim, job: TriggerJob, run: NewRun, timeout_secs: number) =>
    fence.attempt(claim, async () => {
      const lease = await fence.look(claim);
      if (lease.waiting) throw refusal('run_not_executing');
      return db.transaction(async (tx) => {
        await leases.serialize(tx, claim.run_id);
        const { claim_seq } = lease;
        if (!(await leases.lockToEnd(tx, { run_id: lease.id, claim_seq }))) throw leaseLost;
        const child = await spawnChild(tx, job, run, claim.run_id);
        const wait = {
          project_id: lease.project_id,
          run_id: lease.id,
          event_key: awaitKey(child.id),
        };
        if (!(await waiting.wait(tx, { ...wait, claim_seq }))) throw leaseLost;
        await openWait(tx, {
          ...wait,
          timeout_secs,
          request_payload: { run_id: child.id, job_id: run.job_id, project_id: run.project_id },
        });
        return child;
      });
    });

  return {
    spawn: async (claim: RunClaim, request: SpawnRequest) => {
      const parent = await fence.look(claim);
      if (request.await_completion && parent.waiting) throw refusal('run_not_executing');
      refuseDepth(parent);
      const project_id = await targetProject(parent.project_id, request);
      const job = await requireJob(project_id, request.job);
      const run: NewRun = {
        job_id: job.id,
        project_id,
        payload: payloadOf(job, request.payload),
        priority: request.priority ?? parent.priority,
        extra: {
          triggered_by: 'spawn',
          created_by: `run:${parent.id}`,
          parent_run_id: parent.id,
          lineage_depth: parent.lineage_depth + 1,
          tags: request.tags,
          ttl_secs: request.ttl_secs,
          metadata: runMetadata({
            metadata: request.metadata,
            payload: request.payload,
            traceparent: parent.metadata['_trace_parent'],
            tracestate: parent.metadata['_trace_state'],
          }),
        },
      };
      const child = request.await_completion
        ? await spawnAndWait(claim, job, run, request.await_timeout_secs)
        : await fence.write(claim, (tx) => spawnChild(tx, job, run, parent.id), 'alone');
      return {
        id: child.id,
        job_id: job.id,
        project_id,
        status: child.status as RunStatus,
        parent_run_id: parent.id,
        triggered_by: 'spawn' as const,
        await_completion: request.await_completion ? (true as const) : undefined,
        await_event_key: request.await_completion ? awaitKey(child.id) : undefined,
      };
    },

    /** The same job again, with the payload given or that of this run; this run goes on and ends by itself. */
    continue: async (claim: RunClaim, request: { readonly payload?: unknown }) => {
      const current = await fence.look(claim);
      refuseDepth(current);
      const { project_id } = current;
      const job = await requireJob(project_id, current.job_id);
      const given = request.payload === undefined ? undefined : payloadOf(job, request.payload);
      return fence.write(claim, async (tx) => {
        const run = await runDetails.run(tx, { run_id: current.id, project_id });
        if (!run) throw refusal('run_not_found');
        const own = Object.entries(run.metadata).filter(
          ([key]) => !key.startsWith('_') || key.startsWith('_trace_'),
        );
        const { id } = await enqueue(tx, job, {
          job_id: job.id,
          project_id,
          payload: given ?? canonicalJson(run.payload ?? {}),
          priority: givenPriority(run),
          extra: {
            triggered_by: 'continuation',
            created_by: `run:${run.id}`,
            continuation_of: run.id,
            lineage_depth: run.lineage_depth + 1,
            tags: run.tags,
            metadata: Object.fromEntries(own),
            concurrency_key: run.concurrency_key ?? undefined,
          },
        });
        const continuation = await runDetails.run(tx, { run_id: id, project_id });
        if (!continuation) throw refusal('run_not_found');
        return runView(continuation);
      });
    },
  };
}
