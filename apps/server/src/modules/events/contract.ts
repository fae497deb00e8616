// Events from outside: looking at a wait, ending it with an event, giving it up, watching it.

import { z } from 'zod';
import { operation } from '../access/index.ts';
import { pageQuery, pageSchema } from '../../platform/http/pagination.ts';
import { omitEmpty } from '../../platform/http/json-reply.ts';
import { triggerStates } from './states.ts';

const time = z.string().meta({ format: 'date-time' });

export const EventTriggerStatus = z.enum(triggerStates.states).meta({ id: 'EventTriggerStatus' });
const SourceType = z.enum(['workflow_step', 'job_run']).meta({ id: 'EventTriggerSourceType' });

export const EventTrigger = z
  .object({
    id: z.string(),
    event_key: z.string(),
    project_id: z.string(),
    source_type: SourceType,
    workflow_run_id: omitEmpty(z.string()),
    workflow_step_run_id: omitEmpty(z.string()),
    job_run_id: omitEmpty(z.string()),
    status: EventTriggerStatus,
    request_payload: z.unknown().optional(),
    response_payload: z.unknown().optional(),
    timeout_secs: z.int(),
    requested_at: time,
    received_at: omitEmpty(time),
    expires_at: time,
    error: omitEmpty(z.string()),
    notify_url: omitEmpty(z.string()),
    notify_status: omitEmpty(z.enum(['pending', 'sent', 'failed'])),
    trigger_type: omitEmpty(z.enum(['event', 'sleep']).meta({ id: 'EventTriggerType' })),
    sent_by: omitEmpty(z.string()),
  })
  .meta({ id: 'EventTrigger' });
export type EventTrigger = z.input<typeof EventTrigger>;

export const EventTriggerStatusEvent = z
  .object({
    id: z.string(),
    event_key: z.string(),
    status: EventTriggerStatus,
    project_id: z.string(),
    source_type: SourceType,
    received_at: time.nullable(),
    error: z.string(),
    timestamp: time,
  })
  .meta({ id: 'EventTriggerStatusEvent' });

/** Also a value in a path, where `/` is written `%2F`. */
const key = z
  .string()
  .min(1)
  .max(512)
  // oxlint-disable-next-line no-control-regex -- these are what is refused
  .refine((text) => !/[\u0000-\u001f]/.test(text), 'must not contain control characters');
const tags = ['EventTriggers'] as const;
const ofKey = { tags, params: z.object({ eventKey: key }) } as const;
const SendEventRequest = z
  .strictObject({ payload: z.unknown().optional() })
  .meta({ id: 'SendEventRequest' });

export const listEvents = operation({
  tags,
  id: 'getV1Events',
  sdk: 'eventTriggers.listEvents',
  method: 'GET',
  path: '/v1/events',
  summary: 'Waits of the project, newest first',
  description:
    'Waits of steps for whoever holds `workflows:read`, waits of runs for whoever holds `jobs:read`.',
  permission: 'jobs:read',
  or_permission: 'workflows:read',
  query: z.object({
    ...pageQuery,
    project_id: z.string().optional(),
    status: EventTriggerStatus.optional(),
    workflow_run_id: z.string().max(256).optional(),
    source_type: SourceType.optional(),
  }),
  replies: { 200: pageSchema('EventTriggerPage', EventTrigger) },
  failures: [],
});

export const getEventStats = operation({
  tags,
  id: 'getV1EventsStats',
  sdk: 'eventTriggers.getStat',
  method: 'GET',
  path: '/v1/events/stats',
  summary: 'How many waits the project has and had, and how long they took',
  permission: 'stats:read',
  replies: {
    200: z
      .object({
        total_count: z.int(),
        waiting_count: z.int(),
        received_count: z.int(),
        timed_out_count: z.int(),
        canceled_count: z.int(),
        avg_wait_duration_secs: z.number(),
      })
      .meta({ id: 'EventTriggerStats' }),
  },
  failures: [],
});

