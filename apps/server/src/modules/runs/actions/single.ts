// One run, one action, one transaction: the change and its audit event, or a refusal that names both states.

import type { Clock } from '../../../platform/clock.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { FailureCode } from '../../../domain/failures.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import type { Jobs } from '../../jobs/index.ts';
import { isRunId, type OperatorVerbs, type Queue } from '../../queue/index.ts';
import { findRun } from '../reads/store.sql.ts';
import { preparePayload, refusal } from '../trigger/prepare.ts';
import { scheduleProblem } from '../trigger/rules.ts';
import { startOf } from '../trigger/starts.ts';
import type { TriggerJobs } from '../trigger/trigger.ts';
import { runView, type JobRun } from '../views.ts';
import {
  enqueueReplays,
  isReplayable,
  replayOf,
  replaySources,
  whyNotReplayable,
} from './replay.ts';
import * as store from './store.sql.ts';

export interface RunActionDependencies {
  readonly db: Database;
  readonly operator: OperatorVerbs;
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly jobs: TriggerJobs & RunVersions;
  readonly clock: Clock;
  readonly settings: { readonly max_payload_bytes: number };
}

/** Settings of the version that a run runs. */
export type RunVersions = Pick<Jobs, 'executionConfig'>;

/** Who acts, where, on which run. */
export interface RunTarget {
  readonly project: ProjectScope;
  readonly source: AuditSource;
  readonly run_id: string;
}

type Standing = store.FindStandingRow;

interface Action {
  readonly action: string;
  readonly details?: Readonly<Record<string, unknown>>;
  /** False: refused. */
  readonly change: (
    tx: Tx,
    key: { readonly project_id: string; readonly run_id: string; readonly actor_id: string },
  ) => Promise<boolean>;
  readonly code: FailureCode;
  /** Ends the sentence "the run is <state>: it cannot …". */
  readonly cannot: (standing: Standing) => string;
}

export type RunActions = ReturnType<typeof createRunActions>;

