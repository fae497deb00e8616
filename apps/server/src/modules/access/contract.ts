import { z } from 'zod';
import { operation } from '../../domain/api.ts';
import { omitEmpty } from '../../platform/http/json-reply.ts';
import { pageQuery, pageSchema } from '../../platform/http/pagination.ts';

const time = z.iso.datetime();
const maxDays = 3650;

export const APIKey = z
  .object({
    id: z.string(),
    project_id: z.string(),
    name: z.string(),
    key_prefix: z.string(),
    scopes: z.array(z.string()),
    expires_at: omitEmpty(time),
    last_used_at: omitEmpty(time),
    created_at: time,
    revoked_at: omitEmpty(time),
    replaced_by_key_id: omitEmpty(z.string()),
    grace_expires_at: omitEmpty(time),
    rate_limit_requests: omitEmpty(z.int()),
    rate_limit_window_secs: omitEmpty(z.int()),
    environment_id: omitEmpty(z.string()),
    rotation_interval_days: omitEmpty(z.int()),
    next_rotation_at: omitEmpty(time),
    rotation_webhook_url: omitEmpty(z.string()),
  })
  .meta({ id: 'APIKey' });

const CreateAPIKeyRequest = z
  .strictObject({
    project_id: z.string().min(1).optional(),
    name: z.string().min(1).max(255),
    // Checked by the service, which names the unknown one.
    scopes: z.array(z.string()).max(100).optional(),
    expires_in_days: z.int().min(0).max(maxDays).optional(),
    environment_id: z.string().max(255).optional(),
    rotation_interval_days: z.int().min(0).max(maxDays).optional(),
    rate_limit_requests: z.int().min(0).max(1_000_000).optional(),
    rate_limit_window_secs: z.int().min(0).max(86_400).optional(),
  })
  .meta({ id: 'CreateAPIKeyRequest' });

const CreateAPIKeyResponse = z
  .object({
    id: z.string(),
    project_id: z.string(),
    name: z.string(),
    key: z.string(),
    key_prefix: z.string(),
    scopes: z.array(z.string()),
    expires_at: omitEmpty(time),
    created_at: time,
  })
  .meta({ id: 'CreateAPIKeyResponse' });

const RotateAPIKeyRequest = z
  .strictObject({
    grace_period_minutes: z
      .int()
      .min(0)
      .max(10_080)
      .optional()
      .meta({ description: 'How long the old key still works; 0 = not at all. Default: 60' }),
  })
  .meta({ id: 'RotateAPIKeyRequest' });

const RotateAPIKeyResponse = z
  .object({
    old_key_id: z.string(),
    new_key_id: z.string(),
    project_id: z.string(),
    name: z.string(),
    key: z.string(),
    key_prefix: z.string(),
    scopes: z.array(z.string()),
    expires_at: omitEmpty(time),
    created_at: time,
    grace_expires_at: time,
  })
  .meta({ id: 'RotateAPIKeyResponse' });

const shared = { tags: ['APIKeys'], permission: 'api-keys:manage' } as const;
const rate_limit = { requests: 10, window_secs: 60 } as const;
const params = z.object({ keyID: z.string() });

export const createApiKey = operation({
  ...shared,
  id: 'postV1ApiKeys',
  sdk: 'apiKeys.create',
  method: 'POST',
  path: '/v1/api-keys',
  summary: 'Create an API key; the key itself is shown this once',
  body: CreateAPIKeyRequest,
  replies: { 201: CreateAPIKeyResponse },
  failures: ['unknown_scope', 'scope_not_held', 'environment_not_found'],
  rate_limit: { ...rate_limit, always_on: true },
});

export const listApiKeys = operation({
  ...shared,
  id: 'getV1ApiKeys',
  sdk: 'apiKeys.list',
  method: 'GET',
  path: '/v1/api-keys',
  summary: 'Keys that are not revoked, newest first',
  query: z.object({ project_id: z.string().optional(), ...pageQuery }),
  replies: { 200: pageSchema('APIKeyPage', APIKey) },
  failures: [],
});

export const rotateApiKey = operation({
  ...shared,
  id: 'postV1ApiKeysByKeyIDRotate',
  sdk: 'apiKeys.rotate',
  method: 'POST',
  path: '/v1/api-keys/:keyID/rotate',
  summary: 'Replace a key; the old one works for the grace period',
  params,
  body: RotateAPIKeyRequest,
  body_required: false,
  replies: { 201: RotateAPIKeyResponse },
  failures: ['api_key_not_found', 'api_key_not_rotatable', 'scope_not_held'],
  rate_limit,
});

export const revokeApiKey = operation({
  ...shared,
  id: 'deleteV1ApiKeysByKeyID',
  sdk: 'apiKeys.delete',
  method: 'DELETE',
  path: '/v1/api-keys/:keyID',
  summary: 'Revoke a key at once',
  params,
  replies: { 200: z.object({ status: z.literal('revoked') }) },
  failures: ['api_key_not_found', 'api_key_revoked'],
});
