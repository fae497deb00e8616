// One client watching one run: as it is, then every change in order, until the run has ended.
//
// Changes are rows of `workflow_run_events`, written while their writer holds the lock of the run: of one run a smaller id is
// always visible first, so that reading on from the last id misses nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database } from '../../../platform/db/database.ts';
import type { Listener } from '../../../platform/db/listen.ts';
import { Failure } from '../../../platform/failure.ts';
import { shapeOf } from '../../../platform/http/json-reply.ts';
import { streamReply, type EventStream, type StreamReply } from '../../../platform/http/sse.ts';
import type { ProjectScope } from '../../access/index.ts';
import { isOver, type WorkflowRunStatus } from '../engine/states.ts';
import { listEventsAfter, readSnapshot, type ListEventsAfterRow } from './inspection.sql.ts';
import { WorkflowRunSnapshot } from './schemas-reads.ts';
import { findRun } from './store.sql.ts';
import { runView } from './views.ts';

const PAGE = 500;
/** Every change wakes `workflow_live`; this is for notifications that got lost. */
const BACKSTOP_MS = 5_000;
/** A busy run changes all the time; nobody needs to look more often. */
const MIN_INTERVAL_MS = 50;

export interface RunStreamDeps {
  readonly db: Database;
  readonly listener: Pick<Listener, 'on'>;
}

export type RunStreams = ReturnType<typeof createRunStreams>;

interface Followed extends ProjectScope {
  readonly workflow_run_id: string;
  readonly workflow_id: string;
}

export function createRunStreams({ db, listener }: RunStreamDeps) {
  const wakes = createWakes(listener);

  const readAfter = ({ project_id, workflow_run_id }: Followed, after_id: number) =>
    db.tenant(project_id, (tx) =>
      listEventsAfter(tx, { project_id, workflow_run_id, after_id, limit: PAGE }),
    );

  async function follow(stream: EventStream, run: Followed, from_id: number): Promise<void> {
    const waker = wakes.of(run.workflow_run_id);
    let after_id = from_id;
    try {
      while (!stream.signal.aborted) {
        waker.heard();
        const rows = await readAfter(run, after_id);
        const [first] = rows;
        // Retention took it.
        if (!first) return;
        const events = rows.flatMap((row) => (row.id === null ? [] : [{ ...row, id: row.id }]));
        for (const event of events) {
          await stream.send({
            id: String(event.id),
            event:
              event.step_ref === null ? 'workflow_status_change' : 'workflow_step_status_change',
            data: messageOf(event, run),
          });
          after_id = event.id;
        }
        if (events.length === PAGE) continue;
        // What was read is all there was when the run stood like this.
        if (isOver(first.run_status as WorkflowRunStatus)) return;
        await waker.next(stream.signal);
        await sleep(MIN_INTERVAL_MS, undefined, { signal: stream.signal }).catch(() => undefined);
      }
    } finally {
      waker.stop();
    }
  }

  return {
    /** @throws workflow_run_not_found */
    async stream(
      project: ProjectScope,
      workflow_run_id: string,
      last_event_id: string | undefined,
    ): Promise<StreamReply> {
      const key = { ...project, workflow_run_id };
      if (last_event_id !== undefined) {
        const row = await db.tenant(project.project_id, (tx) => findRun(tx, key));
        if (!row) throw new Failure<FailureCode>('workflow_run_not_found');
        const run = { ...key, workflow_id: row.workflow_id };
        return streamReply((stream) => follow(stream, run, eventIdOf(last_event_id)));
      }
      const row = await db.tenant(project.project_id, (tx) => readSnapshot(tx, key));
      if (!row) throw new Failure<FailureCode>('workflow_run_not_found');
      const run = { ...key, workflow_id: row.workflow_id };
      return streamReply(async (stream) => {
        const { steps, event_id, now, ...rest } = row;
        const data = { type: 'snapshot', workflow_run: runView(rest), steps, timestamp: now };
        await stream.send({ id: String(event_id), event: 'snapshot', data: snapshotShape?.(data) });
        await follow(stream, run, event_id);
      });
    },
  };
}

const snapshotShape = shapeOf(WorkflowRunSnapshot);

/** Anything that is no id means all: a client that mixes up ids must not lose events. */
const eventIdOf = (text: string): number => (/^\d{1,15}$/.test(text) ? Number(text) : 0);

function messageOf(event: ListEventsAfterRow, run: Followed) {
  const { step_ref, attempt, created_at: timestamp } = event;
  const { workflow_run_id, workflow_id, project_id } = run;
  const of = { workflow_run_id, workflow_id, project_id };
  const change = { from: event.from_status, to: event.to_status, reason: event.reason, timestamp };
  return step_ref === null
    ? { type: 'workflow_status_change', ...of, ...change }
    : { type: 'workflow_step_status_change', ...of, step_ref, attempt, ...change };
}

interface Waker {
  /** Forgets what was heard so far: a look follows. */
  heard(): void;
  /** Resolves when something was heard since then, or after a while. */
  next(signal: AbortSignal): Promise<void>;
  stop(): void;
}

/** One subscription for all streams of a process; each is woken by its own run only. */
function createWakes(listener: Pick<Listener, 'on'>) {
  const runs = new Map<string, Set<() => void>>();
  let unsubscribe: (() => void) | undefined;

  const hear = (run_id: string): void => {
    // After a reconnect anything may have been missed.
    const sets = run_id === '' ? [...runs.values()] : [runs.get(run_id) ?? new Set<() => void>()];
    for (const set of sets) for (const wake of set) wake();
  };

  return {
    of(run_id: string): Waker {
      let isHeard = false;
      let resolve = (): void => undefined;
      const wake = (): void => {
        isHeard = true;
        resolve();
      };
      const set = runs.get(run_id) ?? new Set();
      runs.set(run_id, set.add(wake));
      unsubscribe ??= listener.on('workflow_live', hear);
      return {
        heard: () => void (isHeard = false),
        async next(signal) {
          if (isHeard || signal.aborted) return;
          const pause = new AbortController();
          const woken = new Promise<void>((done) => (resolve = done));
          const either = AbortSignal.any([signal, pause.signal]);
          await Promise.race([
            woken,
            sleep(BACKSTOP_MS, undefined, { signal: either }).catch(() => undefined),
          ]);
          pause.abort();
        },
        stop() {
          set.delete(wake);
          if (set.size === 0 && runs.get(run_id) === set) runs.delete(run_id);
          if (runs.size > 0) return;
          unsubscribe?.();
          unsubscribe = undefined;
        },
      };
    },
  };
}
