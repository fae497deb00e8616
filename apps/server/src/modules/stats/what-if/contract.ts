// What other limits would have done to what a job was really asked to do.

import { z } from 'zod';
import { operation } from '../../access/index.ts';

const limit = z.int().min(0).max(1_000_000).nullish();

const Simulation = z
  .object({
    runs: z.int(),
    max_backlog: z.int(),
    max_running: z.int(),
    wait_p50_secs: z.number(),
    wait_p95_secs: z.number(),
    drain_secs: z.number().meta({ description: 'From the first arrival to the last end' }),
  })
  .meta({ id: 'LimitSimulation' });

export const simulateLimits = operation({
  id: 'postV1JobsByJobIDSimulateLimits',
  sdk: 'jobs.simulateLimits',
  method: 'POST',
  path: '/v1/jobs/:jobID/simulate-limits',
  summary: 'Replay what the job was asked to do through other limits',
  description:
    'Takes the arrivals and durations of ended runs created in the window (the newest 20,000) and replays them on a virtual clock, once with the limits as they are and once as proposed. All keys are alike in it: what single ones are guaranteed, their maximum and weight are left out. Changes nothing.',
  tags: ['Jobs'],
  permission: 'jobs:read',
  params: z.object({ jobID: z.string() }),
  body: z
    .strictObject({
      window_secs: z.int().min(60).max(2_592_000).default(86_400),
      max_concurrency: limit.meta({ description: '0 or null: no limit; left out: as it is' }),
      max_concurrency_per_key: limit,
    })
    .meta({ id: 'SimulateLimitsRequest' }),
  replies: {
    200: z
      .object({ current: Simulation, proposed: Simulation, truncated: z.boolean() })
      .meta({ id: 'SimulateLimitsResponse' }),
  },
  failures: ['job_not_found'],
});
