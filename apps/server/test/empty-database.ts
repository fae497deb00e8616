// Databases with a plain client, for tests of the schema itself.
import type { TestContext } from 'node:test';
import pg from 'pg';
import { testDatabase } from './database.ts';

/** A database without anything in it, dropped when the test ends. */
export const emptyDatabase = (t: TestContext) => connect(t, { empty: true });

/** A clone of the migrated template, dropped when the test ends. */
export const migratedDatabase = (t: TestContext) => connect(t, {});

async function connect(
  t: TestContext,
  options: { empty?: boolean },
): Promise<{ url: string; client: pg.Client }> {
  const database = await testDatabase(options);
  const client = new pg.Client({ connectionString: database.url });
  client.on('error', () => undefined);
  await client.connect();
  t.after(async () => {
    await client.end();
    await database.drop();
  });
  return { url: database.url, client };
}
