// Brings a database to the schema this program expects, and back. Any number of processes may start at
// once: one applies, the others wait for it.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartRefused } from '../start-refused.ts';
import {
  type Migration,
  needsNoTransaction,
  readMigrations,
  splitStatements,
} from './migration-files.ts';

export interface MigrateOptions {
  /** Folder with the pairs of migrations. */
  readonly directory: string;
  readonly log?: (message: string) => void;
  /** migrate: apply up to this one (default all). revert: keep up to this one (default none). */
  readonly targetVersion?: number;
}

export interface Migrated {
  /** Names in the order they were applied; empty when there was nothing to do. */
  readonly applied: string[];
}

export interface Reverted {
  readonly reverted: string[];
}

interface Recorded {
  readonly version: number;
  readonly name: string;
  readonly sha256: string;
}

const OLDEST_SERVER = 180000;
/** How long to wait for another process that is migrating. */
const MIGRATION_LOCK_TIMEOUT_MS = 30_000;
const MIGRATION_LOCK_KEY = 7_274_682_001;
// A migration waiting for a table lock makes everybody else queue behind it. So it gives up soon, lets
// the running program through, and tries again.
const TABLE_LOCK_TIMEOUT_MS = 1_000;
const TABLE_LOCK_ATTEMPTS = 20;
const TABLE_LOCK_PAUSE_MS = 500;

const LOCK_NOT_AVAILABLE = '55P03';
const UNDEFINED_TABLE = '42P01';

/**
 * Applies what is missing, in order. An up-to-date database costs one query and no lock. Throws, having
 * changed nothing, when an applied migration was edited or is not ours; throws at the first migration
 * that fails, keeping those before it. A database that a newer version of the program has upgraded is
 * accepted with a warning, so that the old version keeps working during an upgrade.
 */
export async function migrate(
  source: string | pg.Pool,
  options: MigrateOptions,
): Promise<Migrated> {
  const migrations = await readMigrations(options.directory);
  return connected(source, async (client) => {
    const wanted = () => pendingOf(migrations, client, options);
    if ((await wanted()).length === 0) return { applied: [] };
    return locked(client, async () => {
      await prepare(client);
      const applied: string[] = [];
      for (const migration of await wanted()) {
        options.log?.(`migrating: ${migration.name}`);
        await apply(client, migration.name, migration.up, {
          text: 'insert into schema_migrations (version, name, sha256) values ($1, $2, $3)',
          values: [migration.version, migration.name, migration.sha256],
        });
        applied.push(migration.name);
      }
      return { applied };
    });
  });
}

/** Reverts what was applied after `targetVersion`, newest first. Data in reverted tables is lost. */
export async function revert(source: string | pg.Pool, options: MigrateOptions): Promise<Reverted> {
  const migrations = new Map((await readMigrations(options.directory)).map((m) => [m.version, m]));
  return connected(source, (client) =>
    locked(client, async () => {
      const reverted: string[] = [];
      for (const { version, name } of (await readRecorded(client)).reverse()) {
        if (version <= (options.targetVersion ?? 0)) break;
        const migration = migrations.get(version);
        if (!migration)
          throw new StartRefused(
            `cannot revert ${name}: this version of the program does not know it`,
          );
        options.log?.(`reverting: ${name}`);
        await apply(client, name, migration.down, {
          text: 'delete from schema_migrations where version = $1',
          values: [version],
        });
        reverted.push(name);
      }
      return { reverted };
    }),
  );
}

async function pendingOf(
  migrations: readonly Migration[],
  client: pg.ClientBase,
  { log, targetVersion = Infinity }: MigrateOptions,
): Promise<Migration[]> {
  const recorded = await readRecorded(client);
  const known = new Map(migrations.map((migration) => [migration.version, migration]));
  for (const { version, name, sha256 } of recorded) {
    const ours = known.get(version);
    if (ours && ours.sha256 !== sha256) {
      const text =
        ours.name === name
          ? `${name} was changed after it was applied to this database; restore the file and put the change into a new migration`
          : `number ${version} is ${ours.name} here, but this database was migrated with ${name}`;
      throw new StartRefused(`migrations: ${text}`);
    }
  }
  const done = new Set(recorded.map((row) => row.version));
  const pending = migrations.filter(
    ({ version }) => !done.has(version) && version <= targetVersion,
  );
  const newest = migrations.at(-1)?.version ?? 0;
  const foreign = recorded.filter((row) => !known.has(row.version));
  const names = foreign.map((row) => row.name).join(', ');
  if (foreign.some((row) => row.version < newest) || (foreign.length > 0 && pending.length > 0)) {
    throw new StartRefused(
      `migrations: this database has ${names}, which this version of the program lacks, while others are missing`,
    );
  }
  if (foreign.length > 0)
    log?.(`the database is newer than this program, which does not know: ${names}`);
  return pending;
}

