// What operators can ask about endpoints.
import { z } from 'zod';
import { operation } from '../../access/index.ts';

const instant = z.iso.datetime().nullable();

export const EndpointHealth = z
  .object({
    role: z.enum(['primary', 'fallback']),
    endpoint: z
      .string()
      .meta({ description: 'Scheme, host, port and path: what breaker and health are kept by' }),
    admission: z.object({
      state: z.enum(['open', 'throttled', 'closed']).meta({
        description: 'Whether runs may start. `closed`: none but one probe at a time',
      }),
      concurrency_share: z.number().meta({ description: 'Share of `max_concurrency` in effect' }),
      max_in_flight: z.int().nullable().meta({
        description:
          'Runs it takes at a time, all jobs of the project together; grows while it does well. Null: no limit',
      }),
      next_probe_at: instant,
      probe_run_id: z.string().nullable(),
    }),
    breaker: z.object({
      state: z.enum(['closed', 'open', 'half_open']),
      consecutive_failures: z.int(),
      opened_at: instant,
      reopens_at: instant,
      last_failure_at: instant,
    }),
    health: z.object({
      level: z.enum(['healthy', 'degraded', 'blocked']),
      score: z.number(),
      success_rate: z.number(),
      failure_rate: z.number(),
      latency_score: z.number(),
      total_requests: z.int(),
      last_latency_ms: z.number().nullable(),
      updated_at: instant,
    }),
  })
  .meta({ id: 'EndpointHealth' });

export const getJobEndpointHealth = operation({
  id: 'getV1JobsByJobIDEndpointHealth',
  sdk: 'jobs.getEndpointHealth',
  method: 'GET',
  path: '/v1/jobs/:jobID/endpoint-health',
  summary: 'How the endpoints of a job are doing, and whether its runs may start',
  description:
    'Circuit breaker and health are kept per project and endpoint, shared by all jobs of the project that call it.',
  tags: ['Jobs'],
  permission: 'jobs:read',
  params: z.object({
    jobID: z.string().min(1).max(256).meta({ description: 'id or slug of the job' }),
  }),
  replies: {
    200: z
      .object({ job_id: z.string(), endpoints: z.array(EndpointHealth) })
      .meta({ id: 'JobEndpointHealthResponse' }),
  },
  failures: ['job_not_found'],
});
