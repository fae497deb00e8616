// A database of its own for every test file: a clone of the migrated template, 30 to 60 ms.

import { randomBytes } from 'node:crypto';
import { createDatabase, type Database } from '../src/platform/db/database.ts';

export interface TestDatabase {
  readonly url: string;
  /** Ordinary pool, across projects. */
  readonly db: Database;
  readonly tenantRole: string | undefined;
  drop(): Promise<void>;
}

const serverUrl = (): string => {
  const url = process.env['STRAIT_TEST_URL'];
  if (url === undefined)
    throw new Error('run the tests with `npm test [words]`: they need its PostgreSQL');
  return url;
};

/** The server may be busy with many clones at the start of a share. */
const PATIENCE_MS = 30_000;

/** Clones the template. `empty` makes a database without any schema instead. */
export async function testDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const name = `strait_test_${randomBytes(6).toString('hex')}`;
  const template = options.empty
    ? 'template0'
    : (process.env['STRAIT_TEST_TEMPLATE'] ?? 'template0');
  await asServer(`create database ${name} template ${template}`);
  const url = new URL(serverUrl());
  url.pathname = `/${name}`;
  const tenantRole = process.env['STRAIT_TEST_TENANT_ROLE'] || undefined;
  const db = createDatabase({
    url: url.href,
    application_name: 'strait-test',
    max: 8,
    tenantRole,
    acquire_timeout_ms: PATIENCE_MS,
  });
  return {
    url: url.href,
    db,
    tenantRole,
    drop: async () => {
      await db.close();
      // Not `with (force)`: that is refused while autovacuum, which is nobody's to terminate, looks at the database. Without
      // it the server sends autovacuum away by itself, and waits for those that were told to go.
      await asServer(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and usename = current_user`,
      );
      await asServer(`drop database if exists ${name}`);
    },
  };
}

async function asServer(text: string): Promise<void> {
  const server = createDatabase({
    url: serverUrl(),
    application_name: 'strait-test',
    max: 1,
    acquire_timeout_ms: PATIENCE_MS,
  });
  try {
    await server.query({ text, values: [] });
  } finally {
    await server.close();
  }
}

/** Moves the database's clock (strait_now) by `ms` from the real one. */
export async function shiftClock(db: Database, ms: number): Promise<void> {
  await db.query({
    text: `create or replace function strait_now() returns timestamptz language sql stable parallel safe return now() + interval '${Math.round(ms)} ms'`,
    values: [],
  });
}