/** In order of version; empty on a database that was never migrated. */
async function readRecorded(client: pg.ClientBase): Promise<Recorded[]> {
  try {
    const { rows } = await client.query<Recorded>(
      'select version, name, sha256 from schema_migrations order by version',
    );
    return rows;
  } catch (error) {
    if (codeOf(error) === UNDEFINED_TABLE) return [];
    throw error;
  }
}

async function prepare(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ number: number; version: string }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as version`,
  );
  const server = rows[0];
  if (!server || server.number < OLDEST_SERVER) {
    throw new StartRefused(
      `Strait needs PostgreSQL 18 or newer, this server is ${server?.version ?? 'unknown'}`,
    );
  }
  await client.query(
    `create table if not exists schema_migrations (
       version int primary key,
       name text not null,
       sha256 text not null,
       applied_at timestamptz not null default now()
     )`,
  );
}

/** Runs one file and its bookkeeping; together in one transaction unless the file declines. */
async function apply(
  client: pg.ClientBase,
  name: string,
  text: string,
  record: pg.QueryConfig,
): Promise<void> {
  await client.query(`set lock_timeout = ${TABLE_LOCK_TIMEOUT_MS}`);
  for (let attempt = 1; ; attempt++) {
    try {
      if (needsNoTransaction(text)) {
        for (const statement of splitStatements(text)) await client.query(statement);
        await client.query(record);
      } else {
        await client.query('begin');
        await client.query(text);
        await client.query(record);
        await client.query('commit');
      }
      return;
    } catch (error) {
      // A lost connection has rolled back by itself; its own error is the one to show.
      await client.query('rollback').catch(() => undefined);
      if (codeOf(error) === LOCK_NOT_AVAILABLE && attempt < TABLE_LOCK_ATTEMPTS) {
        await sleep(TABLE_LOCK_PAUSE_MS);
        continue;
      }
      throw new StartRefused(`migration ${name} failed: ${describe(error, text)}`, {
        cause: error,
      });
    }
  }
}

async function locked<T>(client: pg.ClientBase, run: () => Promise<T>): Promise<T> {
  await client.query(`set lock_timeout = ${MIGRATION_LOCK_TIMEOUT_MS}`);
  await client.query('set statement_timeout = 0');
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK_KEY]);
  } catch (error) {
    if (codeOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    const secs = MIGRATION_LOCK_TIMEOUT_MS / 1000;
    throw new StartRefused(`another process has been migrating this database for ${secs} s`, {
      cause: error,
    });
  }
  try {
    return await run();
  } finally {
    // On a lost connection the server has released it already.
    await client
      .query('select pg_advisory_unlock($1)', [MIGRATION_LOCK_KEY])
      .catch(() => undefined);
  }
}

/** A connection of its own for the session lock; from a pool it is thrown away, as its settings were changed. */
async function connected<T>(
  source: string | pg.Pool,
  run: (client: pg.ClientBase) => Promise<T>,
): Promise<T> {
  if (typeof source !== 'string') {
    const client = await source.connect();
    try {
      return await run(client);
    } finally {
      client.release(true);
    }
  }
  const client = new pg.Client({ connectionString: source, application_name: 'strait-migrate' });
  // Without a listener a connection lost between two statements would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

function describe(error: unknown, text: string): string {
  if (!(error instanceof pg.DatabaseError)) return String(error);
  const line = error.position
    ? text.slice(0, Number(error.position)).split('\n').length
    : undefined;
  return line === undefined ? error.message : `${error.message} (line ${line})`;
}
