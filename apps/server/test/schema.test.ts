import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import type pg from 'pg';
import { migrate, revert } from '../src/platform/db/migrate.ts';
import { emptyDatabase, migratedDatabase } from './empty-database.ts';

interface SeedSchema {
  readonly tables: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly indexes: Readonly<Record<string, readonly [table: string, definition: string]>>;
  readonly foreign_keys: readonly (readonly [
    table: string,
    column: string,
    target: string,
    rule: string,
  ])[];
  readonly no_foreign_key: readonly (readonly [table: string, column: string])[];
}

const directory = new URL('../migrations', import.meta.url).pathname;
const seed = JSON.parse(
  readFileSync(new URL('./seed-schema.json', import.meta.url), 'utf8'),
) as SeedSchema;

const migrated = async (t: TestContext): Promise<pg.Client> => (await migratedDatabase(t)).client;

async function rows<Row>(client: pg.Client, text: string, values: unknown[] = []): Promise<Row[]> {
  return (await client.query(text, values)).rows as Row[];
}

/** Everything in the public schema as sorted lines of text. */
async function describeSchema(client: pg.Client): Promise<string[]> {
  const found = await rows<{ line: string }>(
    client,
    `select format('column %s.%s %s %s %s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                   a.attnotnull, concat(a.attgenerated, a.attidentity), ' ' || pg_get_expr(d.adbin, d.adrelid)) as line
       from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
     union all
     select format('relation %s %s %s %s', relname, relkind, relpersistence, reloptions)
       from pg_class where relnamespace = 'public'::regnamespace
     union all
     select pg_get_indexdef(oid) from pg_class where relnamespace = 'public'::regnamespace and relkind in ('i', 'I')
     union all
     select format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
       from pg_constraint where connamespace = 'public'::regnamespace
     union all
     select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
     union all
     select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal`,
  );
  return found.map((row) => row.line).sort();
}

async function shiftClock(client: pg.Client, interval: string): Promise<void> {
  await client.query(
    `create or replace function strait_now() returns timestamptz language sql stable parallel safe
     return now() + interval '${interval}'`,
  );
}

async function addJob(client: pg.Client): Promise<string> {
  const [job] = await rows<{ id: string }>(
    client,
    `insert into jobs (project_id, name, slug, endpoint_url)
     values ('p', 'job', 'job-' || uuidv7(), 'http://localhost') returning id`,
  );
  assert.ok(job);
  return job.id;
}

async function addRun(
  client: pg.Client,
  job_id: string,
  continuation_of?: string,
): Promise<string> {
  const [run] = await rows<{ id: string }>(
    client,
    `insert into job_runs (id, created_at, job_id, project_id, continuation_of)
     select id, strait_id_time(id), $1, 'p', $2 from strait_run_id() as id returning id`,
    [job_id, continuation_of ?? null],
  );
  assert.ok(run);
  return run.id;
}

async function countRows(client: pg.Client, table: string): Promise<number> {
  const [counted] = await rows<{ n: number }>(client, `select count(*)::int as n from ${table}`);
  return counted?.n ?? 0;
}

test('reverting everything leaves nothing, and migrating again gives the same schema', async (t) => {
  const { url, client } = await emptyDatabase(t);
  const { applied } = await migrate(url, { directory });
  const before = await describeSchema(client);

  const { reverted } = await revert(url, { directory });
  assert.deepEqual(reverted, applied.toReversed());
  const left = (await describeSchema(client)).filter((line) => !line.includes('schema_migrations'));
  assert.deepEqual(left, []);

  assert.deepEqual(await migrate(url, { directory }), { applied });
  assert.deepEqual(await describeSchema(client), before);
});

test('every migration can be applied twice', async (t) => {
  const { url, client } = await emptyDatabase(t);
  await migrate(url, { directory });
  const before = await describeSchema(client);
  await client.query('delete from schema_migrations');
  await migrate(url, { directory });
  assert.deepEqual(await describeSchema(client), before);
});

test('every table, column, index and foreign key of the seed exists as the seed has it', async (t) => {
  const client = await migrated(t);

  const columns = await rows<{ name: string; type: string }>(
    client,
    `select c.relname || '.' || a.attname as name, format_type(a.atttypid, a.atttypmod) as type
       from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')`,
  );
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  for (const [table, wanted] of Object.entries(seed.tables)) {
    const [found] = await rows<{ oid: string | null }>(client, 'select to_regclass($1) as oid', [
      table,
    ]);
    assert.ok(found?.oid, `table ${table}`);
    for (const [column, type] of Object.entries(wanted)) {
      assert.equal(types.get(`${table}.${column}`), type, `column ${table}.${column}`);
    }
  }

  for (const [index, [table, definition]] of Object.entries(seed.indexes)) {
    const [found] = await rows<{ table: string; definition: string }>(
      client,
      `select indrelid::regclass::text as table, pg_get_indexdef(indexrelid) as definition
         from pg_index where indexrelid = to_regclass($1)`,
      [index],
    );
    assert.ok(found, `index ${index}`);
    assert.equal(found.table, table, index);
    const actual = found.definition
      .replace(/^.* USING /, '')
      .replace(/ WITH \(.*?\)(?= WHERE|$)/, '');
    assert.equal(actual, definition, index);
  }

  const keys = await rows<{ name: string }>(
    client,
    `select conrelid::regclass || ' ' || a.attname || ' ' || confrelid::regclass || ' ' ||
            case confdeltype when 'a' then 'no action' when 'c' then 'cascade' when 'n' then 'set null' end as name
       from pg_constraint join pg_attribute a on a.attrelid = conrelid and a.attnum = conkey[1]
      where contype = 'f' and conparentid = 0`,
  );
  const foreignKeys = new Set(keys.map(({ name }) => name));
  for (const key of seed.foreign_keys) assert.ok(foreignKeys.has(key.join(' ')), key.join(' '));
  for (const [table, column] of seed.no_foreign_key) {
    assert.ok(![...foreignKeys].some((name) => name.startsWith(`${table} ${column} `)), column);
  }
});

