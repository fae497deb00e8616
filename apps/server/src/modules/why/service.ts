// Explains one run from where it stands.

import { z } from 'zod';
import type { DelayStep } from '../../domain/delay.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { ProjectScope } from '../access/index.ts';
import {
  dependencyStatus,
  isRunId,
  isTerminal,
  type DependencyStatusRow,
  type RunStatus,
} from '../queue/index.ts';
import { inTurn, type Room } from './in-turn.ts';
import { limitBlockers, placeOf } from './parked.ts';
import {
  by,
  delayBlockers,
  estimatedStart,
  jobBlockers,
  type Actors,
  type Blocker,
  type Call,
  type JobFacts,
} from './rules.ts';
import * as store from './store.sql.ts';

export type Why = ReturnType<typeof createWhy>;

export interface WhyDependencies {
  readonly db: Database;
  /** Silence after which a worker counts as gone. */
  readonly lease_ms: number;
}

const HOLDERS = 10;
/** Runs that one call cancels. */
const CANCELABLE = 100;

interface Explained {
  readonly blockers: readonly Blocker[];
  readonly position?: number;
  readonly estimated_start_at?: string | undefined;
}

type Run = store.FindRunPlaceRow;

export function createWhy({ db, lease_ms }: WhyDependencies) {
  const actor = async (
    tx: Tx,
    project: ProjectScope,
    resource_type: string,
    resource_id: string,
    action: string,
  ): Promise<string | undefined> =>
    (await store.findActor(tx, { ...project, resource_type, resource_id, action }))?.actor_id ??
    undefined;

  /** Disabled, paused, or a closed endpoint; who paused is looked up only where somebody did. */
  const ofJob = async (
    tx: Tx,
    project: ProjectScope,
    run: Run,
    facts: JobFacts = run,
  ): Promise<Blocker[]> => {
    const actors: Actors = {
      job: facts.job_paused ? await actor(tx, project, 'job', run.job_id, 'job.paused') : undefined,
      group:
        facts.group_paused && run.group_id !== null
          ? await actor(tx, project, 'job_group', run.group_id, 'job_group.paused')
          : undefined,
      project: facts.project_paused
        ? await actor(tx, project, 'project', project.project_id, 'project.queue_paused')
        : undefined,
    };
    return jobBlockers(facts, actors);
  };

  const ofWaits = async (
    tx: Tx,
    project: ProjectScope,
    waits: readonly store.ListWaitsRow[],
  ): Promise<Blocker[]> => {
    const blockers: Blocker[] = [];
    for (const wait of waits) {
      const child = /^spawn-await:(.+)$/.exec(wait.event_key)?.[1];
      if (child === undefined) blockers.push(eventBlocker(wait));
      else {
        const of_child = { ...project, child_id: child, limit: CANCELABLE };
        const alive = isRunId(child) ? await store.listAwaited(tx, of_child) : [];
        blockers.push(
          childBlocker(
            child,
            wait,
            alive.map(({ id }) => id),
          ),
        );
      }
    }
    return blockers;
  };

  /** Jobs that have not ended as asked. A delayed run meets them when it is due; they keep none that was let go before. */
  const ofDependencies = async (tx: Tx, project: ProjectScope, run: Run): Promise<Blocker[]> =>
    run.status === 'delayed' || run.status === 'waiting'
      ? (await dependencyStatus(tx, { ...project, run_id: run.id }))
          .filter(({ met }) => !met)
          .map((on) => dependencyBlocker(on, run))
      : [];

  const explain = async (tx: Tx, project: ProjectScope, run: Run): Promise<Explained> => {
    const of_run = { ...project, run_id: run.id };
    switch (run.place) {
      case 'active':
        return { blockers: [] };
      case 'delayed': {
        const blockers = [
          ...ofDelay(run),
          ...(await ofDependencies(tx, project, run)),
          ...(await ofJob(tx, project, run)),
        ];
        return { blockers, estimated_start_at: lastOf(run.due_at, blockers) };
      }
      case 'waiting': {
        const waits = await store.listWaits(tx, of_run);
        const awaited =
          waits.length > 0
            ? await ofWaits(tx, project, waits)
            : await ofDependencies(tx, project, run);
        return { blockers: [...awaited, ...(await ofJob(tx, project, run))] };
      }
      case 'queue': {
        const { ahead, running } = await store.countAhead(tx, of_run);
        const blockers = [...(await ofJob(tx, project, run)), ...workerBlockers(run)];
        return {
          blockers,
          position: ahead,
          ...(await estimate(tx, project, run, blockers, ahead, running)),
        };
      }
      case 'parked':
        return run.lane_id === 0 ? explainHeld(tx, project, run) : explainParked(tx, project, run);
      default:
        return { blockers: [nowhere(run)] };
    }
  };

  const explainHeld = async (tx: Tx, project: ProjectScope, run: Run): Promise<Explained> => {
    const who = await actor(tx, project, 'run', run.id, 'run.paused');
    const unblock = { method: 'POST', path: `/v1/runs/${run.id}/resume` };
    return {
      blockers: [
        { kind: 'held', message: `held${by(who)}`, unblock },
        ...ofDelay(run),
        ...(await ofDependencies(tx, project, run)),
        ...(await ofJob(tx, project, run)),
      ],
    };
  };

  const explainParked = async (tx: Tx, project: ProjectScope, run: Run): Promise<Explained> => {
    const found = await store.findRoom(tx, { ...project, run_id: run.id });
    // Promoted between the two looks.
    if (!found) return { blockers: workerBlockers(run) };
    const room: Room = found.shares ? await inTurn(tx, project, run, found) : found;
    // A lane of the project knows nothing of its jobs; the claim does. Of probes only the lane knows.
    const of_job = await ofJob(tx, project, run, {
      ...run,
      endpoint_closed: room.job_lane_id === null ? run.endpoint_closed : room.endpoint_closed,
    });
    const limits = await limitBlockers(tx, project, run, room, of_job);
    const blockers = [...of_job, ...limits];
    const { ahead, at_a_time } = placeOf(room);
    return {
      blockers: blockers.length > 0 ? blockers : workerBlockers(run),
      position: ahead,
      ...(await estimate(tx, project, run, of_job, ahead, at_a_time)),
    };
  };

  /** Nothing where nobody can say when the obstacle goes away. */
  const estimate = async (
    tx: Tx,
    project: ProjectScope,
    run: Run,
    obstacles: readonly Blocker[],
    ahead: number,
    at_a_time: number | null,
  ): Promise<{ readonly estimated_start_at?: string | undefined }> => {
    if (obstacles.length > 0) return {};
    const { secs } = await store.recentDuration(tx, { ...project, job_id: run.job_id });
    return { estimated_start_at: estimatedStart(run.now, { ahead, at_a_time, secs }) };
  };

  return {
    /** @throws run_not_found */
    explain: (project: ProjectScope, run_id: string) =>
      db.tenant(project.project_id, async (tx) => {
        const run = isRunId(run_id)
          ? await store.findRunPlace(tx, { ...project, run_id, lease_secs: lease_ms / 1000 })
          : undefined;
        if (!run) throw new Failure('run_not_found');
        const status = run.place === 'active' ? 'executing' : (run.status as RunStatus);
        return { run_id: run.id, status, ...(await explain(tx, project, run)) };
      }),
  };
}

