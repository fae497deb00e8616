import { bind } from '../../domain/api.ts';
import { actorOf } from '../audit/index.ts';
import type { ApiKeys } from './api-keys.ts';
import { createApiKey, listApiKeys, revokeApiKey, rotateApiKey } from './contract.ts';

export const apiKeyRoutes = (keys: ApiKeys) => [
  bind(createApiKey, (context, { body }) =>
    keys.create(context.project, context.caller, actorOf(context), body),
  ),
  bind(listApiKeys, ({ project }, { query }) => keys.list(project, query)),
  bind(rotateApiKey, (context, { params, body }) =>
    keys.rotate(
      context.project,
      context.caller,
      actorOf(context),
      params.keyID,
      body?.grace_period_minutes,
    ),
  ),
  bind(revokeApiKey, (context, { params }) =>
    keys.revoke(context.project, actorOf(context), params.keyID),
  ),
];
