// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, one, type Queryable } from '../../../platform/db/query.ts';

export interface LockMoneyParams {
  readonly project_id: string;
}

export interface LockMoneyRow {
  readonly root_lane_id: number;
}

const lockMoneyText = `select (strait_lane($1, null, null))[2] as "root_lane_id"`;

/** The lock, made with its lane where there is none; held until the transaction ends. */
export function lockMoney(db: Queryable, params: LockMoneyParams): Promise<LockMoneyRow> {
  return one<LockMoneyRow>(db, {
    text: lockMoneyText,
    values: [params.project_id],
  });
}

export interface SettleReservationsParams {
  readonly root_lane_id: number;
}

const settleReservationsText = `delete from cost_reservations v
 where v.root_lane_id = $1
   and not exists (select from run_queue q where q.run_id = v.run_id)
   and not exists (select from run_active a where a.run_id = v.run_id)`;

/**
 * across projects: promotion serves every project; the caller holds the root lane.
 * Gives back what ended, waiting or handed-back runs did not use. What they spent is in cost_days already.
 */
export function settleReservations(db: Queryable, params: SettleReservationsParams): Promise<number> {
  return count(db, {
    text: settleReservationsText,
    values: [params.root_lane_id],
  });
}

export interface ListUnsettledParams {
  readonly limit: number;
}

export interface ListUnsettledRow {
  readonly root_lane_id: number;
}

const listUnsettledText = `select distinct v.root_lane_id from cost_reservations v
 where not exists (select from run_queue q where q.run_id = v.run_id)
   and not exists (select from run_active a where a.run_id = v.run_id)
 order by v.root_lane_id limit $1::int`;

/**
 * across projects: upkeep.
 * Trees with reservations of runs that are in neither place: nobody promoted there since.
 */
export function listUnsettled(db: Queryable, params: ListUnsettledParams): Promise<ListUnsettledRow[]> {
  return many<ListUnsettledRow>(db, {
    text: listUnsettledText,
    values: [params.limit],
  });
}

export interface ChargeUsageParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly locked: boolean;
  readonly cost_microusd: number;
}

export interface ChargeUsageRow {
  readonly outcome: string;
  readonly job_id: string;
}

const chargeUsageText = `with run as materialized (
  select r.id, r.project_id, r.job_id, coalesce(r.concurrency_key, '') as concurrency_key,
         strait_local_day((select q.timezone from project_quotas q where q.project_id = r.project_id)) as day,
         strait_money(r.project_id, r.job_id, r.concurrency_key) as money,
         coalesce((select greatest(v.reserved_microusd - v.used_microusd, 0) from cost_reservations v where v.run_id = r.id), 0) as held
    from job_runs r
   where r.id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2
), verdict as materialized (
  select case when money is null then 'unlimited'
              when not $3::bool then 'unlocked'
              when $4::bigint <= held or $4::bigint - held <= least(money[2], money[3], money[4]) then 'charged'
              else 'refused' end as outcome
    from run
), used as (
  update cost_reservations v set used_microusd = v.used_microusd + $4::bigint
   where v.run_id = $1 and (select outcome from verdict) = 'charged'
), spent as (
  insert into cost_days as d (project_id, day, job_id, concurrency_key, spent_microusd)
  select run.project_id, run.day, s.job_id, s.concurrency_key, $4::bigint
    from run cross join lateral (select '' as job_id, '' as concurrency_key
                                 union select run.job_id, '' union select run.job_id, run.concurrency_key) s
   where $4::bigint > 0 and (select outcome from verdict) in ('unlimited', 'charged')
   order by s.job_id, s.concurrency_key
  on conflict (project_id, day, job_id, concurrency_key) do update set spent_microusd = d.spent_microusd + excluded.spent_microusd
)
select (select outcome from verdict) as "outcome", run.job_id from run`;