export function createRunActions({
  db,
  operator,
  queue,
  jobs,
  clock,
  settings,
}: RunActionDependencies) {
  const requireStanding = async (tx: Tx, { project, run_id }: RunTarget): Promise<Standing> => {
    const standing = isRunId(run_id)
      ? await store.findStanding(tx, { ...project, run_id })
      : undefined;
    if (!standing) throw new Failure('run_not_found');
    return standing;
  };

  const readRun = async (tx: Tx, project: ProjectScope, run_id: string): Promise<JobRun> => {
    const row = await findRun(tx, { ...project, run_id });
    if (!row) throw new Failure('run_not_found');
    return runView(row);
  };

  const act = (
    target: RunTarget,
    { action, details, change, code, cannot }: Action,
  ): Promise<JobRun> =>
    db.tenant(target.project.project_id, async (tx) => {
      const { project, source, run_id } = target;
      await requireStanding(tx, target);
      if (!(await change(tx, { ...project, run_id, actor_id: source.actor_id }))) {
        const standing = await requireStanding(tx, target);
        throw new Failure(code, {
          message: `the run is ${standing.status}: it cannot ${cannot(standing)}`,
        });
      }
      await recordAudit(tx, project, source, {
        action,
        resource_type: 'run',
        resource_id: run_id,
        details,
      });
      return readRun(tx, project, run_id);
    });

  return {
    /** @throws run_not_found, run_not_cancelable */
    cancel: (target: RunTarget) =>
      act(target, {
        action: 'run.cancelled',
        code: 'run_not_cancelable',
        change: async (tx, { project_id, run_id }) => {
          const input = {
            project_id,
            run_ids: [run_id],
            reason: 'canceled by user',
            child_reason: 'parent run canceled',
          };
          return (await operator.cancel(tx, input)).canceled.includes(run_id);
        },
        cannot: () => 'become canceled',
      }),

    /** @throws run_not_found, run_not_dead_letter */
    replayDeadLetter: (target: RunTarget) =>
      act(target, {
        action: 'run.replayed_deadletter',
        code: 'run_not_dead_letter',
        change: async (tx, { project_id, run_id, actor_id }) =>
          (await operator.replayDeadLetters(tx, { project_id, run_ids: [run_id], actor_id }))
            .length === 1,
        cannot: () => 'become queued again; only dead_letter can',
      }),

    /** @throws run_not_found, run_not_restartable */
    restart: async (target: RunTarget) => {
      // Attempts are counted by the version the run runs, which is not always the live one.
      const standing = await db.tenant(target.project.project_id, (tx) =>
        requireStanding(tx, target),
      );
      const { max_attempts } = await jobs.executionConfig(standing);
      return act(target, {
        action: 'run.restarted',
        code: 'run_not_restartable',
        change: (tx, key) =>
          operator.restart(tx, { ...key, reason: 'restarted by user', max_attempts }),
        cannot: ({ status }) =>
          status === 'executing' || status === 'waiting'
            ? 'become queued: no attempt is left, or none began'
            : 'become queued; only executing and waiting can',
      });
    },

    /** Pausing twice is no error. @throws run_not_found, run_not_pausable */
    pause: (target: RunTarget): Promise<JobRun> =>
      act(target, {
        action: 'run.paused',
        code: 'run_not_pausable',
        change: async (tx, key) =>
          (await operator.hold(tx, key)) || (await requireStanding(tx, target)).held,
        cannot: () => 'be held; only a run that waits to start can',
      }),

    /** @throws run_not_found, run_not_resumable */
    resume: (target: RunTarget) =>
      act(target, {
        action: 'run.resumed',
        code: 'run_not_resumable',
        change: (tx, key) => operator.release(tx, key),
        cannot: () => 'be resumed: it is not paused',
      }),

    /** @throws run_not_found, run_not_reschedulable, invalid_schedule, invalid_payload, payload_too_large */
    reschedule: async (
      target: RunTarget,
      input: { scheduled_at: string; payload?: unknown; ignore_execution_window?: boolean },
    ): Promise<JobRun> => {
      const { scheduled_at: wanted, payload, ignore_execution_window: ignore = false } = input;
      const problem = scheduleProblem(wanted, clock.now());
      if (problem !== undefined)
        throw refusal('invalid_schedule', [{ path: 'body.scheduled_at', message: problem }]);
      const { project_id } = target.project;
      const { job_id } = await db.tenant(project_id, (tx) => requireStanding(tx, target));
      const job = await jobs.findForTrigger(project_id, job_id);
      if (!job) throw new Failure('job_not_found');
      const start = ignore ? undefined : startOf(job, wanted, clock.now());
      const scheduled_at = start?.scheduled_at ?? wanted;
      const delayed_by = start?.delayed_by;
      const { max_payload_bytes } = settings;
      const payload_json =
        payload === undefined
          ? null
          : preparePayload(payload, 'body', { job, jobs, max_payload_bytes }).payload;
      return act(target, {
        action: 'run.rescheduled',
        details: {
          scheduled_at,
          payload_changed: payload !== undefined,
          ...(ignore ? { ignore_execution_window: true } : {}),
        },
        code: 'run_not_reschedulable',
        change: (tx, key) =>
          operator.reschedule(tx, { ...key, scheduled_at, payload_json, delayed_by }),
        cannot: () => 'be rescheduled; only delayed and queued runs that never started can',
      });
    },

    /** @throws run_not_found */
    setDebugMode: (target: RunTarget, debug_mode: boolean): Promise<void> =>
      db.tenant(target.project.project_id, async (tx) => {
        const { project, source, run_id } = target;
        await requireStanding(tx, target);
        await operator.setDebugMode(tx, { ...project, run_id, debug_mode });
        await recordAudit(tx, project, source, {
          action: 'run.debug_mode_set',
          resource_type: 'run',
          resource_id: run_id,
          details: { debug_mode },
        });
      }),

    /** @throws run_not_found, idempotency_key_in_use */
    resetIdempotencyKey: async (target: RunTarget): Promise<{ readonly had_key: boolean }> => {
      let had_key = false;
      await act(target, {
        action: 'run.idempotency_key_reset',
        code: 'idempotency_key_in_use',
        change: async (tx, key) => {
          had_key = (await requireStanding(tx, target)).idempotency_key !== null;
          return operator.clearIdempotencyKey(tx, key);
        },
        cannot: () => 'lose its idempotency key now',
      });
      return { had_key };
    },

    /** The new run. @throws run_not_found, run_not_replayable, checkpoint_not_found, job_disabled */
    replay: (target: RunTarget, from_checkpoint: number | undefined): Promise<JobRun> =>
      db.tenant(target.project.project_id, async (tx) => {
        const { project, source, run_id } = target;
        const { status } = await requireStanding(tx, target);
        if (!isReplayable(status))
          throw new Failure('run_not_replayable', { message: whyNotReplayable(status) });
        const checkpoint =
          from_checkpoint === undefined
            ? undefined
            : await store.findCheckpointState(tx, {
                ...project,
                run_id,
                sequence: from_checkpoint,
              });
        if (from_checkpoint !== undefined && !checkpoint) throw new Failure('checkpoint_not_found');
        const [original] = await replaySources(tx, project, [run_id]);
        if (!original) throw new Failure('run_not_found');
        const resume = checkpoint && { ...checkpoint, sequence: from_checkpoint ?? 0 };
        const [made] = await enqueueReplays(tx, { queue, clock }, [
          replayOf(project, original, source.actor_id, resume),
        ]);
        if (made?.outcome !== 'created') throw new Failure('job_disabled');
        const details = {
          new_run_id: made.id,
          ...(from_checkpoint === undefined ? {} : { from_checkpoint }),
        };
        await recordAudit(tx, project, source, {
          action: 'run.replayed',
          resource_type: 'run',
          resource_id: run_id,
          details,
        });
        return readRun(tx, project, made.id);
      }),
  };
}
