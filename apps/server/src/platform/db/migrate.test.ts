import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import pg from 'pg';
import { emptyDatabase } from '../../../test/empty-database.ts';
import { until } from '../../../test/until.ts';
import { migrate, revert } from './migrate.ts';
import { splitStatements } from './migration-files.ts';

async function folder(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'strait-migrations-'));
  t.after(() => rm(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await write(directory, name, text);
  return directory;
}

/** Writes a pair; the down half drops the table the pair is named after. */
async function write(directory: string, name: string, up: string): Promise<void> {
  await writeFile(path.join(directory, `${name}.up.sql`), up);
  await writeFile(
    path.join(directory, `${name}.down.sql`),
    `drop table if exists ${name.slice(7)}`,
  );
}

const first = { '000001_one': 'create table one ()' };
const both = { ...first, '000002_two': 'create table two ()' };

async function tables(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select relname as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'schema_migrations' order by 1`,
  );
  return rows.map(({ name }) => name);
}

test('pending migrations are applied in order, once', async (t) => {
  const { url, client } = await emptyDatabase(t);
  const directory = await folder(t, first);
  assert.deepEqual(await migrate(url, { directory }), { applied: ['000001_one'] });
  await write(directory, '000002_two', 'create table two ()');
  assert.deepEqual(await migrate(url, { directory }), { applied: ['000002_two'] });
  assert.deepEqual(await migrate(url, { directory }), { applied: [] });
  assert.deepEqual(await tables(client), ['one', 'two']);
});

test('a pool can be used, and does not keep the changed connection', async (t) => {
  const { url } = await emptyDatabase(t);
  const pool = new pg.Pool({ connectionString: url });
  t.after(() => pool.end());
  await migrate(pool, { directory: await folder(t, both) });
  assert.equal(pool.totalCount, 0);
});

test('targetVersion stops half way, and revert goes back to it', async (t) => {
  const { url, client } = await emptyDatabase(t);
  const directory = await folder(t, both);
  await migrate(url, { directory, targetVersion: 1 });
  assert.deepEqual(await tables(client), ['one']);
  await migrate(url, { directory });
  assert.deepEqual(await revert(url, { directory, targetVersion: 1 }), {
    reverted: ['000002_two'],
  });
  assert.deepEqual(await tables(client), ['one']);
  assert.deepEqual(await revert(url, { directory }), { reverted: ['000001_one'] });
  assert.deepEqual(await revert(url, { directory }), { reverted: [] });
});

test('eight processes starting at once migrate once', async (t) => {
  const { url } = await emptyDatabase(t);
  const directory = await folder(t, { '000001_one': 'create table one (); select pg_sleep(0.2)' });
  const results = await Promise.all(Array.from({ length: 8 }, () => migrate(url, { directory })));
  assert.deepEqual(
    results.flatMap(({ applied }) => applied),
    ['000001_one'],
  );
});

test('a failing migration leaves nothing of itself and keeps those before it', async (t) => {
  const { url, client } = await emptyDatabase(t);
  const directory = await folder(t, {
    ...first,
    '000002_two': 'create table two ();\nselect nonsense',
  });
  await assert.rejects(migrate(url, { directory }), /000002_two failed: .*nonsense.*\(line 2\)/);
  assert.deepEqual(await tables(client), ['one']);
  await write(directory, '000002_two', 'create table two ()');
  assert.deepEqual(await migrate(url, { directory }), { applied: ['000002_two'] });
});

test('an applied migration that was edited stops the start, a changed line end does not', async (t) => {
  const { url } = await emptyDatabase(t);
  const directory = await folder(t, { '000001_one': 'create table one (\n)' });
  await migrate(url, { directory });
  await write(directory, '000001_one', 'create table one (\r\n)');
  assert.deepEqual(await migrate(url, { directory }), { applied: [] });
  await write(directory, '000001_one', 'create table one (id int)');
  await assert.rejects(migrate(url, { directory }), /000001_one was changed after it was applied/);
});

test('an older program starts on a database that a newer one has upgraded, with a warning', async (t) => {
  const { url } = await emptyDatabase(t);
  await migrate(url, { directory: await folder(t, both) });
  const messages: string[] = [];
  const older = {
    directory: await folder(t, first),
    log: (message: string) => messages.push(message),
  };
  assert.deepEqual(await migrate(url, older), { applied: [] });
  assert.match(messages.join(), /newer than this program.*000002_two/);
  await assert.rejects(revert(url, older), /cannot revert 000002_two/);
});

test('a database with other migrations than ours is refused', async (t) => {
  const { url } = await emptyDatabase(t);
  await migrate(url, { directory: await folder(t, both) });
  const gap = await folder(t, { ...first, '000003_three': 'create table three ()' });
  await assert.rejects(
    migrate(url, { directory: gap }),
    /has 000002_two, which this version .* lacks/,
  );
  const renamed = await folder(t, { ...first, '000002_other': 'create table other ()' });
  await assert.rejects(migrate(url, { directory: renamed }), /number 2 is 000002_other here/);
});

test('a migration without a transaction runs statement by statement', async (t) => {
  const { url, client } = await emptyDatabase(t);
  const index = `-- no transaction
create table two (id int); -- a comment; with a semicolon
create index concurrently two_id
  on two (id);
-- the end
`;
  const directory = await folder(t, { ...first, '000002_two': index });
  await assert.rejects(migrate(url, { directory }), /000002_two failed/);
  await client.query('drop table if exists two');
  await write(directory, '000002_two', index.replace(' -- a comment; with a semicolon', ''));
  assert.deepEqual(await migrate(url, { directory }), { applied: ['000002_two'] });
  assert.deepEqual(splitStatements('select 1;\n-- only a comment;\n\nselect\n2'), [
    'select 1',
    'select\n2',
  ]);
});

test('a table held by a running program delays a migration, but others get through meanwhile', async (t) => {
  const { url, client } = await emptyDatabase(t);
  const directory = await folder(t, first);
  await migrate(url, { directory });
  await write(directory, '000002_two', 'alter table one add column id int');
  await client.query('begin; lock table one in access share mode');
  const waiting = migrate(url, { directory });
  const reader = new pg.Client({ connectionString: url });
  await reader.connect();
  await until('the migration to wait for the table', async () => {
    const { rows } = await client.query(
      `select from pg_locks where relation = 'one'::regclass and not granted`,
    );
    return rows.length > 0;
  });
  await reader.query('select from one');
  await reader.end();
  await client.query('commit');
  assert.deepEqual(await waiting, { applied: ['000002_two'] });
});

test('files that do not fit are named', async (t) => {
  const { url } = await emptyDatabase(t);
  const directory = await folder(t, first);
  await rename(path.join(directory, '000001_one.down.sql'), path.join(directory, 'one.sql'));
  await assert.rejects(migrate(url, { directory }), /000001_one.up.sql: the other half/);
  await rename(path.join(directory, '000001_one.up.sql'), path.join(directory, 'x.sql'));
  await assert.rejects(migrate(url, { directory }), /one.sql: migrations are named/);
  const twice = await folder(t, { ...first, '000001_two': 'create table two ()' });
  await assert.rejects(
    migrate(url, { directory: twice }),
    /000001_one and 000001_two share a number/,
  );
});

test('an up-to-date database is recognised by a single query', async (t) => {
  const { url } = await emptyDatabase(t);
  const directory = new URL('../../../migrations', import.meta.url).pathname;
  await migrate(url, { directory });
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  t.after(() => pool.end());
  let queries = 0;
  pool.on('connect', (client) => {
    const query = client.query.bind(client);
    client.query = ((...call: Parameters<typeof query>) => {
      queries++;
      return query(...call);
    }) as typeof client.query;
  });
  await migrate(pool, { directory });
  assert.equal(queries, 1);
});