/**
 * The cost of one usage record, in the transaction that records it: from the reservation of the run to what was spent
 * today. What goes beyond the reservation has to fit into every budget. `locked`: the caller holds the root lane; without
 * it `unlocked` is the answer wherever a budget is concerned, and nothing was written. The project's day comes first, so
 * that two reports never wait for each other crosswise.
 */
export function chargeUsage(db: Queryable, params: ChargeUsageParams): Promise<ChargeUsageRow> {
  return one<ChargeUsageRow>(db, {
    text: chargeUsageText,
    values: [
      params.run_id,
      params.project_id,
      params.locked,
      params.cost_microusd,
    ],
  });
}

export interface FindDemandParams {
  readonly concurrency_key: string | null;
  readonly job_id: string;
  readonly project_id: string;
}

export interface FindDemandRow {
  readonly reserve: number | null;
  readonly resets_in_secs: number;
  readonly key_left: number | null;
  readonly job_left: number | null;
  readonly project_left: number | null;
  readonly key_demand: number;
  readonly job_demand: number;
  readonly project_demand: number;
}

const findDemandText = `with budget as materialized (
  select strait_money(j.project_id, j.id, $1::text) as money, (strait_lane(j.project_id, null, null))[2] as root_lane_id,
         ceil(extract(epoch from strait_day_start(q.timezone, strait_local_day(q.timezone) + 1) - strait_now()))::int as resets_in_secs,
         b.breach_policy = 'reject' as job_refuses, q.cost_breach_policy = 'reject' as project_refuses
    from jobs j left join job_budgets b on b.job_id = j.id left join project_quotas q on q.project_id = j.project_id
   where j.id = $2 and j.project_id = $3
), waiting as materialized (
  select p.job_id, l.concurrency_key, count(*) as runs
    from run_parked p join lanes l on l.lane_id = p.lane_id
   where p.root_lane_id = (select root_lane_id from budget) and p.project_id = $3 group by 1, 2
), need as materialized (
  select w.job_id, w.concurrency_key, w.runs * strait_reserve($3, w.job_id) as microusd from waiting w
)
select budget.money[1] as "reserve", budget.resets_in_secs as "resets_in_secs",
       case when job_refuses then money[2] end as "key_left",
       case when job_refuses then money[3] end as "job_left",
       case when project_refuses then money[4] end as "project_left",
       coalesce((select sum(microusd) from need where job_id = $2 and concurrency_key = $1), 0)::bigint as "key_demand",
       coalesce((select sum(microusd) from need where job_id = $2), 0)::bigint as "job_demand",
       coalesce((select sum(microusd) from need), 0)::bigint as "project_demand"
  from budget`;

/**
 * What the runs that wait would reserve, and what is left, for each budget of the job that refuses: null where none does.
 * The caller holds the root lane and has settled.
 */
export function findDemand(db: Queryable, params: FindDemandParams): Promise<FindDemandRow> {
  return one<FindDemandRow>(db, {
    text: findDemandText,
    values: [
      params.concurrency_key,
      params.job_id,
      params.project_id,
    ],
  });
}

export interface NoteThresholdsParams {
  readonly of_project: string | null;
}

export interface NoteThresholdsRow {
  readonly project_id: string | null;
  readonly job_id: string | null;
  readonly concurrency_key: string | null;
  readonly type: string | null;
}

