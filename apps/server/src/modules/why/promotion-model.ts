// What promotion (queue/limits/store.sql, promoteLanes) does with one tree, as a function: for trees whose answer cannot be
// counted, because money is short and runs cost differently, or because keys share a job and their turns decide. Held to the
// real thing by equivalence.test.ts.

import { byTurn, levelOf, nextTurns, turnOf, type KeyTurn, type Turn } from './turns.ts';

export interface Competitor {
  readonly run_id: string;
  readonly rank: number;
  readonly seq: number;
  readonly lane_id: number;
  readonly job_lane_id: number | null;
  readonly own_room: number;
  readonly job_room: number;
  /** The endpoint of the job, where it takes only so many at a time, all its jobs together; a probe of it is not counted. */
  readonly counted_endpoint: string | null;
  readonly endpoint_room: number;
  readonly project_room: number;
  /** The closed endpoint whose probe this run would be. */
  readonly probes: string | null;
  /** What a run reserves, then what is left for key, job and project; null elements: no such budget. */
  readonly money: readonly (number | null)[] | null;
  /** By the run before. */
  readonly spent: number;
  /** Where the keys of the job share; all null where they do not. */
  readonly key_min: number | null;
  readonly key_weight: number | null;
  readonly key_slots: number | null;
  readonly turn: number | null;
}

/** What a job, an endpoint or a project without a limit has room for: the size of one statement. */
const MOST = 500;

/** The room that is left of everything, while runs take it. */
interface Left {
  readonly own: Map<number, number | null>;
  readonly job: Map<number | null, number | null>;
  readonly endpoint: Map<string | null, number>;
  project: number;
  readonly key_money: Map<number, number | null>;
  readonly job_money: Map<number | null, number | null>;
  project_money: number | null;
  keys: Map<number, KeyTurn>;
}

const fits = (cost: number, left: number | null | undefined): boolean =>
  left === null || left === undefined || cost <= left;

const costOf = ({ money, spent }: Competitor): number | undefined =>
  money === null ? undefined : Math.max((money[0] ?? 0) - spent, 0);

function leftAtFirst(runs: readonly Competitor[]): Left {
  const money = runs.filter((run) => run.money !== null);
  return {
    own: new Map(runs.map((run) => [run.lane_id, run.own_room])),
    job: new Map(
      runs.map((run) => [
        run.job_lane_id,
        run.job_lane_id === null ? Number.POSITIVE_INFINITY : run.job_room,
      ]),
    ),
    endpoint: new Map(
      runs.map(({ counted_endpoint, endpoint_room }) => [
        counted_endpoint,
        counted_endpoint === null ? Number.POSITIVE_INFINITY : endpoint_room,
      ]),
    ),
    project: runs[0]?.project_room ?? 0,
    key_money: new Map(money.map((run) => [run.lane_id, run.money?.[1] ?? null])),
    job_money: new Map(money.map((run) => [run.job_lane_id, run.money?.[2] ?? null])),
    project_money: money.find((run) => typeof run.money?.[3] === 'number')?.money?.[3] ?? null,
    keys: new Map(
      runs.flatMap(({ lane_id, key_min, key_weight, key_slots, turn }) =>
        key_weight === null
          ? []
          : [
              [
                lane_id,
                { key_min: key_min ?? 0, key_weight, key_slots: key_slots ?? 0, turn: turn ?? 0 },
              ],
            ],
      ),
    ),
  };
}

/** How many of a lane are looked at, as far as money goes: rounded up, the first may have spent part of its own. */
function worthLooking(run: Competitor, left: Left): number {
  if (run.money === null) return Number.POSITIVE_INFINITY;
  const least = Math.min(
    ...[
      left.key_money.get(run.lane_id),
      left.job_money.get(run.job_lane_id),
      left.project_money,
    ].map((money) => money ?? Number.POSITIVE_INFINITY),
  );
  if (least <= 0) return 0;
  const reserve = run.money[0] ?? 0;
  return reserve > 0 ? Math.floor((least - 1) / reserve) + 1 : Number.POSITIVE_INFINITY;
}

/** Slots per weight of the jobs whose keys share, over the keys that can take slots. */
function levelsOf(runs: readonly Competitor[], left: Left): Map<number | null, number> {
  const levels = new Map<number | null, number>();
  for (const [job_lane_id, { open, room }] of openLanes(runs, left)) {
    const keys = open.map((lane_id) => left.keys.get(lane_id) as KeyTurn);
    const slots = keys.reduce((sum, { key_slots }) => sum + key_slots, 0);
    if (keys.length > 0) levels.set(job_lane_id, levelOf(Math.max(room, 0) + slots, keys));
  }
  return levels;
}

