// Generated from store.sql by `npm run generate`. Do not edit.
import { many, maybe, one, type Queryable } from '../../platform/db/query.ts';

export interface FindRunPlaceParams {
  readonly lease_secs: number;
  readonly run_id: string;
  readonly project_id: string;
}

export interface FindRunPlaceRow {
  readonly id: string;
  readonly status: string;
  readonly job_id: string;
  readonly job_slug: string;
  readonly concurrency_key: string | null;
  readonly attempt: number;
  readonly place: string;
  readonly lane_id: number | null;
  readonly root_lane_id: number | null;
  readonly due_at: string | null;
  readonly waits_until: string | null;
  readonly started_at: string | null;
  readonly endpoint_closed: boolean;
  readonly probe_at: string | null;
  readonly job_disabled: boolean;
  readonly job_paused: boolean;
  readonly group_paused: boolean;
  readonly group_id: string | null;
  readonly worker_lives: boolean;
}

const findRunPlaceText = `select r.id, r.status, r.job_id, j.slug as job_slug, r.concurrency_key, r.attempt,
       case when a.run_id is not null then 'active' when q.run_id is not null then 'queue' when p.run_id is not null then 'parked'
            when d.run_id is not null then 'delayed' when w.run_id is not null then 'waiting' else 'none' end as "place",
       p.lane_id as "lane_id", p.root_lane_id as "root_lane_id", d.due_at as "due_at", w.expires_at as "waits_until", r.started_at as "started_at",
       coalesce(e.closed and e.probe_run_id is distinct from r.id, false) as "endpoint_closed", e.probe_at as "probe_at",
       not j.enabled as "job_disabled", j.paused as "job_paused", coalesce(g.paused, false) as "group_paused", j.group_id as "group_id",
       exists (select from workers where heartbeat_at > strait_now() - make_interval(secs => $1::float8)) as "worker_lives"
  from job_runs r
  join jobs j on j.id = r.job_id
  left join job_groups g on g.id = j.group_id
  left join endpoint_admission e on e.project_id = j.project_id and e.endpoint = j.endpoint
  left join run_active a on a.run_id = r.id
  left join run_queue q on q.run_id = r.id
  left join run_parked p on p.run_id = r.id
  left join run_delayed d on d.run_id = r.id
  left join run_waiting w on w.run_id = r.id
 where r.id = $2 and r.created_at = strait_id_time($2) and r.project_id = $3
 limit 1`;

/** The run and its one place; `active` also while the wide row does not show it yet. */
export function findRunPlace(db: Queryable, params: FindRunPlaceParams): Promise<FindRunPlaceRow | undefined> {
  return maybe<FindRunPlaceRow>(db, {
    text: findRunPlaceText,
    values: [
      params.lease_secs,
      params.run_id,
      params.project_id,
    ],
  });
}

export interface CountAheadParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface CountAheadRow {
  readonly ahead: number;
}

const countAheadText = `select count(*)::int as "ahead"
  from (select from run_queue q, run_queue mine
         where mine.run_id = $1 and mine.project_id = $2
           and q.project_id = $2 and (q.rank, q.seq) < (mine.rank, mine.seq) limit 1000) x`;

