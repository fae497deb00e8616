// A database without anything in it, for tests of the schema itself.
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import pg from 'pg';

/** TEST_DATABASE_URL names a server where databases may be created. Dropped when the test ends. */
export async function emptyDatabase(t: TestContext): Promise<{ url: string; client: pg.Client }> {
  const server = process.env.TEST_DATABASE_URL;
  if (server === undefined) throw new Error('set TEST_DATABASE_URL, or start tests with npm test');
  const name = `strait_empty_${randomBytes(6).toString('hex')}`;
  await administer(server, `create database ${name} template template0 encoding 'UTF8'`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const client = new pg.Client({ connectionString: url.href });
  client.on('error', () => undefined);
  await client.connect();
  t.after(async () => {
    await client.end();
    await administer(server, `drop database ${name} with (force)`);
  });
  return { url: url.href, client };
}

async function administer(server: string, statement: string): Promise<void> {
  const admin = new pg.Client({ connectionString: server });
  await admin.connect();
  try {
    await admin.query(statement);
  } finally {
    await admin.end();
  }
}
