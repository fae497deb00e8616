// Headers of every answer, and cross-origin rules.

export interface CorsConfig {
  /** `*` or exact origins. */
  readonly allowed_origins: readonly string[];
  readonly allow_credentials: boolean;
}

const always = {
  'x-api-version': 'v1',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'x-xss-protection': '0',
  'content-security-policy': "default-src 'none'",
  'referrer-policy': 'no-referrer',
} as const;

const allowedHeaders = [
  'Accept',
  'Authorization',
  'Content-Type',
  'X-Internal-Secret',
  'X-Idempotency-Key',
  'Idempotency-Key',
  'X-Project-Id',
  'X-Request-Id',
  'X-SDK-Version',
  'Last-Event-ID',
].join(', ');

const exposedHeaders = [
  'Link',
  'X-Request-Id',
  'X-API-Version',
  'Retry-After',
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
].join(', ');

/** Throws when any origin would be let in with credentials. */
export function commonHeaders({ allowed_origins, allow_credentials }: CorsConfig) {
  const any = allowed_origins.includes('*');
  if (any && allow_credentials) {
    throw new Error('CORS_ALLOWED_ORIGINS "*" cannot be combined with CORS_ALLOW_CREDENTIALS');
  }
  const exact = new Set(allowed_origins);

  return (request: {
    readonly request_id: string;
    readonly https: boolean;
    readonly origin: string | undefined;
    readonly preflight: boolean;
  }): Record<string, string> => {
    const headers: Record<string, string> = { ...always, 'x-request-id': request.request_id };
    if (request.https) headers['strict-transport-security'] = 'max-age=63072000; includeSubDomains';
    if (!any) headers['vary'] = 'Origin';
    if (request.origin === undefined || !(any || exact.has(request.origin))) return headers;
    headers['access-control-allow-origin'] = any ? '*' : request.origin;
    headers['access-control-expose-headers'] = exposedHeaders;
    if (allow_credentials) headers['access-control-allow-credentials'] = 'true';
    if (request.preflight) {
      headers['access-control-allow-methods'] = 'GET, POST, PUT, PATCH, DELETE, OPTIONS';
      headers['access-control-allow-headers'] = allowedHeaders;
      headers['access-control-max-age'] = '300';
    }
    return headers;
  };
}
