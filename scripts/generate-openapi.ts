// The OpenAPI document of the composed product. Composing opens no connection, so no database is needed.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { compose } from '../apps/server/src/app/compose.ts';
import { readConfig } from '../apps/server/src/app/config.ts';
import type { OperationSpec } from '../apps/server/src/platform/http/define-api.ts';
import { createLog } from '../apps/server/src/platform/telemetry/log.ts';

const DATABASE_URL = 'postgres://nobody@127.0.0.1:1/none';
const secret = 'never used: nothing is served with these settings';

export interface Served {
  readonly operations: readonly OperationSpec[];
  /** What `/reference/openapi.json` answers. */
  readonly document: Readonly<Record<string, unknown>>;
}

export async function servedOperations(): Promise<Served> {
  const root = path.join(import.meta.dirname, '..');
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const { http, db, hot } = compose({
    config: readConfig({ DATABASE_URL, INTERNAL_SECRET: secret, JWT_SIGNING_KEY: secret }, []),
    url: DATABASE_URL,
    log: createLog({ level: 'silent', format: 'text' }),
    tenantRole: undefined,
    version,
    check_replies: false,
  });
  try {
    const { statusCode, payload } = await http.inject('/reference/openapi.json');
    if (statusCode !== 200) throw new Error(`the reference answered ${statusCode}: ${payload}`);
    return {
      operations: http.operations,
      document: JSON.parse(payload) as Record<string, unknown>,
    };
  } finally {
    await Promise.all([db.close(), hot.close()]);
  }
}

/** As it is committed. */
export async function openApiFile(): Promise<string> {
  const { document } = await servedOperations();
  return `${JSON.stringify(document, null, 1)}\n`;
}