test('every foreign key is supported by an index on the side that refers', async (t) => {
  const client = await migrated(t);
  const missing = await rows<{ name: string }>(
    client,
    `select conrelid::regclass || '.' || conname as name from pg_constraint k
      where contype = 'f' and conparentid = 0
        and not exists (select from pg_index i
                         where i.indrelid = k.conrelid and i.indkey[0] = k.conkey[1])`,
  );
  // job_runs by job: idx_job_runs_job_created. Lanes are deleted one by one, after looking by root lane.
  assert.deepEqual(
    missing.map(({ name }) => name),
    ['run_parked.run_parked_lane_id_fkey'],
  );
});

test('ids default to a UUIDv7', async (t) => {
  const client = await migrated(t);
  const without = await rows<{ name: string; expression: string | null }>(
    client,
    `select c.relname as name, pg_get_expr(d.adbin, d.adrelid) as expression
       from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'id'
       left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and a.atttypid = 'text'::regtype
        and coalesce(pg_get_expr(d.adbin, d.adrelid), '') not in ('(uuidv7())::text', 'strait_run_id()')`,
  );
  assert.deepEqual(without, [{ name: 'known_actors', expression: null }]);
  const [made] = await rows<{ version: number }>(
    client,
    `select uuid_extract_version(strait_run_id()::uuid)::int as version`,
  );
  assert.equal(made?.version, 7);
});

test('a run whose created_at is not the time of its id is refused', async (t) => {
  const client = await migrated(t);
  const job_id = await addJob(client);
  const insert = (id: string, created_at: string) =>
    client.query(
      `insert into job_runs (id, created_at, job_id, project_id) values (${id}, ${created_at}, $1, 'p')`,
      [job_id],
    );
  await assert.rejects(insert('gen_random_uuid()::text', 'now()'), /job_runs_created_at_check/);
  await assert.rejects(insert('gen_random_uuid()::text', 'null'), /not-null|no partition/);
  await assert.rejects(
    insert('strait_run_id()', "now() + interval '1 hour'"),
    /job_runs_created_at_check/,
  );
  await assert.rejects(addRun(client, job_id, crypto.randomUUID()), /continuation_of_fkey/);
  await assert.rejects(
    client.query(
      `insert into job_runs (id, created_at, job_id, project_id, status)
                  select id, strait_id_time(id), $1, 'p', 'paused' from strait_run_id() as id`,
      [job_id],
    ),
    /job_runs_status_check/,
  );
});

test('deleting a run takes its details along in every month, but waits for its events', async (t) => {
  const client = await migrated(t);
  const job_id = await addJob(client);
  const runs = [await addRun(client, job_id)];
  await shiftClock(client, '1 month');
  runs.push(await addRun(client, job_id));

  for (const run of runs) {
    await client.query(`insert into run_checkpoints (run_id, sequence, state) values ('${run}', 1, '{}');
      insert into run_usage (run_id, provider, model) values ('${run}', 'p', 'm');
      insert into run_tool_calls (run_id, tool_name) values ('${run}', 't');
      insert into run_outputs (run_id, output_key, value) values ('${run}', 'k', '1');
      insert into run_state (run_id, state_key, value) values ('${run}', 'k', '1');
      insert into run_events (run_id, type) values ('${run}', 'log')`);
  }
  await assert.rejects(client.query('delete from job_runs'), /run_events_run_id_fkey/);
  await client.query('delete from run_events');
  await client.query('delete from job_runs where id = $1', [runs[0]]);
  for (const table of [
    'job_runs',
    'run_checkpoints',
    'run_usage',
    'run_tool_calls',
    'run_outputs',
    'run_state',
  ]) {
    assert.equal(await countRows(client, table), 1, table);
  }
  const stray = crypto.randomUUID();
  await assert.rejects(
    client.query(`insert into run_events (run_id, type) values ($1, 'log')`, [stray]),
  );
});

