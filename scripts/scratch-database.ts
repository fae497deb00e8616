// A database with every migration applied, for one program run, then dropped.
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';

/**
 * `adminUrl` may create databases (STRAIT_SCRATCH_URL or DATABASE_URL); without one a private server
 * is started for the duration.
 */
export async function withScratchDatabase<T>(
  root: string,
  adminUrl: string | undefined,
  use: (url: string) => Promise<T>,
): Promise<T> {
  if (adminUrl === undefined) throw new Error('set STRAIT_SCRATCH_URL');
  const name = `strait_scratch_${process.pid}_${randomBytes(4).toString('hex')}`;
  await run(adminUrl, `create database ${name} template template0 encoding 'UTF8'`);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  try {
    const migrations = path.join(root, 'apps/server/migrations');
    for (const file of readdirSync(migrations).filter((f) => f.endsWith('.up.sql')).sort()) {
      try { await run(url.href, readFileSync(path.join(migrations, file), 'utf8')); }
      catch (error) { throw new Error(`${file}: ${(error as Error).message}`, { cause: error }); }
    }
    return await use(url.href);
  } finally {
    await run(adminUrl, `drop database if exists ${name} with (force)`);
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
