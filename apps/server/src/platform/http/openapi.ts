// The operations as an OpenAPI 3.1 document. Built when somebody asks, not at start.

import { z } from 'zod';
import type { OperationSpec } from './define-api.ts';
import type { FailureCatalogue } from './error-reply.ts';

type Json = Record<string, unknown>;

export interface OpenApiOptions {
  readonly title: string;
  readonly version: string;
  readonly failures: FailureCatalogue;
  /** Codes any operation can answer with. */
  readonly common_failures: readonly string[];
}

const reasons: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

export function buildOpenApi(operations: readonly OperationSpec[], options: OpenApiOptions): Json {
  const components = new Map<string, Json>();
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    const path = operation.path.replace(/:(\w+)/g, '{$1}');
    (paths[path] ??= {})[operation.method.toLowerCase()] = describe(operation, components, options);
  }
  return {
    openapi: '3.1.0',
    info: { title: options.title, version: options.version },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    tags: [...new Set(operations.flatMap(({ tags }) => tags))].sort().map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        ApiKeyAuth: { type: 'http', scheme: 'bearer', bearerFormat: 'strait_<64 lowercase hex>' },
        InternalSecret: { type: 'apiKey', in: 'header', name: 'X-Internal-Secret' },
        SseQueryToken: { type: 'apiKey', in: 'query', name: 'token' },
        RunToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
      schemas: {
        ...Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1))),
        ErrorResponse,
      },
    },
  };
}

const ErrorResponse: Json = {
  type: 'object',
  properties: {
    error: { type: 'string', description: 'For people' },
    code: { type: 'string', description: 'For programs; stable' },
    details: {
      type: 'array',
      items: {
        type: 'object',
        properties: { path: { type: 'string' }, message: { type: 'string' } },
        required: ['path', 'message'],
      },
    },
    retry_after_secs: { type: 'integer' },
    request_id: { type: 'string' },
  },
  required: ['error', 'code', 'request_id'],
};

function describe(
  operation: OperationSpec,
  components: Map<string, Json>,
  options: OpenApiOptions,
): Json {
  const { body, rate_limit, description } = operation;
  return {
    operationId: operation.id,
    tags: operation.tags,
    summary: operation.summary,
    ...(description === undefined ? {} : { description }),
    security: securityOf(operation),
    parameters: [
      ...parametersOf(operation.params, 'path', components),
      ...parametersOf(operation.query, 'query', components),
      ...parametersOf(operation.headers, 'header', components),
    ],
    ...(body && {
      requestBody: {
        required: operation.body_required !== false,
        content: { 'application/json': { schema: jsonSchema(body, components) } },
      },
    }),
    responses: responsesOf(operation, components, options),
    'x-scope': scopeOf(operation),
    ...(rate_limit && {
      'x-rate-limit': { requests: rate_limit.requests, windowSecs: rate_limit.window_secs },
    }),
    ...(operation.sdk === undefined ? {} : { 'x-sdk': { namespaced: operation.sdk } }),
  };
}

function scopeOf({ permission, or_permission }: OperationSpec): string | null {
  if (['public', 'authenticated', 'run_token'].includes(permission)) return null;
  return or_permission === undefined ? permission : `${permission} or ${or_permission}`;
}

function securityOf({ permission, token_in_query }: OperationSpec): Json[] {
  if (permission === 'public') return [];
  if (permission === 'run_token') return [{ RunToken: [] }];
  return [
    { ApiKeyAuth: [] },
    { InternalSecret: [] },
    ...(token_in_query ? [{ SseQueryToken: [] }] : []),
  ];
}

function parametersOf(
  schema: z.ZodType | undefined,
  place: 'path' | 'query' | 'header',
  components: Map<string, Json>,
): Json[] {
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape as Record<string, z.ZodType>).map(([name, member]) => {
    const { description, ...type } = jsonSchema(member, components);
    return {
      name,
      in: place,
      required: place === 'path' || !isOptional(member),
      ...(description === undefined ? {} : { description }),
      schema: type,
    };
  });
}

