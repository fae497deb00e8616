// Events from outside: looking at a wait, ending it with an event, giving it up, watching it.

import { z } from 'zod';
import { operation } from '../access/index.ts';
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

const params = z.object({ eventKey: z.string().min(1).max(512) });
const shared = { tags: ['EventTriggers'], params } as const;

export const getEvent = operation({
  ...shared,
  id: 'getV1EventsByEventKey',
  sdk: 'eventTriggers.getEvent',
  method: 'GET',
  path: '/v1/events/:eventKey',
  summary: 'The wait for this event key: the one under way, else the newest',
  permission: 'jobs:read',
  replies: { 200: EventTrigger },
  failures: ['event_not_found'],
});

export const sendEvent = operation({
  ...shared,
  id: 'postV1EventsByEventKeySend',
  sdk: 'eventTriggers.sendEvent',
  method: 'POST',
  path: '/v1/events/:eventKey/send',
  summary: 'Send the event: the run that waits for it goes on',
  description:
    'The run is queued again; its next request carries the payload in `X-Event-Payload` (up to 64 KiB).',
  permission: 'jobs:trigger',
  body: z.strictObject({ payload: z.unknown().optional() }).meta({ id: 'SendEventRequest' }),
  body_required: false,
  replies: { 200: EventTrigger },
  failures: ['event_not_found', 'event_not_waiting'],
  rate_limit: { requests: 600, window_secs: 60 },
});

export const cancelEvent = operation({
  ...shared,
  id: 'deleteV1EventsByEventKey',
  sdk: 'eventTriggers.deleteEvent',
  method: 'DELETE',
  path: '/v1/events/:eventKey',
  summary: 'Give the wait up: it and its run are canceled',
  permission: 'runs:write',
  replies: { 200: EventTrigger },
  failures: ['event_not_found', 'event_not_waiting'],
});

export const streamEvent = operation({
  ...shared,
  id: 'getV1EventsByEventKeyStream',
  sdk: 'eventTriggers.getStream',
  method: 'GET',
  path: '/v1/events/:eventKey/stream',
  summary: 'Stream the state of a wait until it ends',
  description: 'Events named `status`: the whole trigger first, then its end.',
  permission: 'jobs:read',
  stream: true,
  token_in_query: true,
  replies: { 200: z.union([EventTrigger, EventTriggerStatusEvent]) },
  failures: ['event_not_found', 'too_many_streams'],
});
