// Takes due schedules and makes their runs. One transaction holds the schedules, claims their instants, inserts the runs
// and moves the schedules on: whatever stops it, an instant was decided completely or not at all.

import { isDatabaseUnavailable, type Database, type Tx } from '../../platform/db/database.ts';
import { recordAudit } from '../audit/index.ts';
import { nextFire } from '../jobs/index.ts';
import {
  busyJobs,
  cancelOthers,
  type Enqueued,
  type OperatorVerbs,
  type Queue,
} from '../queue/index.ts';
import { deferAll, payloadHash } from '../runs/index.ts';
import { decide } from './rules.ts';
import { instant, nextOf } from './schedules.ts';
import * as store from './store.sql.ts';

const BATCH = 200;
/** When to look again at what is due and held by another scheduler. */
const HELD_MS = 25;
/** How long a schedule that could not fire is left alone: trying it makes the others of its batch go one by one. */
const TROUBLED_MS = 30_000;
const REMOVED = 5_000;
const REPAIRED = 500;
/** Instants are kept for as long as anybody may ask what became of them; none comes twice after its schedule moved on. */
const FIRES_KEPT_SECS = 7 * 86_400;
const PAYLOAD = '{}';
const ACTOR = 'system:cron';

export interface Scheduling {
  /** The hot pool: schedules are found by their index, runs inserted with its planner settings. */
  readonly db: Database;
  readonly queue: Pick<Queue, 'enqueueMany' | 'keyHolders'>;
  readonly operator: Pick<OperatorVerbs, 'cancel'>;
  readonly settings: { readonly misfire_grace_ms: number };
  readonly onFires?: (outcome: Outcome, fires: number) => void;
  /** A schedule that could not fire although the database is there; it is tried again later. */
  readonly onTrouble: (error: unknown, job_id: string) => void;
}

export type Outcome = 'created' | 'held' | 'skipped' | 'missed' | 'refused';

/** One instant of a schedule and what becomes of it. */
interface Fire {
  readonly job_id: string;
  readonly project_id: string;
  readonly at_ms: number;
  readonly cancels: boolean;
  outcome: Outcome;
  run_id: string | null;
}

interface Taken {
  readonly limit: number;
  readonly cancels: boolean;
  readonly only_job_id?: string;
}

/** Ends a transaction that canceled others for a run that it then could not make. */
class NotMade extends Error {}

export type Scheduler = ReturnType<typeof createScheduler>;

