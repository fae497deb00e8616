// Why a run that waits in a lane is not promoted: counted from the same rows that promotion cuts (lane_rooms,
// endpoint_rooms).

import type { Tx } from '../../platform/db/database.ts';
import type { ProjectScope } from '../access/index.ts';
import { budgetBlockers } from './budget-rules.ts';
import { promotable } from './promotion-model.ts';
import {
  endpointBlocker,
  isFull,
  levelBlocker,
  type Blocker,
  type Call,
  type Level,
} from './rules.ts';
import * as store from './store.sql.ts';

const HOLDERS = 10;
/** Runs that are played through where money is short; with more of them the counts have to do. */
const COMPETITORS = 5_000;

type Room = store.FindRoomRow;
type Run = store.FindRunPlaceRow;

interface LevelInLane extends Level {
  /** Where those are that hold its room; null for what is none. */
  readonly lane_id: number | null;
  readonly endpoint: string | null;
  /** All better ranked runs in open lanes, counted to 1000. */
  readonly before: number;
}

const levelsOf = (room: Room, run: Run): LevelInLane[] => [
  {
    kind: 'key_limit',
    name: `key ${room.concurrency_key}`,
    cap: room.key_cap,
    in_flight: room.key_in_flight,
    ahead: room.before_in_lane,
    before: room.before_in_lane,
    lane_id: room.lane_id,
    endpoint: null,
  },
  {
    kind: 'job_limit',
    name: 'the job',
    cap: room.job_cap,
    in_flight: room.job_in_flight,
    ahead: room.ahead_in_job,
    before: room.before_in_job,
    lane_id: room.job_lane_id,
    endpoint: null,
  },
  {
    kind: 'endpoint_concurrency',
    name: `endpoint ${room.counted_endpoint}`,
    cap: room.endpoint_cap,
    in_flight: room.endpoint_in_flight,
    ahead: room.ahead_at_endpoint,
    before: room.before_at_endpoint,
    lane_id: null,
    endpoint: room.counted_endpoint,
  },
  {
    kind: 'project_limit',
    name: 'the project',
    cap: room.project_cap,
    in_flight: room.project_in_flight,
    ahead: room.ahead_in_project,
    before: room.before_in_project,
    lane_id: run.root_lane_id,
    endpoint: null,
  },
];

/** Raises the limit so far that everybody ahead and this run get in. */
async function raise(
  tx: Tx,
  project: ProjectScope,
  run: Run,
  level: LevelInLane,
): Promise<Call | undefined> {
  // Nobody sets that one: it grows by itself while the endpoint does well.
  if (level.kind === 'endpoint_concurrency') return undefined;
  const needed = (level.in_flight ?? 0) + level.before + 1;
  const path = `/v1/jobs/${run.job_slug}`;
  if (level.kind === 'key_limit')
    return { method: 'PATCH', path, body: { max_concurrency_per_key: needed } };
  if (level.kind === 'job_limit')
    // A slow endpoint leaves a share of the limit.
    return {
      method: 'PATCH',
      path,
      body: { max_concurrency: Math.ceil(needed / run.endpoint_share) },
    };
  const quotas = await store.findProjectQuotas(tx, project);
  return {
    method: 'PUT',
    path: `/v1/projects/${project.project_id}/quotas`,
    body: { ...quotas, max_executing_runs: needed },
  };
}

/** Whether promotion would let the run in as far as slots and money go; undefined: too many to play through. */
async function isPromotable(tx: Tx, project: ProjectScope, run: Run): Promise<boolean | undefined> {
  const rows = await store.listCompetitors(tx, {
    ...project,
    root_lane_id: run.root_lane_id ?? 0,
    limit: COMPETITORS,
  });
  return rows.length === COMPETITORS ? undefined : promotable(rows).has(run.id);
}

/** Limits and budgets, narrowest first; none: it would be promoted now, if nothing of its job is in the way. */
export async function limitBlockers(
  tx: Tx,
  project: ProjectScope,
  run: Run,
  room: Room,
  of_job: readonly Blocker[],
): Promise<Blocker[]> {
  const enters =
    room.budgeted && of_job.length === 0 ? await isPromotable(tx, project, run) : undefined;
  if (enters === true) return [];
  // Of the runs that may try a closed endpoint again the best ranked one does.
  const blockers = room.probe_taken ? [endpointBlocker(run.probe_at)] : [];
  for (const level of levelsOf(room, run).filter(isFull)) {
    const { lane_id, endpoint } = level;
    const holders = await store.listHolders(tx, { ...project, lane_id, endpoint, limit: HOLDERS });
    const ids = holders.map(({ run_id }) => run_id);
    blockers.push(levelBlocker(level, ids, await raise(tx, project, run, level)));
  }
  const { money } = room;
  if (money !== null) {
    const budgets = await store.findBudgets(tx, { ...project, job_id: run.job_id });
    const before = {
      lane: room.before_in_lane,
      job: room.before_in_job,
      project: room.before_in_project,
    };
    const of = { ...project, job_slug: run.job_slug };
    const behind = enters === false && blockers.length === 0;
    blockers.push(...budgetBlockers(of, money, budgets, before, behind));
  }
  if (enters === false && blockers.length === 0)
    blockers.push({ kind: 'moving', message: 'better ranked runs are let in first; ask again' });
  return blockers;
}

/** Runs that go first where room is short, and how many of them run at a time. */
export function placeOf(room: Room): { ahead: number; at_a_time: number | null } {
  const [cap, ahead] =
    room.project_cap !== null
      ? [room.project_cap, room.before_in_project]
      : room.endpoint_cap !== null
        ? [room.endpoint_cap, room.before_at_endpoint]
        : room.job_cap !== null
          ? [room.job_cap, room.before_in_job]
          : [room.key_cap, room.before_in_lane];
  return { ahead, at_a_time: cap };
}
