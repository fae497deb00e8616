// The answer to "why has this run not started".

import { z } from 'zod';
import { omitEmpty } from '../../platform/http/json-reply.ts';
import { operation } from '../access/index.ts';
import { RunStatus } from '../runs/index.ts';
import { blockerKinds } from './rules.ts';

export const Blocker = z
  .object({
    kind: z.string().meta({
      description: 'Stable name of what is in the way, e.g. `key_limit`',
      'x-known-values': blockerKinds,
    }),
    message: z.string(),
    until: z.iso.datetime().optional().meta({ description: 'When it ends by itself' }),
    holders: omitEmpty(z.array(z.string())).meta({
      description: 'Runs that hold what this run waits for, 10 at most',
    }),
    unblock: z
      .object({ method: z.string(), path: z.string(), body: z.unknown().optional() })
      .optional()
      .meta({ description: 'The one call that would take it out of the way' }),
  })
  .meta({ id: 'RunBlocker' });

export const RunWhy = z
  .object({
    run_id: z.string(),
    status: RunStatus,
    blockers: z
      .array(Blocker)
      .meta({ description: 'In the order in which they are met; empty when it may start at once' }),
    position: z
      .int()
      .optional()
      .meta({ description: 'Runs that go first where room is short, counted to 1000' }),
    estimated_start_at: z.iso.datetime().optional().meta({
      description:
        'An estimate: when a delay ends, else from how long runs of the job took of late and how many run at a time. Absent where nobody can say',
    }),
  })
  .meta({ id: 'RunWhy' });

export const explainRun = operation({
  id: 'getV1RunsByRunIDWhy',
  sdk: 'runs.why',
  method: 'GET',
  path: '/v1/runs/:runID/why',
  summary: 'Why a run has not started',
  description:
    'Everything that keeps the run from starting, from the same facts that promotion and claims look at. docs/why.md lists the kinds.',
  tags: ['Runs'],
  permission: 'runs:read',
  params: z.object({ runID: z.string() }),
  replies: { 200: RunWhy },
  failures: ['run_not_found'],
});