/** When the last of them ends; nothing where nobody can say of one. */
const lastOf = (due_at: string | null, blockers: readonly Blocker[]): string | undefined => {
  const ends = [due_at ?? undefined, ...blockers.map(({ until }) => until)];
  return ends.every((end) => end !== undefined)
    ? ends.reduce((last, end) => (Date.parse(end) > Date.parse(last) ? end : last))
    : undefined;
};

/** What a held run remembers stands among its events, where its own handler writes as well: looked at before it is believed. */
const Reason = z.array(
  z.object({
    kind: z.enum([
      'delayed',
      'retry_backoff',
      'rate_limit',
      'execution_window',
      'endpoint_closed',
      'database_unavailable',
    ] satisfies DelayStep['kind'][]),
    until: z.iso.datetime(),
    limit: z.string().optional(),
  }),
);

function ofDelay(run: Run): Blocker[] {
  const { due_at } = run;
  if (due_at === null) return [];
  const reason = Reason.safeParse(run.reason).data ?? null;
  // What has begun before cannot be given another time.
  const fresh = run.attempt === 1 && run.started_at === null;
  return delayBlockers({ ...run, due_at, reason }, fresh ? startNow(run) : undefined);
}

const startNow = ({ id, now, windowed }: Run): Call => ({
  method: 'POST',
  path: `/v1/runs/${id}/reschedule`,
  body: { scheduled_at: now, ...(windowed ? { ignore_execution_window: true } : {}) },
});

const nowhere = ({ id, status }: Run): Blocker =>
  isTerminal(status as RunStatus)
    ? {
        kind: 'ended',
        message: `the run is ${status}`,
        ...(status === 'dead_letter' && {
          unblock: { method: 'POST', path: `/v1/runs/${id}/dlq-replay` },
        }),
      }
    : { kind: 'moving', message: 'the run is between two states; ask again' };

const workerBlockers = ({ worker_lives }: Run): Blocker[] =>
  worker_lives ? [] : [{ kind: 'no_worker', message: 'no worker process is alive' }];

const dependencyBlocker = (
  { id, job_id, depends_on_job_id, condition }: DependencyStatusRow,
  { waits_until }: Run,
): Blocker => ({
  kind: 'dependency',
  message:
    `waits for a run of job ${depends_on_job_id} to end as ${condition}` +
    (waits_until === null ? '' : `; gives up at ${waits_until}`),
  until: waits_until ?? undefined,
  unblock: { method: 'DELETE', path: `/v1/jobs/${job_id}/dependencies/${id}` },
});

function eventBlocker({ event_key, expires_at }: store.ListWaitsRow): Blocker {
  return {
    kind: 'waiting_event',
    message: `waits for the event ${event_key}`,
    until: expires_at ?? undefined,
    unblock: { method: 'POST', path: `/v1/events/${encodeURIComponent(event_key)}/send` },
  };
}

/** Of a child that has ended what it spawned is awaited; nobody can cancel the child itself any more. */
function childBlocker(
  child: string,
  { expires_at }: store.ListWaitsRow,
  alive: readonly string[],
): Blocker {
  const [only] = alive;
  return {
    kind: 'waiting_child',
    message: `waits for run ${child} and everything below it`,
    until: expires_at ?? undefined,
    holders: alive.length > 0 ? alive.slice(0, HOLDERS) : [child],
    unblock:
      only === undefined
        ? undefined
        : alive.length === 1
          ? { method: 'DELETE', path: `/v1/runs/${only}` }
          : { method: 'POST', path: '/v1/runs/bulk-cancel', body: { run_ids: alive } },
  };
}
