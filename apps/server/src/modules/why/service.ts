// Explains one run from where it stands.

import type { Clock } from '../../platform/clock.ts';
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
import { estimatedStart, jobBlockers, levelBlocker, type Blocker, type Level } from './rules.ts';
import * as store from './store.sql.ts';

export type Why = ReturnType<typeof createWhy>;

export interface WhyDependencies {
  readonly db: Database;
  readonly clock: Clock;
  /** Silence after which a worker counts as gone. */
  readonly lease_ms: number;
}

const HOLDERS = 10;

/** Where those are that hold what a level gives. */
interface Held {
  readonly lane_id: number | null;
  readonly endpoint?: string | null;
}

interface Explained {
  readonly blockers: readonly Blocker[];
  readonly position?: number;
  readonly estimated_start_at?: string | undefined;
}

export function createWhy({ db, clock, lease_ms }: WhyDependencies) {
  const explain = async (
    tx: Tx,
    project: ProjectScope,
    run: store.FindRunPlaceRow,
  ): Promise<Explained> => {
    const of_run = { ...project, run_id: run.id };
    const path = `/v1/runs/${run.id}`;
    switch (run.place) {
      case 'active':
        return { blockers: [] };
      case 'delayed': {
        const until = run.due_at ?? undefined;
        return run.status === 'delayed'
          ? {
              blockers: [
                {
                  kind: 'delayed',
                  message: `scheduled for ${until}`,
                  until,
                  unblock: {
                    method: 'POST',
                    path: `${path}/reschedule`,
                    body: { scheduled_at: new Date(clock.now()).toISOString() },
                  },
                },
                ...jobBlockers(run),
              ],
              estimated_start_at: until,
            }
          : {
              blockers: [
                {
                  kind: 'retry_backoff',
                  message: `attempt ${run.attempt} is due at ${until}`,
                  until,
                },
                ...jobBlockers(run),
              ],
              estimated_start_at: until,
            };
      }
      case 'waiting': {
        const waits = await store.listWaits(tx, of_run);
        if (waits.length > 0) return { blockers: waits.map(waitBlocker) };
        const dependencies = await dependencyStatus(tx, of_run);
        return {
          blockers: dependencies.filter(({ met }) => !met).map((on) => dependencyBlocker(on, run)),
        };
      }
      case 'queue': {
        const { ahead } = await store.countAhead(tx, of_run);
        return { blockers: [...jobBlockers(run), ...workerBlockers(run)], position: ahead };
      }
      case 'parked':
        return explainParked(tx, project, run);
      default:
        return {
          blockers: [
            isTerminal(run.status)
              ? {
                  kind: 'ended',
                  message: `the run is ${run.status}`,
                  ...(run.status === 'dead_letter' && {
                    unblock: { method: 'POST', path: `${path}/dlq-replay` },
                  }),
                }
              : { kind: 'moving', message: 'the run is between two states; ask again' },
          ],
        };
    }
  };

  const explainParked = async (
    tx: Tx,
    project: ProjectScope,
    run: store.FindRunPlaceRow,
  ): Promise<Explained> => {
    if (run.lane_id === 0) {
      const unblock = { method: 'POST', path: `/v1/runs/${run.id}/resume` };
      return {
        blockers: [{ kind: 'held', message: 'held by an operator', unblock }, ...jobBlockers(run)],
      };
    }
    const room = await store.findRoom(tx, { ...project, run_id: run.id });
    // Promoted between the two looks.
    if (!room) return { blockers: workerBlockers(run) };
    const levels: (Level & Held)[] = [
      {
        kind: 'key_limit',
        name: `key ${room.concurrency_key}`,
        cap: room.key_cap,
        in_flight: room.key_in_flight,
        ahead: room.ahead_in_lane,
        lane_id: room.lane_id,
        unblock: raise(run.job_slug, 'max_concurrency_per_key', room.key_cap),
      },
      {
        kind: 'job_limit',
        name: 'the job',
        cap: room.job_cap,
        in_flight: room.job_in_flight,
        ahead: room.ahead_in_job,
        lane_id: room.job_lane_id,
        unblock: raise(run.job_slug, 'max_concurrency', room.job_cap),
      },
      {
        kind: 'endpoint_concurrency',
        name: `endpoint ${room.endpoint}`,
        adapts: true,
        cap: room.endpoint_cap,
        in_flight: room.endpoint_in_flight,
        ahead: room.ahead_at_endpoint,
        lane_id: null,
        endpoint: room.endpoint,
        // Nobody sets it: it grows while the endpoint does well.
        unblock: { method: 'GET', path: `/v1/jobs/${run.job_slug}/endpoint-health` },
      },
      {
        kind: 'project_limit',
        name: 'the project',
        cap: room.project_cap,
        in_flight: room.project_in_flight,
        ahead: room.ahead_in_project,
        lane_id: run.root_lane_id,
      },
    ];
    const limits: Blocker[] = [];
    for (const level of levels) {
      if (!levelBlocker(level, [])) continue;
      const blocker = levelBlocker(level, await holdersOf(tx, project, level));
      if (blocker) limits.push(blocker);
    }
    const blockers = [...jobBlockers({ ...run, ...room }), ...limits, ...budgetBlockers(room, run)];
    const { secs } = await store.recentDuration(tx, { ...project, job_id: run.job_id });
    const caps = [room.key_cap, room.job_cap, room.endpoint_cap, room.project_cap].filter(
      (cap) => cap !== null,
    );
    const ahead = Math.max(
      room.ahead_in_lane,
      room.ahead_in_job,
      room.ahead_at_endpoint,
      room.ahead_in_project,
    );
    return {
      blockers: blockers.length > 0 ? blockers : workerBlockers(run),
      position: ahead,
      estimated_start_at:
        jobBlockers({ ...run, ...room }).length > 0
          ? undefined
          : estimatedStart(clock.now(), ahead, caps.length > 0 ? Math.min(...caps) : null, secs),
    };
  };

  const holdersOf = async (
    tx: Tx,
    project: ProjectScope,
    { lane_id, endpoint = null }: Held,
  ): Promise<string[]> => {
    const rows =
      endpoint !== null
        ? await store.listEndpointHolders(tx, { ...project, endpoint, limit: HOLDERS })
        : lane_id !== null
          ? await store.listHolders(tx, { ...project, lane_id, limit: HOLDERS })
          : [];
    return rows.map(({ run_id }) => run_id);
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

/** A run reserves what it may cost before it is dispatched; with nothing to reserve it starts while anything is left. */
const budgetBlockers = (
  { reserves, money_left }: store.FindRoomRow,
  { job_slug }: store.FindRunPlaceRow,
): Blocker[] =>
  money_left === null || money_left >= Math.max(reserves ?? 0, 1)
    ? []
    : [
        {
          kind: 'budget',
          message: `a daily budget has ${Math.max(money_left, 0)} micro-USD left, the run reserves ${reserves ?? 0}`,
          unblock: { method: 'GET', path: `/v1/jobs/${job_slug}/budget` },
        },
      ];

const raise = (job: string, limit: string, cap: number | null): Blocker['unblock'] => ({
  method: 'PATCH',
  path: `/v1/jobs/${job}`,
  body: { [limit]: (cap ?? 0) + 1 },
});

const workerBlockers = ({ worker_lives }: store.FindRunPlaceRow): Blocker[] =>
  worker_lives ? [] : [{ kind: 'no_worker', message: 'no worker process is alive' }];

const dependencyBlocker = (
  { depends_on_job_id, condition }: DependencyStatusRow,
  { waits_until }: store.FindRunPlaceRow,
): Blocker => ({
  kind: 'dependency',
  message: `waits for a run of job ${depends_on_job_id} to end as ${condition}`,
  until: waits_until ?? undefined,
  unblock: { method: 'POST', path: `/v1/jobs/${depends_on_job_id}/trigger`, body: {} },
});

function waitBlocker({ event_key, expires_at }: store.ListWaitsRow): Blocker {
  const child = /^spawn-await:(.+)$/.exec(event_key)?.[1];
  const until = expires_at ?? undefined;
  return child === undefined
    ? {
        kind: 'waiting_event',
        message: `waits for the event ${event_key}`,
        until,
        unblock: { method: 'POST', path: `/v1/events/${encodeURIComponent(event_key)}/send` },
      }
    : {
        kind: 'waiting_child',
        message: `waits for run ${child} and everything below it`,
        until,
        holders: [child],
        unblock: { method: 'DELETE', path: `/v1/runs/${child}` },
      };
}
