import { bind } from '../access/index.ts';
import { cancelEvent, getEvent, sendEvent, streamEvent } from './contract.ts';
import type { Events } from './service.ts';

export const eventRoutes = (events: Events) => [
  bind(getEvent, ({ project }, { params }) => events.get(project, params.eventKey)),
  bind(sendEvent, ({ project, caller }, { params, body }) =>
    events.send(project, params.eventKey, body?.payload, caller.actor_id),
  ),
  bind(cancelEvent, ({ project }, { params }) => events.cancel(project, params.eventKey)),
  bind(streamEvent, ({ project }, { params }) => events.stream(project, params.eventKey)),
];
