// The tree of lanes that a random state is, without a database, for tests of what promotion does with it.

import type { PromotionState } from './promotion-states.ts';
import type { Competitor } from '../src/modules/why/promotion-model.ts';

export interface Lane {
  readonly id: number;
  readonly job: number;
  readonly key_cap: number | null;
  readonly share: {
    readonly key_min: number;
    readonly key_weight: number;
    readonly turn: number;
  } | null;
  key_in_flight: number;
}

export interface Run {
  readonly id: string;
  readonly rank: number;
  readonly seq: number;
  readonly lane: Lane;
  readonly spent: number;
}

export interface EndpointState {
  readonly name: string;
  readonly cap: number | null;
  in_flight: number;
}

export interface JobState {
  readonly cap: number | null;
  readonly shut: boolean;
  readonly probes: string | null;
  /** Where the endpoint has a limit; a probe of a closed one is one by itself. */
  readonly endpoint: EndpointState | null;
  readonly reserve: number;
  readonly budget: number | null;
  readonly key_budget: number | null;
  in_flight: number;
}

export interface Tree {
  readonly cap: number | null;
  readonly budget: number | null;
  readonly jobs: readonly JobState[];
  readonly waiting: readonly Run[];
  in_flight: number;
}

/** Lanes and what waits in them, best rank first. */
export function treeOf(state: PromotionState): Tree {
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
        state.project_paused ||
        (closed && !endpoint?.due),
      probes: closed ? String(job.endpoint) : null,
      endpoint: closed ? null : (endpoint?.counted ?? null),
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
    const shares = of.key_limits.length > 0;
    const keyed =
      run.key !== null && (shares || (of.max_concurrency_per_key ?? of.key_budget) !== null);
    const row = (name: string | null) => of.key_limits.find(({ key }) => key === name);
    const limit = keyed ? (row(run.key) ?? row('*')) : undefined;
    const name = `${run.job} ${keyed ? run.key : ''}`;
    const lane = lanes.get(name) ?? {
      id: lanes.size,
      job: at,
      key_cap: keyed ? (limit?.max ?? of.max_concurrency_per_key) : null,
      share: shares
        ? {
            key_min: limit?.min ?? 0,
            key_weight: limit?.weight ?? 1,
            turn: Math.max(of.turns[keyed ? (run.key ?? '') : ''] ?? 0, of.clock),
          }
        : null,
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
        rank: 100 - run.priority,
        seq: n,
        lane,
        spent: run.spent,
      });
  }
  return { ...tree, waiting: waiting.toSorted((a, b) => a.rank - b.rank || a.seq - b.seq) };
}

export const room = (cap: number | null, in_flight: number): number =>
  cap === null ? 1_000 : Math.max(cap - in_flight, 0);
export const endpointRoom = ({ endpoint }: JobState): number =>
  endpoint === null ? 1_000 : room(endpoint.cap, endpoint.in_flight);

export const competitorsOf = (tree: Tree, paid: boolean): Competitor[] =>
  tree.waiting.flatMap(({ id, rank, seq, lane, spent }) => {
    const of = tree.jobs[lane.job] as JobState;
    const any = tree.budget ?? of.budget ?? of.key_budget;
    return of.shut
      ? []
      : [
          {
            run_id: id,
            rank,
            seq,
            key_min: lane.share?.key_min ?? null,
            key_weight: lane.share?.key_weight ?? null,
            key_slots: lane.share && lane.key_in_flight,
            turn: lane.share?.turn ?? null,
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

export const shares = (tree: Tree): boolean => tree.waiting.some(({ lane }) => lane.share !== null);