/** Lanes with room of jobs whose keys share, and the room of each such job. */
function openLanes(
  runs: readonly Competitor[],
  left: Left,
): Map<number | null, { readonly open: number[]; readonly room: number }> {
  const jobs = new Map<number | null, { open: number[]; room: number }>();
  const seen = new Set<number>();
  for (const { lane_id, job_lane_id, counted_endpoint } of runs) {
    if (seen.has(lane_id) || !left.keys.has(lane_id)) continue;
    seen.add(lane_id);
    const job = jobs.get(job_lane_id) ?? {
      open: [],
      room: Math.min(
        left.job.get(job_lane_id) ?? 0,
        counted_endpoint === null ? MOST : (left.endpoint.get(counted_endpoint) ?? 0),
        left.project,
      ),
    };
    jobs.set(job_lane_id, job);
    if ((left.own.get(lane_id) ?? 0) > 0) job.open.push(lane_id);
  }
  return jobs;
}

/** What is looked at: from each lane the best ranked as far as there is room. `runs` are in the order of their rank. */
function pick(runs: readonly Competitor[], left: Left): Competitor[] {
  const looked = new Map<number, number>();
  const affordable = ({ lane_id, job_lane_id }: Competitor, cost: number): boolean =>
    [left.key_money.get(lane_id), left.job_money.get(job_lane_id), left.project_money].every(
      (money) => fits(cost, money),
    );
  return runs.filter((run) => {
    const n = looked.get(run.lane_id) ?? 0;
    const most = Math.min(
      left.own.get(run.lane_id) ?? 0,
      left.job.get(run.job_lane_id) ?? 0,
      left.endpoint.get(run.counted_endpoint) ?? 0,
      left.project,
      run.probes === null ? Number.POSITIVE_INFINITY : 1,
      worthLooking(run, left),
    );
    if (n >= most) return false;
    looked.set(run.lane_id, n + 1);
    return run.money === null || affordable(run, costOf(run) ?? 0);
  });
}

interface Placed {
  readonly run: Competitor;
  readonly lane_cost: number;
  readonly turn: Turn | null;
  of_job: number;
  job_cost: number;
  /** Where it stands in the project: not always where its own rank is. */
  rank: number;
}

/** Into the order of the project. `me`: the run that is asked about, as whichever of its lane it is. */
function inTurn(
  picked: readonly Competitor[],
  left: Left,
  levels: ReadonlyMap<number | null, number>,
  me?: Me,
): Placed[] {
  const lanes = new Map<number, { k: number; cost: number }>();
  const placed = picked.map((run): Placed => {
    const lane = lanes.get(run.lane_id) ?? { k: 0, cost: 0 };
    lanes.set(run.lane_id, lane);
    lane.k += 1;
    lane.cost += costOf(run) ?? 0;
    const key = left.keys.get(run.lane_id);
    const k = run.run_id === me?.run_id ? me.before_in_lane + 1 : lane.k;
    const turn = key ? turnOf(key, k, levels.get(run.job_lane_id) ?? 0) : null;
    return { run, lane_cost: lane.cost, turn, of_job: 0, job_cost: 0, rank: run.rank };
  });
  for (const of_job of Map.groupBy(placed, ({ run }) => run.job_lane_id).values()) {
    const ranks = of_job.map(({ rank }) => rank);
    let cost = 0;
    for (const [n, one] of of_job.toSorted((a, b) => byTurn(a.turn, b.turn)).entries()) {
      cost += costOf(one.run) ?? 0;
      one.of_job = n + 1;
      one.job_cost = cost;
      if (one.turn !== null) one.rank = ranks[n] ?? one.rank;
    }
  }
  const guaranteed = ({ turn }: Placed) => (turn?.[0] === 0 ? 0 : 1);
  const nth = ({ turn, of_job }: Placed) => (turn === null ? 0 : of_job);
  return placed.toSorted(
    (a, b) =>
      guaranteed(a) - guaranteed(b) || a.rank - b.rank || nth(a) - nth(b) || a.run.seq - b.run.seq,
  );
}

/** One statement: who enters now. */
function pass(runs: readonly Competitor[], left: Left): Competitor[] {
  const probes = new Set<string>();
  const of_endpoint = new Map<string | null, number>();
  let of_project = 0;
  let project_cost = 0;
  const entered: Competitor[] = [];
  for (const { run, ...at } of inTurn(pick(runs, left), left, levelsOf(runs, left))) {
    const { lane_id, job_lane_id, counted_endpoint } = run;
    const has_money = run.money !== null;
    const job_left = left.job_money.get(job_lane_id);
    const key_left = left.key_money.get(lane_id);
    if (at.of_job > (left.job.get(job_lane_id) ?? 0)) continue;
    if (has_money && !(fits(at.job_cost, job_left) && fits(at.lane_cost, key_left))) continue;
    if (run.probes !== null && probes.has(run.probes)) continue;
    if (run.probes !== null) probes.add(run.probes);
    const nth_there = (of_endpoint.get(counted_endpoint) ?? 0) + 1;
    of_endpoint.set(counted_endpoint, nth_there);
    if (nth_there > (left.endpoint.get(counted_endpoint) ?? 0)) continue;
    of_project += 1;
    project_cost += costOf(run) ?? 0;
    const paid = !has_money || fits(project_cost, left.project_money);
    if (of_project <= left.project && paid) entered.push(run);
  }
  return entered;
}