const noteThresholdsText = `with scope as (
  select q.project_id, '' as job_id, '' as concurrency_key, q.max_daily_cost_microusd as cap, strait_local_day(q.timezone) as day
    from project_quotas q where q.max_daily_cost_microusd > 0 and ($1::text is null or q.project_id = $1)
  union all
  select b.project_id, b.job_id, '', b.max_daily_cost_microusd, strait_local_day(q.timezone)
    from job_budgets b left join project_quotas q on q.project_id = b.project_id
   where b.max_daily_cost_microusd > 0 and ($1::text is null or b.project_id = $1)
  union all
  select d.project_id, d.job_id, d.concurrency_key, b.max_daily_cost_per_key_microusd, d.day
    from job_budgets b left join project_quotas q on q.project_id = b.project_id
    join cost_days d on d.project_id = b.project_id and d.day = strait_local_day(q.timezone) and d.job_id = b.job_id and d.concurrency_key <> ''
   where b.max_daily_cost_per_key_microusd > 0 and ($1::text is null or b.project_id = $1)
), reached as materialized (
  select scope.*, d.spent_microusd, t.type
    from scope
    join cost_days d on d.project_id = scope.project_id and d.day = scope.day and d.job_id = scope.job_id and d.concurrency_key = scope.concurrency_key
   cross join (values ('budget.threshold_reached', 80), ('spending.limit_reached', 100)) t (type, percent)
   where d.spent_microusd::numeric * 100 >= scope.cap::numeric * t.percent
     and not exists (select from budget_events e where e.project_id = scope.project_id and e.day = scope.day and e.type = t.type
                        and e.job_id = scope.job_id and e.concurrency_key = scope.concurrency_key)
)
insert into budget_events (project_id, day, type, job_id, concurrency_key, limit_microusd, spent_microusd, reserved_microusd)
select r.project_id, r.day, r.type, r.job_id, r.concurrency_key, r.cap, r.spent_microusd,
       (select coalesce(sum(greatest(v.reserved_microusd - v.used_microusd, 0)), 0) from cost_reservations v
         where v.project_id = r.project_id and r.job_id in ('', v.job_id) and r.concurrency_key in ('', v.concurrency_key))
  from reached r order by r.project_id, r.type, r.job_id, r.concurrency_key
on conflict do nothing
returning project_id, job_id, concurrency_key, type`;

/**
 * across projects: told after a charge for its own project, and by upkeep for all.
 * Writes down which budgets have reached 80 and 100 % of a local day, each once, in one order, so that two writers do not
 * wait for each other crosswise. Answers with what is new.
 */
export function noteThresholds(db: Queryable, params: NoteThresholdsParams): Promise<NoteThresholdsRow[]> {
  return many<NoteThresholdsRow>(db, {
    text: noteThresholdsText,
    values: [params.of_project],
  });
}

export interface FindBreachesParams {
  readonly root_lane_id: number;
  readonly page: number;
}

export interface FindBreachesRow {
  readonly project_id: string;
  readonly job_id: string;
  readonly policy: string | null;
  readonly told: number;
}

