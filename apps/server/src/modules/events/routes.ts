import { reply } from '../../platform/http/define-api.ts';
import type { JsonValue } from '../../platform/db/json-columns.ts';
import { bind } from '../access/index.ts';
import { actorOf } from '../audit/index.ts';
import * as api from './contract.ts';
import type { Events } from './service.ts';

/** Who sends nothing sends an empty object. */
const payloadOf = (body: { readonly payload?: unknown } | undefined) =>
  (body?.payload === undefined ? {} : body.payload) as JsonValue;

export const eventRoutes = (events: Events) => [
  bind(api.listEvents, (asker, { query: { limit, cursor, ...filter } }) =>
    events.list(asker, filter, { limit, cursor }),
  ),
  bind(api.getEventStats, ({ project }) => events.stats(project)),
  bind(api.purgeEvents, async (context, { body }) =>
    reply(200, await events.purge(context.project, actorOf(context), body)),
  ),
  bind(api.sendPrefix, async (asker, { params, body }) => {
    const triggers = await events.sendUnder(asker, params.prefix, payloadOf(body));
    return { resolved: triggers.length, triggers };
  }),
  bind(api.getEvent, (asker, { params }) => events.get(asker, params.eventKey)),
  bind(api.sendEvent, async (asker, { params, body }) => {
    const sent = await events.send(asker, params.eventKey, payloadOf(body));
    return sent.kind === 'kept' ? reply(202, sent.event) : reply(200, sent.trigger);
  }),
  bind(api.cancelEvent, (asker, { params }) => events.cancel(asker, params.eventKey)),
  bind(api.streamEvent, (asker, { params }) => events.stream(asker, params.eventKey)),
];
