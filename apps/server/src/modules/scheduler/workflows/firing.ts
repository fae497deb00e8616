// Fires due schedules of workflows, each in a transaction of its own: whatever stops it, an instant was decided completely
// or not at all, and what one workflow suffers from holds up no other.
import { textOf } from '../../../domain/failures.ts';
import { isDatabaseUnavailable, type Database, type Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { projectScope } from '../../access/index.ts';
import { recordAudit } from '../../audit/index.ts';
import { nextFire } from '../../jobs/index.ts';
import type { WorkflowTriggers } from '../../workflows/index.ts';
import { decide } from '../rules.ts';
import { instant, nextOf } from '../schedules.ts';
import * as store from './store.sql.ts';

/** Looked at in one round; then the loop has another. */
const BATCH = 200;
/** When to look again at what is due and held by somebody. */
const HELD_MS = 25;
/** How long a schedule that could not fire is left alone. */
const TROUBLED_MS = 30_000;
const REMOVED = 5_000;
const REPAIRED = 500;
const FIRES_KEPT_SECS = 7 * 86_400;
const ACTOR = 'system:cron';

/** What a workflow is refused with that is no trouble of the scheduler's, by what becomes of the instant. */
const REFUSALS: Readonly<Record<string, 'skipped' | 'refused'>> = {
  workflow_runs_limit_reached: 'skipped',
  workflow_disabled: 'refused',
  workflow_not_found: 'refused',
  workflow_version_not_found: 'refused',
  invalid_workflow: 'refused',
  workflow_policy_refused: 'refused',
};

export type WorkflowFireOutcome = 'created' | 'skipped' | 'missed' | 'refused';

export interface WorkflowScheduling {
  /** The hot pool. */
  readonly db: Database;
  readonly triggers: Pick<WorkflowTriggers, 'start'>;
  readonly settings: { readonly misfire_grace_ms: number };
  readonly onFire?: (outcome: WorkflowFireOutcome) => void;
  /** A fire that made no run, and why. */
  readonly onSkipped: (workflow_id: string, reason: string) => void;
  /** A schedule that could not fire although the database is there; it is tried again later. */
  readonly onTrouble: (error: unknown, workflow_id: string) => void;
}

interface Key {
  readonly project_id: string;
  readonly workflow_id: string;
}

interface Made {
  readonly outcome: WorkflowFireOutcome;
  readonly workflow_run_id: string | null;
  readonly reason: string | null;
}

export type WorkflowScheduler = ReturnType<typeof createWorkflowScheduler>;

export function createWorkflowScheduler(deps: WorkflowScheduling) {
  const { db, triggers, settings, onFire, onSkipped, onTrouble } = deps;
  /** Schedules that are left alone, and until when. */
  const troubled = new Map<string, number>();

  async function start(tx: Tx, key: Key, skip_if_running: boolean): Promise<Made> {
    const none = (outcome: WorkflowFireOutcome, reason: string): Made => ({
      outcome,
      reason,
      workflow_run_id: null,
    });
    if (skip_if_running && (await store.isRunning(tx, key)).running)
      return none('skipped', 'a run of the workflow is active');
    try {
      const workflow_run_id = await triggers.start(
        tx,
        projectScope(key.project_id),
        key.workflow_id,
        { payload: null, triggered_by: 'cron', created_by: ACTOR },
      );
      return { outcome: 'created', workflow_run_id, reason: null };
    } catch (error) {
      const outcome = error instanceof Failure ? REFUSALS[error.code] : undefined;
      // These are found before anything is written, so that the transaction goes on.
      if (outcome === undefined) throw error;
      return none(outcome, textOf(error as Failure));
    }
  }

  /** Undefined: there was nothing to decide, or somebody else does it right now. */
  async function fire(tx: Tx, key: Key): Promise<Made | undefined> {
    const workflow = await store.holdWorkflow(tx, key);
    const due = workflow && (await store.takeDue(tx, key));
    if (!due) return undefined;
    const { cron, timezone } = due;
    const now_ms = Date.parse(due.now);
    const next = nextOf(cron, timezone, now_ms);
    const still = { ...key, fired_at: null, workflow_run_id: null };
    if ('problem' in next) {
      await recordAudit(
        tx,
        key,
        { actor_id: ACTOR, actor_type: 'system' },
        {
          action: 'workflow.schedule_disabled',
          resource_type: 'workflow',
          resource_id: key.workflow_id,
          details: { cron, timezone, problem: next.problem },
        },
      );
      await store.advanceSchedule(tx, { ...still, next_fire_at: null, problem: next.problem });
      return undefined;
    }
    const decision = decide(
      {
        catchup: 'latest',
        overlap_policy: 'allow',
        next_fire_at_ms: Date.parse(due.next_fire_at),
      },
      now_ms,
      settings.misfire_grace_ms,
      (after_ms) => nextFire(cron, timezone, after_ms),
    );
    const at_ms = decision.fires.at(-1) ?? decision.missed;
    const made = at_ms === undefined ? undefined : await make(tx, key, workflow, at_ms, decision);
    const isMade = made?.outcome === 'created' && at_ms !== undefined;
    await store.advanceSchedule(tx, {
      ...key,
      next_fire_at: decision.next === undefined ? null : instant(decision.next),
      problem: null,
      fired_at: isMade ? instant(at_ms) : null,
      workflow_run_id: isMade ? made.workflow_run_id : null,
    });
    return made;
  }

  async function make(
    tx: Tx,
    key: Key,
    { skip_if_running }: store.HoldWorkflowRow,
    at_ms: number,
    { missed }: ReturnType<typeof decide>,
  ): Promise<Made | undefined> {
    const fire_at = instant(at_ms);
    const outcome = at_ms === missed ? 'missed' : 'created';
    if (!(await store.claimFire(tx, { ...key, fire_at, outcome }))) return undefined;
    if (outcome === 'missed') return { outcome, workflow_run_id: null, reason: null };
    const made = await start(tx, key, skip_if_running);
    await store.recordFire(tx, { ...key, fire_at, ...made });
    return made;
  }

  async function fireOne(key: Key): Promise<void> {
    try {
      const made = await db.transaction((tx) => fire(tx, key));
      if (!made) return;
      onFire?.(made.outcome);
      if (made.reason !== null) onSkipped(key.workflow_id, made.reason);
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw error;
      troubled.set(key.workflow_id, performance.now() + TROUBLED_MS);
      onTrouble(error, key.workflow_id);
    }
  }

  return {
    /** Everything that is due now. `next_ms`: until the next fire. */
    round: async (signal: AbortSignal): Promise<{ next_ms?: number }> => {
      const now = performance.now();
      for (const [workflow_id, until] of troubled) if (until <= now) troubled.delete(workflow_id);
      const except = () => ({ except_ids: [...troubled.keys()] });
      for (const key of await store.listDue(db, { ...except(), limit: BATCH })) {
        if (signal.aborted) break;
        await fireOne(key);
      }
      const { in_ms } = await store.nextDue(db, except());
      return in_ms === null ? {} : { next_ms: Math.max(in_ms, HELD_MS) };
    },

    removeOldFires: async (): Promise<{ again: boolean }> => ({
      again:
        (await store.removeOldFires(db, { retention_secs: FIRES_KEPT_SECS, limit: REMOVED })) ===
        REMOVED,
    }),

    /** A net for upgrades: workflows that processes of a version without schedules make or change meanwhile. */
    repair: async (): Promise<void> => {
      await store.repairSchedules(db, { limit: REPAIRED });
      await store.removeStrays(db, { limit: REPAIRED });
    },
  };
}