const findBreachesText = `with recursive waiting (lane_id, n) as (
  (select p.lane_id, 1 from run_parked p where p.root_lane_id = $1 order by p.lane_id limit 1)
  union all
  select (select p.lane_id from run_parked p
           where p.root_lane_id = $1 and p.lane_id > w.lane_id order by p.lane_id limit 1), w.n + 1
    from waiting w where w.lane_id is not null and w.n < $2::int
), held as materialized (
  select v.job_id, v.concurrency_key, sum(greatest(v.reserved_microusd - v.used_microusd, 0))::bigint as microusd
    from cost_reservations v where v.root_lane_id = $1 group by 1, 2
), job_held as materialized (
  select job_id, sum(microusd)::bigint as microusd from held group by 1
), lane as materialized (
  select l.project_id, l.job_id, coalesce(l.concurrency_key, '') as concurrency_key, b.breach_policy, q.cost_breach_policy,
         strait_local_day(q.timezone) as day,
         strait_money(l.project_id, l.job_id, l.concurrency_key,
           coalesce((select h.microusd from held h where h.job_id = l.job_id and h.concurrency_key = l.concurrency_key), 0),
           coalesce((select h.microusd from job_held h where h.job_id = l.job_id), 0),
           coalesce((select sum(h.microusd) from job_held h), 0)::bigint) as money,
         b.max_daily_cost_per_key_microusd as key_cap, b.max_daily_cost_microusd as job_cap, q.max_daily_cost_microusd as project_cap,
         (select p.run_id from run_parked p where p.root_lane_id = $1 and p.lane_id = l.lane_id order by p.rank, p.seq limit 1) as run_id
    from waiting join lanes l on l.lane_id = waiting.lane_id
    join jobs j on j.id = l.job_id and j.enabled and not j.paused
    left join job_budgets b on b.job_id = l.job_id
    left join project_quotas q on q.project_id = l.project_id
), short as materialized (
  select lane.*, greatest(money[1] - strait_run_cost(run_id), 1) as cost from lane where money is not null
), breach as materialized (
  select project_id, day, job_id as of_job, job_id, concurrency_key, breach_policy as policy, key_cap as cap, key_cap - money[5] as spent
    from short where cost > money[5]
  union all
  select project_id, day, job_id, job_id, '', breach_policy, job_cap, job_cap - money[6] from short where cost > money[6]
  union all
  select project_id, day, job_id, '', '', cost_breach_policy, project_cap, project_cap - money[7] from short where cost > money[7]
), told as (
  insert into budget_events (project_id, day, type, job_id, concurrency_key, limit_microusd, spent_microusd, reserved_microusd)
  select distinct on (project_id, day, job_id, concurrency_key) project_id, day, 'spending.limit_reached', job_id, concurrency_key, cap, spent,
         (select coalesce(sum(greatest(v.reserved_microusd - v.used_microusd, 0)), 0) from cost_reservations v
           where v.project_id = x.project_id and x.job_id in ('', v.job_id) and x.concurrency_key in ('', v.concurrency_key))
    from breach x
   where not exists (select from budget_events e where e.project_id = x.project_id and e.day = x.day and e.type = 'spending.limit_reached'
                        and e.job_id = x.job_id and e.concurrency_key = x.concurrency_key)
   order by project_id, day, job_id, concurrency_key
  on conflict do nothing
  returning id
)
select distinct project_id as "project_id", of_job as "job_id", policy, (select count(*) from told)::int as "told" from breach where of_job is not null`;

/**
 * across projects: promotion serves every project; the caller holds the root lane.
 * Jobs of the tree whose next run no money of today would pay for, even if everything reserved came back unspent, with
 * what their budget says about that. Writes down, once per budget and day, that its limit is reached.
 */
export function findBreaches(db: Queryable, params: FindBreachesParams): Promise<FindBreachesRow[]> {
  return many<FindBreachesRow>(db, {
    text: findBreachesText,
    values: [
      params.root_lane_id,
      params.page,
    ],
  });
}

export interface NoteRefusalParams {
  readonly project_id: string;
  readonly scope: string;
  readonly concurrency_key: string | null;
  readonly job_id: string;
}

const noteRefusalText = `insert into budget_events (project_id, day, type, job_id, concurrency_key, limit_microusd, spent_microusd, reserved_microusd)
select q.project_id, strait_local_day(q.timezone), 'spending.limit_reached', '', '', q.max_daily_cost_microusd,
       coalesce((select d.spent_microusd from cost_days d where d.project_id = q.project_id and d.day = strait_local_day(q.timezone)
                    and d.job_id = '' and d.concurrency_key = ''), 0),
       (select coalesce(sum(greatest(v.reserved_microusd - v.used_microusd, 0)), 0) from cost_reservations v where v.project_id = q.project_id)
  from project_quotas q where q.project_id = $1 and q.max_daily_cost_microusd > 0 and $2::text = 'project'
union all
select b.project_id, strait_local_day(q.timezone), 'spending.limit_reached', b.job_id,
       case when $2::text = 'key' then coalesce($3::text, '') else '' end,
       case when $2::text = 'key' then b.max_daily_cost_per_key_microusd else b.max_daily_cost_microusd end,
       coalesce((select d.spent_microusd from cost_days d where d.project_id = b.project_id and d.day = strait_local_day(q.timezone)
                    and d.job_id = b.job_id and d.concurrency_key = case when $2::text = 'key' then coalesce($3::text, '') else '' end), 0),
       (select coalesce(sum(greatest(v.reserved_microusd - v.used_microusd, 0)), 0) from cost_reservations v
         where v.job_id = b.job_id and ($2::text <> 'key' or v.concurrency_key = $3))
  from job_budgets b left join project_quotas q on q.project_id = b.project_id
 where b.project_id = $1 and b.job_id = $4 and $2::text in ('job', 'key')
on conflict do nothing`;