/** Ready runs of the project that go first, up to a thousand. */
export function countAhead(db: Queryable, params: CountAheadParams): Promise<CountAheadRow> {
  return one<CountAheadRow>(db, {
    text: countAheadText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface FindRoomParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface FindRoomRow {
  readonly lane_id: number | null;
  readonly concurrency_key: string | null;
  readonly job_disabled: boolean;
  readonly job_paused: boolean;
  readonly group_paused: boolean;
  readonly group_id: string | null;
  readonly key_cap: number | null;
  readonly key_in_flight: number | null;
  readonly job_cap: number | null;
  readonly job_in_flight: number | null;
  readonly project_cap: number | null;
  readonly project_in_flight: number | null;
  readonly job_lane_id: number | null;
  readonly endpoint: string | null;
  readonly endpoint_cap: number | null;
  readonly endpoint_in_flight: number | null;
  readonly reserves: number | null;
  readonly money_left: number | null;
  readonly ahead_in_lane: number;
  readonly ahead_in_job: number;
  readonly ahead_at_endpoint: number;
  readonly ahead_in_project: number;
}

const findRoomText = `with me as materialized (
  select p.run_id, p.rank, p.seq, p.lane_id, p.root_lane_id from run_parked p where p.run_id = $1 and p.project_id = $2
), tree as materialized (
  select l.*, least(greatest(coalesce(l.key_cap - l.key_in_flight, 1000000), 0), 1000) as own_room,
         greatest(coalesce(l.job_cap - l.job_in_flight, 1000000), 0) as job_room,
         greatest(coalesce(l.project_cap - l.project_in_flight, 1000000), 0) as project_room,
         e.endpoint as counted_endpoint, e.cap as endpoint_cap, e.in_flight as endpoint_in_flight,
         greatest(coalesce(e.cap - e.in_flight, 1000000), 0) as endpoint_room,
         l.job_disabled or l.job_paused or l.group_paused or l.endpoint_closed as shut
    from lane_rooms l left join endpoint_rooms e on e.project_id = l.project_id and e.endpoint = l.endpoint
   where l.root_lane_id = (select root_lane_id from me) and l.lane_id <> 0
), better as materialized (
  select t.lane_id, t.job_lane_id, t.job_room, t.counted_endpoint, t.endpoint_room, x.n
    from tree t cross join lateral (
         select count(*)::int as n
           from (select from run_parked p, me
                  where p.root_lane_id = me.root_lane_id and p.lane_id = t.lane_id and (p.rank, p.seq) < (me.rank, me.seq)
                  limit least(t.own_room, t.job_room, t.endpoint_room, t.project_room)) y) x
   where not t.shut and x.n > 0
), by_job as (
  select job_lane_id, counted_endpoint, min(endpoint_room) as endpoint_room, least(sum(n), min(job_room))::int as n
    from better group by job_lane_id, counted_endpoint
), by_endpoint as (
  select counted_endpoint, sum(n)::int as wanted,
         case when counted_endpoint is null then sum(n) else least(sum(n), min(endpoint_room)) end::int as n
    from by_job group by counted_endpoint
)
select t.lane_id, t.concurrency_key, t.job_disabled as "job_disabled", t.job_paused as "job_paused", t.group_paused as "group_paused",
       t.group_id as "group_id", t.key_cap as "key_cap", t.key_in_flight as "key_in_flight", t.job_cap as "job_cap",
       t.job_in_flight as "job_in_flight", t.project_cap as "project_cap", t.project_in_flight as "project_in_flight",
       t.job_lane_id as "job_lane_id", t.endpoint as "endpoint", t.endpoint_cap as "endpoint_cap",
       t.endpoint_in_flight as "endpoint_in_flight", money.of_run as "reserves", money.of_left as "money_left",
       (select count(*)::int from (select from run_parked p where p.root_lane_id = me.root_lane_id and p.lane_id = me.lane_id
                                      and (p.rank, p.seq) < (me.rank, me.seq) limit 1000) y) as "ahead_in_lane",
       coalesce((select sum(n)::int from better b where b.job_lane_id = t.job_lane_id), 0) as "ahead_in_job",
       coalesce((select wanted from by_endpoint e where e.counted_endpoint = t.counted_endpoint), 0) as "ahead_at_endpoint",
       coalesce((select sum(n)::int from by_endpoint), 0) as "ahead_in_project"
  from me join tree t on t.lane_id = me.lane_id
  left join lateral (select m.of[1] as of_run, least(m.of[2], m.of[3], m.of[4]) as of_left
                       from (select strait_money(t.project_id, t.job_id, t.concurrency_key) as of) m) money on t.budgeted`;

/**
 * The lane of a waiting run with all that limits it, and how many better ranked runs compete for the same room, counted as
 * promotion cuts: from each lane at most its own room, of each job at most the job's, of each endpoint with a limit at most
 * the endpoint's. A number at the room or beyond it
 * means that this run would not be promoted now.
 */
export function findRoom(db: Queryable, params: FindRoomParams): Promise<FindRoomRow | undefined> {
  return maybe<FindRoomRow>(db, {
    text: findRoomText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface ListHoldersParams {
  readonly project_id: string;
  readonly lane_id: number;
  readonly limit: number;
}

export interface ListHoldersRow {
  readonly run_id: string;
}

const listHoldersText = `select a.run_id from run_active a join lanes l on l.lane_id = a.lane_id
 where l.project_id = $1 and $2::bigint in (l.lane_id, l.parent_lane_id, l.root_lane_id)
 order by a.started_at limit $3::int`;

/** Runs that execute in a lane or below it, the oldest first. */
export function listHolders(db: Queryable, params: ListHoldersParams): Promise<ListHoldersRow[]> {
  return many<ListHoldersRow>(db, {
    text: listHoldersText,
    values: [
      params.project_id,
      params.lane_id,
      params.limit,
    ],
  });
}

export interface ListEndpointHoldersParams {
  readonly project_id: string;
  readonly endpoint: string;
  readonly limit: number;
}

export interface ListEndpointHoldersRow {
  readonly run_id: string;
}

const listEndpointHoldersText = `select a.run_id from run_active a join lanes l on l.lane_id = a.lane_id join jobs j on j.id = l.job_id
 where l.project_id = $1 and j.project_id = $1 and j.endpoint = $2
 order by a.started_at limit $3::int`;

/** Runs that execute in lanes of the jobs that call an endpoint, the oldest first. */
export function listEndpointHolders(db: Queryable, params: ListEndpointHoldersParams): Promise<ListEndpointHoldersRow[]> {
  return many<ListEndpointHoldersRow>(db, {
    text: listEndpointHoldersText,
    values: [
      params.project_id,
      params.endpoint,
      params.limit,
    ],
  });
}

export interface ListWaitsParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface ListWaitsRow {
  readonly event_key: string;
  readonly trigger_type: string;
  readonly source_type: string;
  readonly expires_at: string;
}

const listWaitsText = `select event_key, trigger_type, source_type, expires_at from event_triggers
 where job_run_id = $1 and project_id = $2 and status = 'waiting' order by requested_at limit 10`;

/** What a waiting run waits for. */
export function listWaits(db: Queryable, params: ListWaitsParams): Promise<ListWaitsRow[]> {
  return many<ListWaitsRow>(db, {
    text: listWaitsText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface RecentDurationParams {
  readonly job_id: string;
  readonly project_id: string;
}

export interface RecentDurationRow {
  readonly secs: number;
}

const recentDurationText = `select coalesce(avg(extract(epoch from finished_at - started_at)), 0)::float8 as "secs"
  from (select started_at, finished_at from job_runs
         where job_id = $1 and project_id = $2 and created_at > strait_now() - interval '7 days'
           and finished_at is not null and started_at is not null
         order by created_at desc, id desc limit 50) x`;

/** Seconds from start to end of the job's last ended runs, for an estimate. */
export function recentDuration(db: Queryable, params: RecentDurationParams): Promise<RecentDurationRow> {
  return one<RecentDurationRow>(db, {
    text: recentDurationText,
    values: [
      params.job_id,
      params.project_id,
    ],
  });
}
