// Databases for one program or test run, dropped at its end, on a server that is there or a private one.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { startLocalPostgres } from '@strait/local-postgres';
import { migrate } from '../apps/server/src/platform/db/migrate.ts';

export interface ScratchServer {
  /** A role that may create databases. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface ScratchDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** The server of STRAIT_SCRATCH_URL, of the test run, or of DATABASE_URL; else a private one (about 2 s). */
export async function openScratchServer(): Promise<ScratchServer> {
  const { STRAIT_SCRATCH_URL, STRAIT_TEST_URL, DATABASE_URL } = process.env;
  const given = STRAIT_SCRATCH_URL ?? STRAIT_TEST_URL ?? DATABASE_URL;
  if (given !== undefined) return { url: given, stop: async () => {} };
  const home = mkdtempSync(path.join(tmpdir(), 'strait-scratch-'));
  const remove = () => rmSync(home, { recursive: true, force: true });
  try {
    const server = await startLocalPostgres({ home, settings: { fsync: 'off' }, restart: false });
    return { url: server.url, stop: () => server.stop('immediate').finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

/** An empty database. `drop` ends whatever is still connected. */
export async function createScratchDatabase(server: ScratchServer): Promise<ScratchDatabase> {
  const name = `strait_scratch_${process.pid}_${randomBytes(4).toString('hex')}`;
  await runScript(server.url, `create database ${name} template template0 encoding 'UTF8'`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: async () => {
      // As in test/database.ts: `with (force)` is refused while autovacuum looks at the database.
      await runScript(
        server.url,
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and usename = current_user`,
      );
      await runScript(server.url, `drop database if exists ${name}`);
    },
  };
}

/** Calls `use` with a database that has the schema of `apps/server/migrations`. */
export async function withMigratedDatabase<T>(
  root: string,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const server = await openScratchServer();
  try {
    const database = await createScratchDatabase(server);
    try {
      await migrate(database.url, { directory: path.join(root, 'apps/server/migrations') });
      return await use(database.url);
    } finally {
      await database.drop();
    }
  } finally {
    await server.stop();
  }
}

/** Any number of statements, in one transaction unless they say otherwise. */
export async function runScript(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
