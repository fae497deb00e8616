// Who goes before a run in a tree where keys share a job: by turns, not by rank, so nobody can be counted in SQL.

import type { Tx } from '../../platform/db/database.ts';
import type { ProjectScope } from '../access/index.ts';
import { standing, type Competitor, type Me, type Standing } from './promotion-model.ts';
import type { KeyShare } from './rules.ts';
import * as store from './store.sql.ts';

/** Runs that are looked at; with more of them what can be counted by rank has to do. */
export const COMPETITORS = 5_000;
/** Of each lane, to find out how far a limit would have to be raised. */
const LOOK = 1_000;

export type Room = store.FindRoomRow & { readonly share?: KeyShare | undefined };

interface Needed {
  readonly before_in_job: number;
  readonly before_in_project: number;
}

/** The counts of a room as the turns of keys make them. */
export async function inTurn(
  tx: Tx,
  project: ProjectScope,
  run: store.FindRunPlaceRow,
  room: store.FindRoomRow,
): Promise<Room> {
  const me = { run_id: run.id, before_in_lane: room.before_in_lane };
  const list = async (look: number) => {
    const rows = await store.listCompetitors(tx, {
      ...project,
      root_lane_id: run.root_lane_id ?? 0,
      run_id: run.id,
      look,
      limit: COMPETITORS,
    });
    return rows.length === COMPETITORS ? undefined : rows;
  };
  const many = await list(LOOK);
  const now = standing(many ?? (await list(0)) ?? [], me);
  if (!now) return room;
  const { level, ...counts } = now;
  return { ...room, ...counts, ...before(many, me, room, now), share: shareOf(room, level) };
}

function before(
  many: readonly Competitor[] | undefined,
  me: Me,
  room: store.FindRoomRow,
  now: Standing,
): Needed {
  return (
    (many && needed(many, me)) ?? {
      before_in_job: Math.max(room.before_in_job, now.ahead_in_job),
      before_in_project: Math.max(room.before_in_project, now.ahead_in_project),
    }
  );
}

/**
 * How many go first once there is room for them and the run: with more room the shares of keys grow as well, so rooms are tried.
 * Its key is taken to have room.
 */
export function needed(competitors: readonly Competitor[], me: Me): Needed | undefined {
  const mine = competitors.find(({ run_id }) => run_id === me.run_id);
  if (!mine) return undefined;
  const own = Math.max(mine.own_room, me.before_in_lane + 1);
  const at = (job: number, project: number) =>
    standing(competitors, me, { own, job, project }) as Standing;
  let { job_room: job, project_room: project } = mine;
  for (let n = 0; n < ROUNDS; n++) {
    const { ahead_in_job, ahead_in_project } = at(job, project);
    if (ahead_in_job < job && ahead_in_project < project)
      return {
        before_in_job: job === mine.job_room ? ahead_in_job : job - 1,
        before_in_project: project === mine.project_room ? ahead_in_project : project - 1,
      };
    // With one raised the other may be too little.
    job = least((room) => at(room, project).ahead_in_job < room, job);
    project = least((room) => at(job, room).ahead_in_project < room, project);
  }
  return { before_in_job: competitors.length, before_in_project: competitors.length };
}

const ROUNDS = 6;

/** The least room from this one on that is enough. */
function least(enough: (room: number) => boolean, from: number): number {
  if (enough(from)) return from;
  let [low, high] = [from, Math.max(2 * from, 1)];
  while (!enough(high)) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (enough(middle)) high = middle;
    else low = middle;
  }
  return high;
}

const shareOf = (
  { concurrency_key, key_slots, key_min, key_weight }: store.FindRoomRow,
  level: number | null,
): KeyShare | undefined =>
  key_weight === null || level === null
    ? undefined
    : {
        name: concurrency_key === null ? 'no key' : `key ${concurrency_key}`,
        in_flight: key_slots ?? 0,
        due: Math.max(key_min ?? 0, level * key_weight),
        min: key_min ?? 0,
        weight: key_weight,
      };
