// A database with every migration applied, for one program run, then dropped.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { startLocalPostgres } from '@strait/local-postgres';

/**
 * `serverUrl` may create databases; without one a private server runs for the duration (about 2 s more).
 */
export async function withScratchDatabase<T>(
  root: string,
  serverUrl: string | undefined,
  use: (url: string) => Promise<T>,
): Promise<T> {
  if (serverUrl === undefined) {
    return withPrivateServer((url) => withScratchDatabase(root, url, use));
  }
  const name = `strait_scratch_${process.pid}_${randomBytes(4).toString('hex')}`;
  await run(serverUrl, `create database ${name} template template0 encoding 'UTF8'`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  try {
    await applyMigrations(path.join(root, 'apps/server/migrations'), url.href);
    return await use(url.href);
  } finally {
    await run(serverUrl, `drop database if exists ${name} with (force)`);
  }
}

async function withPrivateServer<T>(use: (url: string) => Promise<T>): Promise<T> {
  const home = mkdtempSync(path.join(tmpdir(), 'strait-scratch-'));
  try {
    const server = await startLocalPostgres({ home, settings: { fsync: 'off' }, restart: false });
    try {
      return await use(server.url);
    } finally {
      await server.stop('immediate');
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** The plain schema, without the bookkeeping of platform/db/migrate.ts: nobody upgrades this database. */
async function applyMigrations(folder: string, url: string): Promise<void> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.up.sql'));
  for (const file of files.sort()) {
    const source = readFileSync(path.join(folder, file), 'utf8');
    // `concurrently` cannot run in the transaction of a multi-statement message, and is not needed here.
    const text = source.startsWith('-- no transaction') ? source.replaceAll(/\bconcurrently\b/gi, '') : source;
    try {
      await run(url, text);
    } catch (error) {
      throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
    }
  }
}

async function run(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
