import { reply } from '../../../platform/http/define-api.ts';
import { bind } from '../../access/index.ts';
import type { BulkTriggers } from './bulk.ts';
import { bulkTriggerJob, triggerJob } from './contract.ts';
import type { Triggers } from './trigger.ts';

export const triggerRoutes = (triggers: Triggers, bulk: BulkTriggers) => [
  bind(triggerJob, async ({ project, caller }, { params, headers, body }) => {
    const { dry_run, ...item } = body;
    const idempotency_key =
      headers['x-idempotency-key'] || headers['idempotency-key'] || item.idempotency_key;
    const { traceparent, tracestate } = headers;
    const input = {
      job: params.jobID,
      item: { ...item, idempotency_key },
      created_by: caller.actor_id,
      traceparent,
      tracestate,
    };
    if (dry_run) return reply(200, await triggers.dryRun(project, input));
    const answer = await triggers.trigger(project, input);
    return 'id' in answer ? reply(201, answer) : reply(202, answer);
  }),
  bind(bulkTriggerJob, ({ project, caller }, { params, body }) =>
    bulk.triggerMany(project, {
      job: params.jobID,
      items: body.items,
      created_by: caller.actor_id,
    }),
  ),
];