export function createScheduler(deps: Scheduling) {
  const { db, queue, operator, settings, onFires, onTrouble } = deps;
  /** Schedules that are left alone, and until when. */
  const troubled = new Map<string, number>();

  /** Asks the rules; a schedule that cannot be read is turned off in sight instead of stopping the others. */
  const judge = async (tx: Tx, due: store.TakeDueSchedulesRow, busy: boolean) => {
    const { job_id, project_id, cron, timezone, overlap_policy } = due;
    const now_ms = Date.parse(due.now);
    const next = nextOf(cron, timezone, now_ms);
    if ('problem' in next) {
      await recordAudit(
        tx,
        { project_id },
        { actor_id: ACTOR, actor_type: 'system' },
        {
          action: 'job.schedule_disabled',
          resource_type: 'job',
          resource_id: job_id,
          details: { cron, timezone, problem: next.problem },
        },
      );
      return { due, fires: [], next_fire_at: null, problem: next.problem };
    }
    const decision = decide(
      { ...due, next_fire_at_ms: Date.parse(due.next_fire_at) },
      now_ms,
      settings.misfire_grace_ms,
      (after_ms) => nextFire(cron, timezone, after_ms),
    );
    const fire = (at_ms: number, outcome: Outcome): Fire => ({
      job_id,
      project_id,
      at_ms,
      cancels: overlap_policy === 'cancel_running',
      outcome,
      run_id: null,
    });
    const fires = decision.fires.map((at_ms) => fire(at_ms, busy ? 'skipped' : 'created'));
    if (decision.missed !== undefined) fires.push(fire(decision.missed, 'missed'));
    const next_fire_at = decision.next === undefined ? null : instant(decision.next);
    return { due, fires, next_fire_at, problem: null };
  };

  /** What was decided before, by whomever, is not decided again. */
  const claim = async (tx: Tx, fires: readonly Fire[]): Promise<Fire[]> => {
    if (fires.length === 0) return [];
    const claimed = await store.claimFires(tx, {
      job_ids: fires.map(({ job_id }) => job_id),
      project_ids: fires.map(({ project_id }) => project_id),
      fires: fires.map(({ at_ms }) => instant(at_ms)),
      outcomes: fires.map(({ outcome }) => outcome),
    });
    const mine = new Set(claimed.map(({ job_id, fire_at }) => `${job_id} ${Date.parse(fire_at)}`));
    return fires.filter(({ job_id, at_ms }) => mine.has(`${job_id} ${at_ms}`));
  };

  /** Windows and rate limits of jobs move a run; an instant is never refused by them. */
  const makeRuns = async (
    tx: Tx,
    fires: readonly Fire[],
    now_ms: number,
    cancel_last: boolean,
  ): Promise<void> => {
    if (fires.length === 0) return;
    const payload_hash = payloadHash(PAYLOAD);
    const wanted = fires.map(({ job_id, project_id, at_ms }) => ({
      job_id,
      project_id,
      payload: PAYLOAD,
      payload_hash,
      priority: 0,
      idempotency_key: fireKey(job_id, at_ms),
      extra: {
        triggered_by: 'cron',
        created_by: ACTOR,
        metadata: { _cron_fire_time: instant(at_ms) },
      },
    }));
    // Before anything is made: who makes runs may hold the lane that the end of a canceled one waits for.
    const holders = cancel_last ? [] : await queue.keyHolders(wanted, tx);
    let canceled = 0;
    for (const [index, fire] of fires.entries())
      if (!cancel_last && fire.cancels && !holders[index]) canceled += await cancelFor(tx, fire);
    const answers = await queue.enqueueMany(await deferAll(tx, wanted, now_ms), tx);
    for (const [index, fire] of fires.entries()) {
      const answer = answers[index] as Enqueued;
      fire.outcome = answer.outcome;
      fire.run_id = answer.outcome === 'refused' ? null : answer.id;
    }
    await store.recordFires(tx, {
      job_ids: fires.map(({ job_id }) => job_id),
      fires: fires.map(({ at_ms }) => instant(at_ms)),
      outcomes: fires.map(({ outcome }) => outcome),
      run_ids: fires.map(({ run_id }) => run_id),
    });
    if (canceled > 0 && fires.some(({ cancels, outcome }) => cancels && outcome !== 'created'))
      throw new NotMade();
    for (const fire of fires)
      if (cancel_last && fire.cancels && fire.outcome === 'created') await cancelFor(tx, fire);
  };

  const cancelFor = (tx: Tx, { job_id, project_id, run_id }: Fire): Promise<number> =>
    cancelOthers(tx, operator, {
      job_id,
      project_id,
      run_id: run_id ?? '',
      reason: 'canceled by the next scheduled run',
    });

  /** How many schedules there were. */
  const fireDue = (which: Taken): Promise<number> =>
    fireOnce(which, false).catch((error: unknown) => {
      if (!(error instanceof NotMade)) throw error;
      // The key was taken, or the job turned off, in between: this time it is known before anybody is canceled.
      return fireOnce(which, true);
    });

  const fireOnce = async (
    { limit, cancels, only_job_id }: Taken,
    cancel_last: boolean,
  ): Promise<number> => {
    const { schedules, fires } = await db.transaction(async (tx) => {
      const taken = await store.takeDueSchedules(tx, {
        limit,
        cancels,
        only_job_id: only_job_id ?? null,
        except_job_ids: [...troubled.keys()],
      });
      if (taken.length === 0) return { schedules: 0, fires: [] };
      const busy = await busyJobs(
        tx,
        taken.filter(({ overlap_policy }) => overlap_policy === 'skip'),
      );
      const judged = [];
      for (const due of taken) judged.push(await judge(tx, due, busy.has(due.job_id)));
      const mine = await claim(
        tx,
        judged.flatMap((one) => one.fires),
      );
      const due = mine.filter(({ outcome }) => outcome === 'created');
      await makeRuns(tx, due, Date.parse(taken[0]?.now ?? ''), cancel_last);
      const last = new Map(
        due.filter(({ run_id }) => run_id !== null).map((fire) => [fire.job_id, fire]),
      );
      const fired = judged.map((one) => last.get(one.due.job_id));
      await store.advanceSchedules(tx, {
        job_ids: judged.map((one) => one.due.job_id),
        next_fires: judged.map(({ next_fire_at }) => next_fire_at),
        problems: judged.map(({ problem }) => problem),
        fired: fired.map((fire) => (fire ? instant(fire.at_ms) : null)),
        run_ids: fired.map((fire) => fire?.run_id ?? null),
      });
      return { schedules: taken.length, fires: mine };
    });
    for (const [outcome, group] of Map.groupBy(fires, (fire) => fire.outcome))
      onFires?.(outcome, group.length);
    return schedules;
  };

  /** What failed together is tried one by one, so that one job's trouble holds up no other. How many worked. */
  const fireApart = async (cancels: boolean): Promise<number> => {
    const except_job_ids = [...troubled.keys()];
    const due = await store.listDueJobs(db, { cancels, except_job_ids, limit: BATCH });
    let fired = 0;
    for (const { job_id } of due) {
      try {
        fired += await fireDue({ limit: 1, cancels, only_job_id: job_id });
      } catch (error) {
        if (isDatabaseUnavailable(error)) throw error;
        troubled.set(job_id, performance.now() + TROUBLED_MS);
        onTrouble(error, job_id);
      }
    }
    return fired;
  };

  const fireAll = async (cancels: boolean, signal: AbortSignal): Promise<void> => {
    // What is canceled may be many runs: such schedules have a transaction each.
    const limit = cancels ? 1 : BATCH;
    while (!signal.aborted) {
      try {
        if ((await fireDue({ limit, cancels })) < limit) return;
      } catch (error) {
        if (isDatabaseUnavailable(error)) throw error;
        if ((await fireApart(cancels)) === 0) return;
      }
    }
  };

  return {
    /** Everything that is due now. `next_ms`: until the next fire. */
    round: async (signal: AbortSignal): Promise<{ next_ms?: number }> => {
      const now = performance.now();
      for (const [job_id, until] of troubled) if (until <= now) troubled.delete(job_id);
      for (const cancels of [false, true]) await fireAll(cancels, signal);
      const { in_ms } = await store.nextDue(db, { except_job_ids: [...troubled.keys()] });
      return in_ms === null ? {} : { next_ms: Math.max(in_ms, HELD_MS) };
    },

    removeOldFires: async (): Promise<{ again: boolean }> => ({
      again:
        (await store.removeOldFires(db, { retention_secs: FIRES_KEPT_SECS, limit: REMOVED })) ===
        REMOVED,
    }),

    /** A net for upgrades: jobs that processes of a version without schedules make or change meanwhile. */
    repair: async (): Promise<void> => {
      await store.repairSchedules(db, { limit: REPAIRED });
      await store.removeStraySchedules(db, { limit: REPAIRED });
    },
  };
}

const fireKey = (job_id: string, at_ms: number): string => `cron:job:${job_id}:${at_ms / 60_000}`;