export const purgeEvents = operation({
  tags,
  id: 'postV1EventsPurge',
  sdk: 'eventTriggers.purgeEvent',
  method: 'POST',
  path: '/v1/events/purge',
  summary: 'Remove waits of the project that have ended',
  description: 'At most 10,000 a call; what a live run received stays.',
  permission: 'rbac:manage',
  body: z
    .object({ older_than_days: z.int().min(1).max(36_500), dry_run: z.boolean().default(false) })
    .meta({ id: 'PurgeEventTriggersRequest' }),
  replies: {
    200: z.union([
      z.object({ deleted: z.int() }),
      z.object({ dry_run: z.literal(true), would_delete: z.int() }),
    ]),
  },
  failures: [],
});

export const sendPrefix = operation({
  tags,
  params: z.object({ prefix: key }),
  id: 'postV1EventsPrefixByPrefixSend',
  sdk: 'eventTriggers.sendPrefix',
  method: 'POST',
  path: '/v1/events/prefix/:prefix/send',
  summary: 'Send the event to everybody who waits for a key with this beginning',
  description:
    'The oldest 1000 waits, all of them or none; fewer where they would be given more than 64 MiB together. Sleeps and runs that wait for a child are no waits for events. Needs `workflows:trigger` where steps wait, `jobs:trigger` where runs do.',
  permission: 'jobs:trigger',
  or_permission: 'workflows:trigger',
  body: SendEventRequest,
  body_required: false,
  replies: { 200: z.object({ resolved: z.int(), triggers: z.array(EventTrigger) }) },
  failures: ['payload_too_large'],
  rate_limit: { requests: 600, window_secs: 60 },
});

export const getEvent = operation({
  ...ofKey,
  id: 'getV1EventsByEventKey',
  sdk: 'eventTriggers.getEvent',
  method: 'GET',
  path: '/v1/events/:eventKey',
  summary: 'The wait for this event key: the one under way, else the newest',
  permission: 'jobs:read',
  or_permission: 'workflows:read',
  replies: { 200: EventTrigger },
  failures: ['event_not_found'],
});

export const sendEvent = operation({
  ...ofKey,
  id: 'postV1EventsByEventKeySend',
  sdk: 'eventTriggers.sendEvent',
  method: 'POST',
  path: '/v1/events/:eventKey/send',
  summary: 'Send the event: the step or run that waits for it goes on',
  description:
    'A step completes with the payload as its output. A run is queued again; its next request carries the payload in `X-Event-Payload` (up to 64 KiB). ' +
    'The same payload once more changes nothing. 202: nobody waits yet, and the project keeps events (`event_buffer_secs`).',
  permission: 'jobs:trigger',
  or_permission: 'workflows:trigger',
  body: SendEventRequest,
  body_required: false,
  replies: {
    200: EventTrigger,
    202: z
      .object({ event_key: z.string(), status: z.literal('buffered'), expires_at: time })
      .meta({ id: 'BufferedEvent' }),
  },
  failures: [
    'event_not_found',
    'event_not_waiting',
    'event_already_received',
    'event_is_sleep',
    'event_is_child',
    'event_buffer_full',
    'payload_too_large',
  ],
  rate_limit: { requests: 600, window_secs: 60 },
});

export const cancelEvent = operation({
  ...ofKey,
  id: 'deleteV1EventsByEventKey',
  sdk: 'eventTriggers.deleteEvent',
  method: 'DELETE',
  path: '/v1/events/:eventKey',
  summary: 'Give the wait up: its step fails, or its run is canceled',
  permission: 'runs:write',
  or_permission: 'workflows:write',
  replies: { 200: EventTrigger },
  failures: ['event_not_found', 'event_not_waiting', 'event_is_sleep'],
});

export const streamEvent = operation({
  ...ofKey,
  id: 'getV1EventsByEventKeyStream',
  sdk: 'eventTriggers.getStream',
  method: 'GET',
  path: '/v1/events/:eventKey/stream',
  summary: 'Stream the state of a wait until it ends',
  description: 'Events named `status`: the whole trigger first, then its end.',
  permission: 'jobs:read',
  or_permission: 'workflows:read',
  stream: true,
  token_in_query: true,
  replies: { 200: z.union([EventTrigger, EventTriggerStatusEvent]) },
  failures: ['event_not_found', 'too_many_streams'],
});