test('looking a run up by id and id time reads one partition, also in a generic plan', async (t) => {
  const client = await migrated(t);
  const run = await addRun(client, await addJob(client));
  await client.query(`set plan_cache_mode = force_generic_plan`);
  await client.query(`prepare find(text) as
    select status from job_runs where id = $1 and created_at = strait_id_time($1)`);
  const plan = await rows<{ 'QUERY PLAN': string }>(
    client,
    `explain (analyze, costs off) execute find('${run}')`,
  );
  const text = plan.map((row) => row['QUERY PLAN']).join('\n');
  assert.match(text, /Subplans Removed: 3/);
  assert.equal(text.match(/Index Scan/g)?.length, 1, text);
});

test('partitions are made ahead, in UTC, by any number of callers', async (t) => {
  const client = await migrated(t);
  await client.query(`set timezone = 'Pacific/Auckland'`);
  await shiftClock(client, '6 months');
  const made = await rows<{ leaf: string }>(
    client,
    'select * from strait_ensure_run_partitions(3) as leaf',
  );
  assert.equal(made.length, 4);
  assert.deepEqual(await rows(client, 'select * from strait_ensure_run_partitions(3)'), []);

  const leaves = await rows<{ leaf: string; bounds: string; expected: string }>(
    client,
    `select p.leaf, pg_get_expr(c.relpartbound, c.oid) as bounds,
            format('FOR VALUES FROM (%L) TO (%L)', p.lower_bound, p.upper_bound) as expected
       from strait_run_partitions() p join pg_class c on c.relname = p.leaf`,
  );
  assert.equal(leaves.length, 8);
  for (const { leaf, bounds, expected } of leaves) assert.equal(bounds, expected, leaf);
  const [utc] = await rows<{ same: boolean }>(
    client,
    `select bool_and(to_char(lower_bound at time zone 'UTC', '"job_runs_p"YYYY_MM" "DD HH24:MI') = leaf || ' 01 00:00') as same
       from strait_run_partitions()`,
  );
  assert.equal(utc?.same, true);
  await addRun(client, await addJob(client));

  const [differing] = await rows<{ n: number }>(
    client,
    `select count(distinct (reloptions, (select count(*) from pg_index i where i.indrelid = c.oid),
                            (select count(*) from pg_constraint k where k.conrelid = c.oid)))::int as n
       from pg_class c where relispartition and relkind = 'r'`,
  );
  assert.equal(differing?.n, 1, 'leaves made at different times differ');
});

test('a month is retired in steps: details, runs, then the partition', async (t) => {
  const client = await migrated(t);
  const job_id = await addJob(client);
  const first = await addRun(client, job_id);
  const second = await addRun(client, job_id, first);
  await client.query(`insert into run_events (run_id, type) select id, 'log' from job_runs`);
  await client.query(`insert into run_state (run_id, state_key, value) values ($1, 'k', '1')`, [
    second,
  ]);
  await client.query(
    `insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
                      values ('p', 0, $1, strait_id_time($1), 'j', 1)`,
    [first],
  );
  const [leaf] = await rows<{ leaf: string }>(
    client,
    'select leaf from strait_run_partitions() limit 1',
  );
  assert.ok(leaf);
  await shiftClock(client, '2 months');
  const later = await addRun(client, job_id, second);
  await client.query(`insert into run_events (run_id, type) values ($1, 'log')`, [later]);

  const purge = 'select strait_purge_run_partition($1, 1)::int as n';
  await assert.rejects(client.query(purge, [leaf.leaf]), /live runs/);
  await client.query('delete from run_queue');
  await assert.rejects(
    client.query('select strait_retire_run_partition($1)', [leaf.leaf]),
    /not empty/,
  );
  const changed: number[] = [];
  do changed.push((await rows<{ n: number }>(client, purge, [leaf.leaf]))[0]?.n ?? 0);
  while (changed.at(-1) !== 0);
  assert.deepEqual(changed, [3, 1, 1, 1, 0]);
  await client.query('select strait_retire_run_partition($1)', [leaf.leaf]);

  assert.deepEqual(await rows(client, 'select id, continuation_of from job_runs'), [
    { id: later, continuation_of: null },
  ]);
  assert.equal(await countRows(client, 'run_events'), 1);
  assert.equal((await rows(client, 'select * from strait_run_partitions()')).length, 3);
  await assert.rejects(client.query(purge, [leaf.leaf]), /no partition/);
});

test('audit events can only be added, and removed by declared retention', async (t) => {
  const client = await migrated(t);
  await client.query(
    `insert into audit_events (project_id, action, resource_type) values ('p', 'a', 'job')`,
  );
  await assert.rejects(client.query(`update audit_events set action = 'b'`), /immutable/);
  await assert.rejects(client.query('delete from audit_events'), /immutable/);
  await assert.rejects(client.query('truncate audit_events'), /immutable/);
  const retained = `set local strait.audit_retention = 'on';`;
  await assert.rejects(
    client.query(`${retained} update audit_events set action = 'b'`),
    /immutable/,
  );
  await client.query(`${retained} delete from audit_events`);
  assert.equal(await countRows(client, 'audit_events'), 0);
});
