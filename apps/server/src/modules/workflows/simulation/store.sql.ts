// Generated from store.sql by `npm run generate`. Do not edit.
import { many, type Queryable } from '../../../platform/db/query.ts';

export interface AverageCostsParams {
  readonly job_ids: readonly (string | null)[];
  readonly project_id: string;
}

export interface AverageCostsRow {
  readonly job_id: string;
  readonly average: number;
}

const averageCostsText = `select j.job_id as "job_id", coalesce(avg(u.cost), 0)::float8 as "average"
  from unnest($1::text[]) as j(job_id)
 cross join lateral (
   select coalesce((select sum(x.cost_microusd) from run_usage x where x.run_id = r.id), 0) as cost
     from job_runs r where r.project_id = $2 and r.job_id = j.job_id and r.status = 'completed'
    order by r.created_at desc limit 50) u
 group by j.job_id`;

/** Of each job's last completed runs. */
export function averageCosts(db: Queryable, params: AverageCostsParams): Promise<AverageCostsRow[]> {
  return many<AverageCostsRow>(db, {
    text: averageCostsText,
    values: [
      params.job_ids,
      params.project_id,
    ],
  });
}