/** A trigger was refused for want of money: the limit of the day is reached for whoever asks next as well. */
export function noteRefusal(db: Queryable, params: NoteRefusalParams): Promise<number> {
  return count(db, {
    text: noteRefusalText,
    values: [
      params.project_id,
      params.scope,
      params.concurrency_key,
      params.job_id,
    ],
  });
}

export interface MendDaysRow {
  readonly project_id: string | null;
  readonly job_id: string | null;
  readonly concurrency_key: string | null;
  readonly was: number;
  readonly counted: number;
}

const mendDaysText = `with recorded as materialized (
  select * from strait_usage_since(strait_now() - interval '27 h')
), project as materialized (
  select p.project_id, strait_local_day(q.timezone) as day, strait_day_start(q.timezone, strait_local_day(q.timezone)) as since
    from (select distinct r.project_id from recorded r) p left join project_quotas q on q.project_id = p.project_id
), today as materialized (
  select r.project_id, project.day, s.job_id, s.concurrency_key, sum(r.microusd)::bigint as microusd
    from recorded r join project on project.project_id = r.project_id
   cross join lateral (select '' as job_id, '' as concurrency_key union select r.job_id, '' union select r.job_id, r.concurrency_key) s
   where r.recorded_at >= project.since
   group by 1, 2, 3, 4
), wrong as materialized (
  select today.project_id, today.day, today.job_id, today.concurrency_key, coalesce(d.spent_microusd, 0) as was, today.microusd as counted
    from today left join cost_days d on d.project_id = today.project_id and d.day = today.day and d.job_id = today.job_id
                                    and d.concurrency_key = today.concurrency_key
   where today.microusd > coalesce(d.spent_microusd, 0)
), mended as (
  insert into cost_days as d (project_id, day, job_id, concurrency_key, spent_microusd)
  select project_id, day, job_id, concurrency_key, counted - was from wrong order by project_id, job_id, concurrency_key
  on conflict (project_id, day, job_id, concurrency_key) do update set spent_microusd = d.spent_microusd + excluded.spent_microusd
)
select project_id, job_id, concurrency_key, was as "was", counted as "counted" from wrong`;

/**
 * across projects: upkeep.
 * Counts today's usage again and adds what is missing; both numbers are of one snapshot, so reports under way do not
 * disturb it. What is counted less went with a deleted job: it was spent all the same.
 */
export function mendDays(db: Queryable): Promise<MendDaysRow[]> {
  return many<MendDaysRow>(db, {
    text: mendDaysText,
    values: [],
  });
}

export interface RemoveOldDaysParams {
  readonly limit: number;
}

const removeOldDaysText = `delete from cost_days
 where ctid = any (array(select ctid from cost_days
                          where day < (strait_now() at time zone 'UTC')::date - 100
                             or (day < (strait_now() at time zone 'UTC')::date - 3 and concurrency_key <> '') limit $1::int))`;

/**
 * across projects: upkeep.
 * Days of keys are kept for as long as they decide anything, the others for as long as people look back.
 */
export function removeOldDays(db: Queryable, params: RemoveOldDaysParams): Promise<number> {
  return count(db, {
    text: removeOldDaysText,
    values: [params.limit],
  });
}

export interface RemoveOldEventsParams {
  readonly limit: number;
}