/** By what the schema says, because coerced members claim to take anything. */
function isOptional(schema: z.core.$ZodType): boolean {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  if (def.type === 'optional' || def.type === 'default' || def.type === 'prefault') return true;
  if (def.type === 'pipe') return isOptional(def.in);
  return 'innerType' in def ? isOptional(def.innerType as z.core.$ZodType) : false;
}

function responsesOf(
  operation: OperationSpec,
  components: Map<string, Json>,
  { failures, common_failures }: OpenApiOptions,
): Json {
  const responses: Json = {};
  for (const [status, schema] of Object.entries(operation.replies)) {
    const type = operation.stream
      ? 'text/event-stream'
      : (operation.raw?.split(';')[0] ?? 'application/json');
    responses[status] = {
      description: reasons[Number(status)] ?? status,
      ...(schema && { content: { [type]: { schema: jsonSchema(schema, components) } } }),
    };
  }
  const codes = new Map<number, string[]>();
  for (const code of [...commonOf(operation, common_failures), ...operation.failures]) {
    const status = failures[code]?.status ?? 500;
    codes.set(status, [...new Set([...(codes.get(status) ?? []), code])]);
  }
  for (const [status, of_status] of [...codes].sort(([a], [b]) => a - b)) {
    responses[String(status)] ??= {
      description: reasons[status] ?? String(status),
      content: { 'application/json': { schema: { $ref: '#/components/schemas/ErrorResponse' } } },
      'x-codes': of_status,
    };
  }
  return responses;
}

/** Of the codes every route could give, those this one can. */
function commonOf(operation: OperationSpec, common: readonly string[]): string[] {
  const is_public = operation.permission === 'public';
  const has_project = !is_public && operation.permission !== 'run_token';
  const never = new Set<string>(['route_not_found', 'method_not_allowed']);
  if (!operation.body)
    for (const code of ['invalid_json', 'body_required', 'body_too_large']) never.add(code);
  // What is not public refuses query parameters that it does not know.
  if (is_public && !operation.body && !operation.query && !operation.params)
    never.add('invalid_request');
  if (is_public) for (const code of ['unauthorized', 'forbidden']) never.add(code);
  if (!has_project)
    for (const code of ['project_required', 'project_mismatch', 'project_not_found'])
      never.add(code);
  if (operation.method === 'GET') never.add('overloaded');
  if (operation.stream) never.add('request_timeout');
  return common.filter((code) => !never.has(code));
}

/** Named schemas (`.meta({ id })`) become components. */
function jsonSchema(schema: z.ZodType, components: Map<string, Json>): Json {
  const {
    $defs,
    $schema: _,
    ...root
  } = z.toJSONSchema(schema, {
    // What may be sent and what may be returned: defaults and omitted fields are optional in both.
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema: target }) => foldNull(target as Json),
  }) as Json & { $defs?: Record<string, Json> };
  for (const [id, definition] of Object.entries($defs ?? {})) {
    if (!components.has(id)) components.set(id, withoutId(rewriteRefs(definition) as Json));
  }
  delete root['$schema'];
  const id = z.globalRegistry.get(schema)?.id;
  if (id === undefined) return rewriteRefs(root) as Json;
  if (!components.has(id)) components.set(id, withoutId(rewriteRefs(root, id) as Json));
  return { $ref: `#/components/schemas/${id}` };
}

/** A field that is omitted when empty is never null on the wire. */
function foldNull(target: Json): void {
  const options = target['anyOf'];
  if (target['x-omit-empty'] !== true || !Array.isArray(options)) return;
  const [inner] = (options as Json[]).filter((option) => option['type'] !== 'null');
  delete target['anyOf'];
  Object.assign(target, inner);
}

function withoutId(definition: Json): Json {
  return Object.fromEntries(Object.entries(definition).filter(([key]) => key !== 'id'));
}

function rewriteRefs(value: unknown, self?: string): unknown {
  if (Array.isArray(value)) return value.map((item) => rewriteRefs(item, self));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      if (key !== '$ref' || typeof member !== 'string') return [key, rewriteRefs(member, self)];
      if (member === '#' && self) return [key, `#/components/schemas/${self}`];
      return [key, member.replace('#/$defs/', '#/components/schemas/')];
    }),
  );
}