export interface Me {
  readonly run_id: string;
  readonly before_in_lane: number;
}

/** Rooms as they would be, of the lane, the job and the project of the run that is asked about. */
export interface Rooms {
  readonly own?: number;
  readonly job?: number;
  readonly project?: number;
}

export interface Standing {
  readonly ahead_in_job: number;
  readonly ahead_at_endpoint: number;
  readonly ahead_in_project: number;
  /** Another run would be the one that tries the closed endpoint. */
  readonly probe_taken: boolean;
  /** Slots per weight, where the keys of its job share. */
  readonly level: number | null;
}

/** How many go before one run, as one statement cuts, whatever things cost; undefined: it is not among them. */
export function standing(
  competitors: readonly Competitor[],
  me: Me,
  rooms: Rooms = {},
): Standing | undefined {
  const mine = competitors.find(({ run_id }) => run_id === me.run_id);
  if (!mine) return undefined;
  const runs = competitors.map((run) => ({ ...run, money: null }));
  const left = leftAtFirst(runs);
  if (rooms.own !== undefined) left.own.set(mine.lane_id, rooms.own);
  if (rooms.job !== undefined && mine.job_lane_id !== null)
    left.job.set(mine.job_lane_id, rooms.job);
  left.project = rooms.project ?? left.project;
  const picked = new Set(pick(runs, left));
  const looked = runs.filter((run) => picked.has(run) || run.run_id === me.run_id);
  const levels = levelsOf(runs, left);
  const probes = new Set<string>();
  const of_endpoint = new Map<string | null, number>();
  let of_project = 0;
  for (const { run, of_job } of inTurn(looked, left, levels, me)) {
    const { counted_endpoint } = run;
    const there = of_endpoint.get(counted_endpoint) ?? 0;
    if (run.run_id === me.run_id)
      return {
        ahead_in_job: run.job_lane_id === null ? 0 : of_job - 1,
        ahead_at_endpoint: counted_endpoint === null ? 0 : there,
        ahead_in_project: of_project,
        probe_taken: run.probes !== null && probes.has(run.probes),
        level: levels.get(run.job_lane_id) ?? null,
      };
    if (of_job > (left.job.get(run.job_lane_id) ?? 0)) continue;
    if (run.probes !== null && probes.has(run.probes)) continue;
    if (run.probes !== null) probes.add(run.probes);
    of_endpoint.set(counted_endpoint, there + 1);
    if (there < (left.endpoint.get(counted_endpoint) ?? 0)) of_project += 1;
  }
  return undefined;
}

const lower = <Key>(of: Map<Key, number | null>, key: Key, by: number): void => {
  const now = of.get(key);
  if (typeof now === 'number') of.set(key, now - by);
};

/** Keys that were served come later in the next statement. */
function takeTurns(
  waiting: readonly Competitor[],
  entered: readonly Competitor[],
  left: Left,
): void {
  const served = new Map<number, number>();
  for (const { lane_id } of entered) served.set(lane_id, (served.get(lane_id) ?? 0) + 1);
  const job_of = new Map(waiting.map(({ lane_id, job_lane_id }) => [lane_id, job_lane_id]));
  for (const [job_lane_id, { open }] of openLanes(waiting, left)) {
    const of_job = [...left.keys].filter(([lane_id]) => job_of.get(lane_id) === job_lane_id);
    const of_keys = of_job.filter(([lane_id]) => served.has(lane_id));
    if (of_keys.length === 0) continue;
    const taken = new Map(of_keys.map(([lane_id]) => [lane_id, served.get(lane_id) ?? 0]));
    for (const [lane_id, key] of nextTurns(new Map(of_job), new Set(open), taken))
      left.keys.set(lane_id, key);
  }
}

/** The runs that promotion would let in, of these that wait in open lanes, in the order of their rank. */
export function promotable(competitors: readonly Competitor[]): Set<string> {
  const left = leftAtFirst(competitors);
  const admitted = new Set<string>();
  let waiting = competitors;
  for (;;) {
    const entered = pass(waiting, left);
    takeTurns(waiting, entered, left);
    for (const run of entered) {
      admitted.add(run.run_id);
      lower(left.own, run.lane_id, 1);
      lower(left.job, run.job_lane_id, 1);
      lower(left.endpoint, run.counted_endpoint, 1);
      left.project -= 1;
      const cost = costOf(run);
      if (cost === undefined) continue;
      lower(left.key_money, run.lane_id, cost);
      lower(left.job_money, run.job_lane_id, cost);
      if (left.project_money !== null) left.project_money -= cost;
    }
    if (entered.length === 0) return admitted;
    // A probe under way keeps the others of its endpoint out.
    const probed = new Set(entered.map(({ probes }) => probes).filter((probes) => probes !== null));
    waiting = waiting.filter(
      (run) => !admitted.has(run.run_id) && (run.probes === null || !probed.has(run.probes)),
    );
  }
}
