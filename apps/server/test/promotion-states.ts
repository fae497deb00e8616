// Random states of a project's limits, pauses, endpoints, budgets and runs, and how many of them are set up in PostgreSQL
// at once: for tests that ask what promotion does with them.

import { seededRandom, type Random } from './contract/nasty.ts';
import type { TestApp } from './app.ts';

interface StateKey {
  readonly key: string;
  readonly min: number;
  readonly max: number | null;
  readonly weight: number;
}

interface StateJob {
  readonly slug: string;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly paused: boolean;
  readonly enabled: boolean;
  readonly grouped: boolean;
  readonly endpoint: number;
  readonly budget: number | null;
  readonly key_budget: number | null;
  readonly estimate: number | null;
  /** Its keys share, unless empty. */
  readonly key_limits: readonly StateKey[];
  /** Where each key is in the order of turns; `` stands for runs without one. */
  readonly turns: Readonly<Record<string, number>>;
  readonly clock: number;
}

interface StateRun {
  readonly job: string;
  readonly key: string | null;
  /** Has its slots already. */
  readonly active: boolean;
  readonly priority: number;
  /** What it cost in earlier attempts. */
  readonly spent: number;
}

export interface PromotionState {
  readonly project_id: string;
  readonly quota: number | null;
  readonly project_budget: number | null;
  readonly group_paused: boolean;
  readonly project_paused: boolean;
  readonly endpoints: readonly {
    readonly n: number;
    readonly closed: boolean;
    readonly due: boolean;
    readonly share: number;
    /** It takes so many at a time, all its jobs together. */
    readonly max_in_flight: number | null;
  }[];
  readonly jobs: readonly StateJob[];
  readonly runs: readonly StateRun[];
}

/** The n-th state of a seed; the same whoever makes it. */
export function promotionState(seed: number, n: number): PromotionState {
  const random = seededRandom(seed + n * 7919);
  const chance = (of: number) => random.below(of) === 0;
  const cap = () => random.pick([null, null, 1, 2, 3, 5]);
  const budgets = chance(3);
  const limit = () => (budgets ? random.pick([null, 5, 12, 20, 40]) : null);
  const jobs = Array.from({ length: 1 + random.below(3) }, (_, job): StateJob => ({
    slug: `j${job}`,
    max_concurrency: cap(),
    max_concurrency_per_key: cap(),
    paused: chance(10),
    enabled: !chance(14),
    grouped: chance(3),
    endpoint: random.below(2),
    budget: limit(),
    key_budget: limit(),
    estimate: budgets ? random.pick([null, 2, 5, 10]) : null,
    key_limits: chance(3) ? keyLimits(random) : [],
    turns: Object.fromEntries(['', ...KEYS].map((key) => [key, random.below(6) / 2])),
    clock: random.below(3) / 2,
  }));
  return {
    project_id: `state-${n}`,
    quota: cap(),
    project_budget: limit(),
    group_paused: chance(5),
    endpoints: [0, 1].flatMap((n) => {
      const failing = chance(5);
      const max_in_flight = chance(3) ? 1 + random.below(5) : null;
      const [closed, due, share] = [chance(2), chance(2), random.pick([1, 0.5, 0.2])];
      if (failing) return [{ n, closed, due, share, max_in_flight }];
      return max_in_flight === null ? [] : [{ n, closed: false, due, share: 1, max_in_flight }];
    }),
    jobs,
    runs: jobs.flatMap(({ slug }) => runsOf(slug, random, budgets)),
    project_paused: chance(12),
  };
}

const KEYS = ['k0', 'k1', 'k2'];

const keyLimits = (random: Random): StateKey[] =>
  ['*', ...KEYS].flatMap((key) => {
    if (random.below(3) === 0) return [];
    const min = key === '*' ? 0 : random.below(3);
    const max = random.pick([null, Math.max(min, 1), min + 2]);
    return [{ key, min, max, weight: random.pick([1, 1, 2, 5]) }];
  });

function runsOf(job: string, random: Random, budgets: boolean): StateRun[] {
  const keys = 1 + random.below(3);
  return Array.from({ length: 2 + random.below(6) }, () => ({
    job,
    key: random.below(4) === 0 ? null : `k${random.below(keys)}`,
    active: random.below(4) === 0,
    priority: random.below(11),
    spent: budgets && random.below(4) === 0 ? 1 + random.below(6) : 0,
  }));
}

