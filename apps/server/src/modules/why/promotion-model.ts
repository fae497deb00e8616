// What promotion (queue/limits/store.sql, promoteLanes) does with one tree, as a function: for trees where money is short,
// whose answer cannot be counted because runs cost differently. Held to the real thing by equivalence.test.ts.

export interface Competitor {
  readonly run_id: string;
  readonly lane_id: number;
  readonly job_lane_id: number | null;
  readonly own_room: number;
  readonly job_room: number;
  /** The endpoint of the job, where it takes only so many at a time, all its jobs together. */
  readonly counted_endpoint: string | null;
  readonly endpoint_room: number;
  readonly project_room: number;
  /** The closed endpoint whose probe this run would be. */
  readonly probes: string | null;
  /** What a run reserves, then what is left for key, job and project; null elements: no such budget. */
  readonly money: readonly (number | null)[] | null;
  /** By the run before. */
  readonly spent: number;
}

/** The room that is left of everything, while runs take it. */
interface Left {
  readonly own: Map<number, number | null>;
  readonly job: Map<number | null, number | null>;
  readonly endpoint: Map<string | null, number>;
  project: number;
  readonly key_money: Map<number, number | null>;
  readonly job_money: Map<number | null, number | null>;
  project_money: number | null;
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

/** One statement: who enters now. `runs` are in the order of their rank. */
function pass(runs: readonly Competitor[], left: Left): Competitor[] {
  const looked = new Map<number, number>();
  const affordable = ({ lane_id, job_lane_id }: Competitor, cost: number): boolean =>
    [left.key_money.get(lane_id), left.job_money.get(job_lane_id), left.project_money].every(
      (money) => fits(cost, money),
    );
  const picked = runs.filter((run) => {
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
  const probes = new Map(picked.toReversed().map((run) => [run.probes, run.run_id]));
  const of_job = new Map<number | null, number>();
  const sums = { lane: new Map<number, number>(), job: new Map<number | null, number>() };
  const of_endpoint = new Map<string | null, number>();
  let of_project = 0;
  let project_cost = 0;
  const entered: Competitor[] = [];
  for (const run of picked) {
    const cost = costOf(run) ?? 0;
    const { lane_id, job_lane_id, counted_endpoint } = run;
    const has_money = run.money !== null;
    const key_left = left.key_money.get(lane_id);
    const job_left = left.job_money.get(job_lane_id);
    const nth = (of_job.get(job_lane_id) ?? 0) + 1;
    of_job.set(job_lane_id, nth);
    const job_cost = (sums.job.get(job_lane_id) ?? 0) + cost;
    sums.job.set(job_lane_id, job_cost);
    const lane_cost = (sums.lane.get(lane_id) ?? 0) + cost;
    sums.lane.set(lane_id, lane_cost);
    if (nth > (left.job.get(job_lane_id) ?? 0)) continue;
    if (run.probes !== null && probes.get(run.probes) !== run.run_id) continue;
    if (has_money && !(fits(job_cost, job_left) && fits(lane_cost, key_left))) continue;
    const nth_there = (of_endpoint.get(counted_endpoint) ?? 0) + 1;
    of_endpoint.set(counted_endpoint, nth_there);
    if (nth_there > (left.endpoint.get(counted_endpoint) ?? 0)) continue;
    of_project += 1;
    project_cost += cost;
    const paid = !has_money || fits(project_cost, left.project_money);
    if (of_project <= left.project && paid) entered.push(run);
  }
  return entered;
}

const lower = <Key>(of: Map<Key, number | null>, key: Key, by: number): void => {
  const now = of.get(key);
  if (typeof now === 'number') of.set(key, now - by);
};

/** The runs that promotion would let in, of these that wait in open lanes, in the order of their rank. */
export function promotable(competitors: readonly Competitor[]): Set<string> {
  const left = leftAtFirst(competitors);
  const admitted = new Set<string>();
  let waiting = competitors;
  for (;;) {
    const entered = pass(waiting, left);
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
