// Random states (100,000 in the long form, which takes seconds) without a database: the counts that the answer is made of, the model of promotion, and the plainest
// promotion there is (best rank first, whoever fits enters) say the same of every run.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { promotionState, type PromotionState } from '../../../test/promotion-states.ts';
import { promotable, type Competitor } from './promotion-model.ts';
import { isFull } from './rules.ts';

const seed = Number(process.env['STRAIT_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const STATES = process.env['STRAIT_SCENARIOS'] === 'full' ? 100_000 : 20_000;

interface Lane {
  readonly id: number;
  readonly job: number;
  readonly key_cap: number | null;
  key_in_flight: number;
}

interface Run {
  readonly id: string;
  readonly rank: number;
  readonly lane: Lane;
  readonly spent: number;
}

interface EndpointState {
  readonly name: string;
  readonly cap: number | null;
  in_flight: number;
}

interface JobState {
  readonly cap: number | null;
  readonly shut: boolean;
  readonly probes: string | null;
  /** Where the endpoint has a limit. */
  readonly endpoint: EndpointState | null;
  readonly reserve: number;
  readonly budget: number | null;
  readonly key_budget: number | null;
  in_flight: number;
}

interface Tree {
  readonly cap: number | null;
  readonly budget: number | null;
  readonly jobs: readonly JobState[];
  readonly waiting: readonly Run[];
  in_flight: number;
}

/** Lanes and what waits in them, best rank first. */
function treeOf(state: PromotionState): Tree {
  const endpoints = new Map(
    state.endpoints.map((endpoint) => {
      const { n, max_in_flight: cap } = endpoint;
      const counted = cap === null ? null : { name: String(n), cap, in_flight: 0 };
      return [n, { ...endpoint, counted }];
    }),
  );
  const jobs = state.jobs.map((job): JobState => {
    const endpoint = endpoints.get(job.endpoint);
    const { max_concurrency } = job;
    const closed = endpoint?.closed ?? false;
    return {
      cap: max_concurrency && Math.max(1, Math.ceil(max_concurrency * (endpoint?.share ?? 1))),
      shut:
        job.paused ||
        !job.enabled ||
        (job.grouped && state.group_paused) ||
        (closed && !endpoint?.due),
      probes: closed ? String(job.endpoint) : null,
      endpoint: endpoint?.counted ?? null,
      reserve: job.estimate ?? 0,
      budget: job.budget,
      key_budget: job.key_budget,
      in_flight: 0,
    };
  });
  const tree = { cap: state.quota, budget: state.project_budget, jobs, in_flight: 0 };
  const lanes = new Map<string, Lane>();
  const waiting: Run[] = [];
  for (const [n, run] of state.runs.entries()) {
    const at = state.jobs.findIndex(({ slug }) => slug === run.job);
    const of = state.jobs[at];
    const job = jobs[at];
    if (!of || !job) continue;
    const keyed = run.key !== null && (of.max_concurrency_per_key ?? of.key_budget) !== null;
    const name = `${run.job} ${keyed ? run.key : ''}`;
    const lane = lanes.get(name) ?? {
      id: lanes.size,
      job: at,
      key_cap: keyed ? of.max_concurrency_per_key : null,
      key_in_flight: 0,
    };
    lanes.set(name, lane);
    if (run.active) {
      tree.in_flight += 1;
      job.in_flight += 1;
      if (job.endpoint) job.endpoint.in_flight += 1;
      lane.key_in_flight += 1;
    } else
      waiting.push({
        id: String(n),
        rank: 1000 * (100 - run.priority) + n,
        lane,
        spent: run.spent,
      });
  }
  return { ...tree, waiting: waiting.toSorted((a, b) => a.rank - b.rank) };
}

const room = (cap: number | null, in_flight: number): number =>
  cap === null ? 1_000 : Math.max(cap - in_flight, 0);
const endpointRoom = ({ endpoint }: JobState): number =>
  endpoint === null ? 1_000 : room(endpoint.cap, endpoint.in_flight);

/** Whoever fits enters, best rank first; of a closed endpoint one. */
function plainest(tree: Tree): Set<string> {
  const key = new Map<Lane, number>();
  const job = new Map<number, number>();
  const there = new Map<EndpointState | null, number>();
  const probed = new Set<string>();
  const entered = new Set<string>();
  for (const { id, lane } of tree.waiting) {
    const of = tree.jobs[lane.job] as JobState;
    const fits =
      !of.shut &&
      (key.get(lane) ?? 0) < room(lane.key_cap, lane.key_in_flight) &&
      (job.get(lane.job) ?? 0) < room(of.cap, of.in_flight) &&
      (there.get(of.endpoint) ?? 0) < endpointRoom(of) &&
      entered.size < room(tree.cap, tree.in_flight) &&
      (of.probes === null || !probed.has(of.probes));
    if (!fits) continue;
    entered.add(id);
    key.set(lane, (key.get(lane) ?? 0) + 1);
    job.set(lane.job, (job.get(lane.job) ?? 0) + 1);
    there.set(of.endpoint, (there.get(of.endpoint) ?? 0) + 1);
    if (of.probes !== null) probed.add(of.probes);
  }
  return entered;
}

/** As findRoom counts: from each lane what has room there, of each job and endpoint what has room in it, of a probe one. */
function counted(tree: Tree, index: number): boolean {
  const me = tree.waiting[index] as Run;
  const mine = tree.jobs[me.lane.job] as JobState;
  if (mine.shut) return false;
  const project_room = room(tree.cap, tree.in_flight);
  const lanes = new Map<Lane, number>();
  const probed = new Set<string>();
  let in_lane = 0;
  for (const { lane } of tree.waiting.slice(0, index)) {
    const of = tree.jobs[lane.job] as JobState;
    if (lane === me.lane) in_lane += 1;
    if (of.shut) continue;
    const n = lanes.get(lane) ?? 0;
    const most = Math.min(
      room(lane.key_cap, lane.key_in_flight),
      room(of.cap, of.in_flight),
      endpointRoom(of),
      project_room,
    );
    if (n >= most || (of.probes !== null && probed.has(of.probes))) continue;
    lanes.set(lane, n + 1);
    if (of.probes !== null) probed.add(of.probes);
  }
  if (mine.probes !== null && probed.has(mine.probes)) return false;
  const jobs = new Map<number, number>();
  for (const [lane, n] of lanes) jobs.set(lane.job, (jobs.get(lane.job) ?? 0) + n);
  const wanted = new Map<EndpointState | null, number>();
  for (const [at, n] of jobs) {
    const of = tree.jobs[at] as JobState;
    const fits = Math.min(n, room(of.cap, of.in_flight));
    wanted.set(of.endpoint, (wanted.get(of.endpoint) ?? 0) + fits);
  }
  let in_project = 0;
  for (const [endpoint, n] of wanted)
    in_project += endpoint === null ? n : Math.min(n, room(endpoint.cap, endpoint.in_flight));
  const at_endpoint = wanted.get(mine.endpoint) ?? 0;
  const level = (cap: number | null, in_flight: number, ahead: number) =>
    isFull({ kind: 'job_limit', name: '', cap, in_flight, ahead });
  return !(
    level(me.lane.key_cap, me.lane.key_in_flight, in_lane) ||
    level(mine.cap, mine.in_flight, jobs.get(me.lane.job) ?? 0) ||
    level(mine.endpoint?.cap ?? null, mine.endpoint?.in_flight ?? 0, at_endpoint) ||
    level(tree.cap, tree.in_flight, in_project)
  );
}

const competitorsOf = (tree: Tree, paid: boolean): Competitor[] =>
  tree.waiting.flatMap(({ id, lane, spent }) => {
    const of = tree.jobs[lane.job] as JobState;
    const any = tree.budget ?? of.budget ?? of.key_budget;
    return of.shut
      ? []
      : [
          {
            run_id: id,
            lane_id: lane.id,
            job_lane_id: lane.job,
            own_room: room(lane.key_cap, lane.key_in_flight),
            job_room: room(of.cap, of.in_flight),
            counted_endpoint: of.endpoint?.name ?? null,
            endpoint_room: endpointRoom(of),
            project_room: room(tree.cap, tree.in_flight),
            probes: of.probes,
            money:
              paid && any !== null ? [of.reserve, of.key_budget, of.budget, tree.budget] : null,
            spent,
          },
        ];
  });

const same = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((id) => b.has(id));

describe('the model of promotion', () => {
  it(`agrees with the counts and with the plainest promotion (seed ${seed})`, (test) => {
    let asked = 0;
    let free = 0;
    for (let n = 0; n < STATES; n++) {
      const tree = treeOf(promotionState(seed, n));
      const truth = plainest(tree);
      const model = promotable(competitorsOf(tree, false));
      const says = new Set(
        tree.waiting.filter((_run, index) => counted(tree, index)).map(({ id }) => id),
      );
      if (!same(model, truth) || !same(says, truth))
        assert.deepEqual(
          [[...model], [...says]],
          [[...truth], [...truth]],
          `state ${n}, seed ${seed}`,
        );
      asked += tree.waiting.length;
      free += truth.size;
    }
    test.diagnostic(`${STATES} states, ${asked} runs, ${free} of them free`);
    assert.ok(free > asked / 20 && free < asked * 0.95, 'both answers are given often');
  });

  it(`spends no budget twice and leaves nobody out who could be paid for (seed ${seed})`, () => {
    for (let n = 0; n < STATES / 10; n++) {
      const tree = treeOf(promotionState(seed, n));
      if ((tree.budget ?? tree.jobs.find(({ budget }) => budget !== null)) == null) continue;
      const competitors = competitorsOf(tree, true);
      const entered = promotable(competitors);
      const cost = (run: Competitor) =>
        run.money === null ? 0 : Math.max((run.money[0] ?? 0) - run.spent, 0);
      const sum = (of: (run: Competitor) => boolean) =>
        competitors
          .filter((run) => entered.has(run.run_id) && of(run))
          .reduce((total, run) => total + cost(run), 0);
      const count = (of: (run: Competitor) => boolean) =>
        competitors.filter((run) => entered.has(run.run_id) && of(run)).length;
      for (const run of competitors) {
        const same_lane = (other: Competitor) => other.lane_id === run.lane_id;
        const same_job = (other: Competitor) => other.job_lane_id === run.job_lane_id;
        const same_endpoint = (other: Competitor) =>
          other.counted_endpoint === run.counted_endpoint;
        const left = [
          (run.money?.[1] ?? 1e9) - sum(same_lane),
          (run.money?.[2] ?? 1e9) - sum(same_job),
          (run.money?.[3] ?? 1e9) - sum(() => true),
        ];
        assert.ok(
          left.every((money) => money >= 0),
          `state ${n}, seed ${seed}: over a budget`,
        );
        // Within a lane they keep their order: one that cannot be paid for may keep cheaper ones behind it waiting.
        const [first] = competitors.filter(
          (other) => same_lane(other) && !entered.has(other.run_id),
        );
        if (first !== run) continue;
        const fits =
          count(same_lane) < run.own_room &&
          count(same_job) < run.job_room &&
          (run.counted_endpoint === null || count(same_endpoint) < run.endpoint_room) &&
          entered.size < run.project_room &&
          (run.probes === null || count((other) => other.probes === run.probes) === 0) &&
          left.every((money) => money >= Math.max(cost(run), 1));
        assert.ok(!fits, `state ${n}, seed ${seed}: run ${run.run_id} was left out`);
      }
    }
  });
});