const INSERTS = [
  `insert into projects (id, name) select project_id, project_id from jsonb_to_recordset($1) as s(project_id text)`,
  `insert into project_quotas (project_id, max_executing_runs, max_daily_cost_microusd, queue_paused)
   select project_id, quota, project_budget, project_paused
     from jsonb_to_recordset($1) as s(project_id text, quota int, project_budget bigint, project_paused bool)
    where quota is not null or project_budget is not null or project_paused`,
  `insert into job_groups (id, project_id, name, slug, paused)
   select 'g-' || project_id, project_id, 'g', 'g', group_paused from jsonb_to_recordset($1) as s(project_id text, group_paused bool)`,
  `insert into jobs (project_id, name, slug, endpoint_url, max_concurrency, max_concurrency_per_key, paused, enabled, group_id)
   select s.project_id, j.slug, j.slug, 'http://127.0.0.1:9/' || j.endpoint, j.max_concurrency, j.max_concurrency_per_key, j.paused, j.enabled,
          case when j.grouped then 'g-' || s.project_id end
     from jsonb_to_recordset($1) as s(project_id text, jobs jsonb)
    cross join jsonb_to_recordset(s.jobs) as j(slug text, endpoint int, max_concurrency int, max_concurrency_per_key int, paused bool, enabled bool, grouped bool)`,
  `insert into job_budgets (job_id, project_id, max_daily_cost_microusd, max_daily_cost_per_key_microusd, cost_estimate_microusd)
   select o.id, o.project_id, j.budget, j.key_budget, j.estimate
     from jsonb_to_recordset($1) as s(project_id text, jobs jsonb)
    cross join jsonb_to_recordset(s.jobs) as j(slug text, budget bigint, key_budget bigint, estimate bigint)
     join jobs o on o.project_id = s.project_id and o.slug = j.slug
    where j.budget is not null or j.key_budget is not null or j.estimate is not null`,
  `insert into job_key_limits (job_id, project_id, concurrency_key, min_concurrency, max_concurrency, weight)
   select o.id, o.project_id, k.key, k.min, k.max, k.weight
     from jsonb_to_recordset($1) as s(project_id text, jobs jsonb)
    cross join jsonb_to_recordset(s.jobs) as j(slug text, key_limits jsonb)
    cross join jsonb_to_recordset(j.key_limits) as k(key text, min int, max int, weight int)
     join jobs o on o.project_id = s.project_id and o.slug = j.slug`,
  `update jobs set has_key_limits = true
    where id = any (array(select job_id from job_key_limits))
      and project_id = any (array(select s ->> 'project_id' from jsonb_array_elements($1) s))`,
  `insert into endpoint_admission (project_id, endpoint, closed, share, max_in_flight, probe_at)
   select s.project_id, strait_endpoint('http://127.0.0.1:9/' || e.n), e.closed, e.share, e.max_in_flight,
          strait_now() + case when e.due then interval '-1 minute' else interval '1 hour' end
     from jsonb_to_recordset($1) as s(project_id text, endpoints jsonb)
    cross join jsonb_to_recordset(s.endpoints) as e(n int, closed bool, due bool, share float8, max_in_flight int)`,
  `with input as materialized (
     select strait_run_id() as id, s.project_id, j.id as job_id, r.key, r.active, r.priority, r.spent
       from jsonb_to_recordset($1) as s(project_id text, runs jsonb)
      cross join jsonb_to_recordset(s.runs) as r(job text, key text, active bool, priority int, spent bigint)
       join jobs j on j.project_id = s.project_id and j.slug = r.job
   ), placed as materialized (
     select *, coalesce(strait_place(project_id, job_id, key), strait_lane(project_id, job_id, null)) as place from input
   ), runs as (
     insert into job_runs (id, created_at, job_id, project_id, status, concurrency_key)
     select id, strait_id_time(id), job_id, project_id, 'queued', key from placed
   ), queued as (
     insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id)
     select project_id, 0, id, strait_id_time(id), job_id, 1, place[1] from placed where active
   ), parked as (
     insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
     select project_id, 100 - priority, id, strait_id_time(id), job_id, 1, place[1], place[2] from placed where not active
   ), reserved as (
     insert into cost_reservations (run_id, root_lane_id, project_id, job_id, concurrency_key, reserved_microusd)
     select id, place[2], project_id, job_id, coalesce(key, ''), strait_reserve(project_id, job_id) from placed
      where active and strait_money(project_id, job_id, key) is not null
   )
   insert into run_usage (run_id, provider, model, cost_microusd)
   select id, 'p', 'm', spent from placed where spent > 0 and not active`,
  // Counted as promotion counts, also beyond a limit that fell.
  `update lanes l set in_flight = (select count(*) from run_queue q join lanes k on k.lane_id = q.lane_id
                                    where q.project_id = l.project_id and l.lane_id in (k.lane_id, k.parent_lane_id, k.root_lane_id))
    where project_id = any (array(select s ->> 'project_id' from jsonb_array_elements($1) s))`,
  `update lanes l set turn = coalesce((j.turns ->> coalesce(l.concurrency_key, ''))::float8, 0), clock = j.clock
     from jsonb_to_recordset($1) as s(project_id text, jobs jsonb)
    cross join jsonb_to_recordset(s.jobs) as j(slug text, turns jsonb, clock float8)
     join jobs o on o.project_id = s.project_id and o.slug = j.slug
    where l.project_id = o.project_id and l.job_id = o.id`,
];

/** Sets them all up; what waits and what is ready is in the tables afterwards. */
export async function setUpStates(app: TestApp, states: readonly PromotionState[]): Promise<void> {
  const json = JSON.stringify(states);
  await app.db.transaction(async (tx) => {
    for (const text of INSERTS)
      await tx.query({ text: text.replaceAll('$1', '$1::jsonb'), values: [json] });
  });
}

const TABLES = ['run_queue', 'run_parked', 'cost_reservations', 'job_budgets', 'cost_days'];

export async function removeStates(app: TestApp, states: readonly PromotionState[]): Promise<void> {
  const ids = states.map(({ project_id }) => project_id);
  await app.sql(
    `delete from run_usage where run_id = any (array(select id from job_runs where project_id = any ($1)))`,
    ids,
  );
  for (const table of [
    ...TABLES,
    'job_runs',
    'lanes',
    'endpoint_admission',
    'budget_events',
    'jobs',
    'job_groups',
    'project_quotas',
  ])
    await app.sql(`delete from ${table} where project_id = any ($1)`, ids);
  await app.sql('delete from projects where id = any ($1)', ids);
}
