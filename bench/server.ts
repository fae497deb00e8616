// The PostgreSQL server of one bench run: fresh, embedded, with durable commits, and the same
// settings for every product. Databases are copied from one template per product.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';

/** The part of packages/local-postgres used here; reached by URL, as it resolves its own packages. */
interface LocalPostgres {
  readonly adminUrl: string;
  pid(): number | undefined;
  stop(): Promise<void>;
}
interface LocalPostgresModule {
  startLocalPostgres(options: {
    home: string;
    settings: Readonly<Record<string, string>>;
  }): Promise<LocalPostgres>;
}

/** Durability as PostgreSQL ships it; room enough that no checkpoint falls into a measurement. */
export const SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '512MB',
  max_connections: '200',
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
};

export interface Server {
  readonly pid: number;
  readonly version: string;
  /** Makes an empty database (dropping one of that name), or a copy of `template`. */
  createDatabase(name: string, template?: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startServer(extra: Readonly<Record<string, string>> = {}): Promise<Server> {
  const module = new URL('../packages/local-postgres/src/index.ts', import.meta.url).href;
  const { startLocalPostgres } = (await import(module)) as LocalPostgresModule;
  const home = await mkdtemp(path.join(tmpdir(), 'strait-bench-'));
  const local = await startLocalPostgres({ home, settings: { ...SETTINGS, ...extra } });
  const admin = new pg.Client({ connectionString: local.adminUrl });
  admin.on('error', () => {});
  await admin.connect();
  const answer = await admin.query<{ server_version: string }>('show server_version');

  const dropDatabase = async (name: string) => {
    await admin.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
  };
  return {
    pid: local.pid() ?? 0,
    version: answer.rows[0]?.server_version ?? 'unknown',
    async createDatabase(name, template) {
      await dropDatabase(name);
      const from = template === undefined ? '' : ` template ${pg.escapeIdentifier(template)}`;
      await admin.query(`create database ${pg.escapeIdentifier(name)}${from}`);
      const url = new URL(local.adminUrl);
      url.pathname = `/${name}`;
      return url.href;
    },
    dropDatabase,
    async stop() {
      await admin.end();
      await local.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}