const removeOldEventsText = `delete from budget_events
 where id = any (array(select id from budget_events where created_at < strait_now() - interval '100 days' limit $1::int))`;

/** across projects: upkeep. */
export function removeOldEvents(db: Queryable, params: RemoveOldEventsParams): Promise<number> {
  return count(db, {
    text: removeOldEventsText,
    values: [params.limit],
  });
}

export interface MoneyOfProjectParams {
  readonly timezone: string | null;
  readonly project_id: string;
  readonly job_id: string;
}

export interface MoneyOfProjectRow {
  readonly day: string;
  readonly resets_at: string;
  readonly spent_microusd: number;
  readonly reserved_microusd: number;
}

const moneyOfProjectText = `select strait_local_day($1::text)::text as "day",
       strait_day_start($1::text, strait_local_day($1::text) + 1) as "resets_at",
       coalesce((select d.spent_microusd from cost_days d where d.project_id = $2 and d.day = strait_local_day($1::text)
                    and d.job_id = $3::text and d.concurrency_key = ''), 0) as "spent_microusd",
       coalesce((select sum(greatest(v.reserved_microusd - v.used_microusd, 0)) from cost_reservations v
                  where v.project_id = $2 and $3::text in ('', v.job_id)), 0)::bigint as "reserved_microusd"`;

/** Today: what was spent, what is reserved, and until when. */
export function moneyOfProject(db: Queryable, params: MoneyOfProjectParams): Promise<MoneyOfProjectRow> {
  return one<MoneyOfProjectRow>(db, {
    text: moneyOfProjectText,
    values: [
      params.timezone,
      params.project_id,
      params.job_id,
    ],
  });
}

export interface MoneyOfKeysParams {
  readonly project_id: string;
  readonly timezone: string | null;
  readonly job_id: string;
  readonly limit: number;
}

export interface MoneyOfKeysRow {
  readonly concurrency_key: string;
  readonly spent_microusd: number;
  readonly reserved_microusd: number;
}

const moneyOfKeysText = `select d.concurrency_key, d.spent_microusd,
       coalesce((select sum(greatest(v.reserved_microusd - v.used_microusd, 0)) from cost_reservations v
                  where v.job_id = d.job_id and v.concurrency_key = d.concurrency_key), 0)::bigint as "reserved_microusd"
  from cost_days d
 where d.project_id = $1 and d.day = strait_local_day($2::text) and d.job_id = $3 and d.concurrency_key <> ''
 order by d.spent_microusd desc, d.concurrency_key limit $4::int`;

/** The keys of a job that spent most today. */
export function moneyOfKeys(db: Queryable, params: MoneyOfKeysParams): Promise<MoneyOfKeysRow[]> {
  return many<MoneyOfKeysRow>(db, {
    text: moneyOfKeysText,
    values: [
      params.project_id,
      params.timezone,
      params.job_id,
      params.limit,
    ],
  });
}

export interface ListBudgetEventsParams {
  readonly project_id: string;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListBudgetEventsRow {
  readonly id: string;
  readonly type: string;
  readonly day: string;
  readonly job_id: string;
  readonly concurrency_key: string;
  readonly limit_microusd: number;
  readonly spent_microusd: number;
  readonly reserved_microusd: number;
  readonly created_at: string;
}

const listBudgetEventsText = `select e.id, e.type, e.day::text as "day", e.job_id, e.concurrency_key, e.limit_microusd, e.spent_microusd, e.reserved_microusd, e.created_at
  from budget_events e
 where e.project_id = $1
   and ($2::timestamptz is null or (e.created_at, e.id) < ($2, $3::text))
 order by e.created_at desc, e.id desc limit $4::int`;

export function listBudgetEvents(db: Queryable, params: ListBudgetEventsParams): Promise<ListBudgetEventsRow[]> {
  return many<ListBudgetEventsRow>(db, {
    text: listBudgetEventsText,
    values: [
      params.project_id,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}
