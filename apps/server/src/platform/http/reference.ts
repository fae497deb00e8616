// The API reference for people (/reference) and programs (/reference/openapi.json, .yaml). Everything the
// page loads comes from this server.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { defineApi, reply } from './define-api.ts';
import type { Binding, OperationSpec } from './define-api.ts';
import { buildOpenApi } from './openapi.ts';
import type { OpenApiOptions } from './openapi.ts';

const { operation, bind } = defineApi<never, 'route_not_found', unknown, unknown>();
const shared = { method: 'GET', tags: ['Reference'], permission: 'public', failures: [] } as const;

const getReference = operation({
  ...shared,
  id: 'getReference',
  path: '/reference',
  summary: 'The API reference as a web page',
  replies: { 200: z.string() },
  raw: 'text/html; charset=utf-8',
});

const getReferenceOpenapiJson = operation({
  ...shared,
  id: 'getReferenceOpenapiJson',
  path: '/reference/openapi.json',
  summary: 'The API as an OpenAPI 3.1 document',
  replies: { 200: z.string() },
  raw: 'application/json; charset=utf-8',
});

const getReferenceOpenapiYaml = operation({
  ...shared,
  id: 'getReferenceOpenapiYaml',
  path: '/reference/openapi.yaml',
  summary: 'The same as YAML (JSON is YAML)',
  replies: { 200: z.string() },
  raw: 'application/x-yaml; charset=utf-8',
});

const getReferenceAsset = operation({
  ...shared,
  id: 'getReferenceAsset',
  path: '/reference/assets/:asset',
  summary: 'Scripts and styles of the reference page',
  params: z.object({ asset: z.string() }),
  replies: { 200: z.string() },
  failures: ['route_not_found'],
  raw: 'text/plain; charset=utf-8',
});

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Strait API reference</title>
<link rel="stylesheet" href="/reference/assets/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="/reference/assets/swagger-ui-bundle.js"></script>
<script src="/reference/assets/start.js"></script>
</body>
</html>
`;

const startScript = `window.SwaggerUIBundle({
  url: '/reference/openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  validatorUrl: null,
});
`;

const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  // Swagger UI sets style attributes.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const packaged: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
};

export function referenceOperations(
  operations: () => readonly OperationSpec[],
  options: OpenApiOptions,
): Binding[] {
  let text: string | undefined;
  const document = () =>
    (text ??= JSON.stringify(buildOpenApi(operations(), options), undefined, 1));
  const assets = new Map<string, Promise<string>>();

  const asset = (name: string): Promise<string> => {
    let content = assets.get(name);
    if (!content) {
      content = readFile(fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`)), 'utf8');
      content.catch(() => assets.delete(name));
      assets.set(name, content);
    }
    return content;
  };

  return [
    bind(getReference, () => reply(200, page, { 'content-security-policy': pagePolicy })),
    bind(getReferenceOpenapiJson, document),
    bind(getReferenceOpenapiYaml, document),
    bind(getReferenceAsset, async (_, { params }) => {
      const cached = { 'cache-control': 'public, max-age=3600' };
      if (params.asset === 'start.js') {
        return reply(200, startScript, {
          ...cached,
          'content-type': 'text/javascript; charset=utf-8',
        });
      }
      const type = Object.hasOwn(packaged, params.asset) ? packaged[params.asset] : undefined;
      if (type === undefined) throw new Failure('route_not_found');
      return reply(200, await asset(params.asset), { ...cached, 'content-type': type });
    }),
  ];
}
