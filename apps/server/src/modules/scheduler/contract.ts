// Looking at a job's schedule.

import { z } from 'zod';
import { operation } from '../access/index.ts';
import { omitEmpty } from '../../platform/http/json-reply.ts';
import { Catchup, OverlapPolicy } from '../jobs/index.ts';

const time = z.string().meta({ format: 'date-time' });
const MOST_FIRES = 100;
export const fireCount = z.coerce
  .number('must be a whole number')
  .int('must be a whole number')
  .min(1, 'must be at least 1')
  .max(MOST_FIRES, `must be at most ${MOST_FIRES}`)
  .default(10)
  .meta({ description: 'How many of the next fires' });

const ScheduleFire = z
  .object({
    fire_at: time,
    outcome: z.enum(['created', 'held', 'skipped', 'missed', 'refused']).meta({
      description:
        'created: made `run_id`; held: the idempotency key of the instant belonged to `run_id` already; skipped: ' +
        'the job was running and must not overlap; missed: no scheduler was there in time; refused: the job was ' +
        'disabled or deleted at that moment.',
    }),
    run_id: omitEmpty(z.string()),
  })
  .meta({ id: 'ScheduleFire' });

export const JobSchedule = z
  .object({
    job_id: z.string(),
    cron: z.string(),
    timezone: z.string(),
    overlap_policy: OverlapPolicy,
    catchup: Catchup,
    status: z.enum(['active', 'disabled', 'invalid']).meta({
      description:
        'disabled: the job is. invalid: `problem` says why nothing fires; saving the job with another expression mends it.',
    }),
    job_paused: z.boolean().meta({
      description:
        'The job, its group or the queue of its project: runs are made, and held until it resumes.',
    }),
    problem: omitEmpty(z.string()),
    next_fire_at: omitEmpty(time),
    last_fire_at: omitEmpty(time).meta({ description: 'The last instant that had a run.' }),
    last_run_id: omitEmpty(z.string()),
    next_fires: z
      .array(time)
      .meta({ description: 'What comes next; of a disabled job, what would.' }),
    recent_fires: z
      .array(ScheduleFire)
      .meta({ description: 'The last 10 instants, newest first; kept for 7 days.' }),
  })
  .meta({ id: 'JobSchedule' });

export const getJobSchedule = operation({
  id: 'getV1JobsByJobIDSchedule',
  sdk: 'jobs.getSchedule',
  method: 'GET',
  path: '/v1/jobs/:jobID/schedule',
  summary: 'When a job runs by itself: its next fires, and what became of the last ones',
  tags: ['Jobs'],
  permission: 'jobs:read',
  params: z.object({
    jobID: z.string().min(1).max(256).meta({ description: 'id or slug of the job' }),
  }),
  query: z.object({ count: fireCount }),
  replies: { 200: JobSchedule },
  failures: ['job_not_found', 'schedule_not_found'],
});
