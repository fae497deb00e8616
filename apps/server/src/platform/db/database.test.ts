import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  createScratchDatabase,
  openScratchServer,
  runScript,
} from '../../../../../scripts/scratch-database.ts';
import type { ScratchDatabase, ScratchServer } from '../../../../../scripts/scratch-database.ts';
import { createDatabase, DatabaseUnavailable, isDatabaseUnavailable } from './database.ts';
import type { Database, DatabaseOptions } from './database.ts';
import { many, one } from './query.ts';
import type { Queryable } from './query.ts';

const sql = <Row>(db: Queryable, text: string, ...values: unknown[]) =>
  many<Row>(db, { text, values });
const value = async (db: Queryable, expression: string) =>
  (await one<{ v: unknown }>(db, { text: `select ${expression} as v`, values: [] })).v;

describe('database', () => {
  let server: ScratchServer;
  let scratch: ScratchDatabase;
  const open: Database[] = [];
  const create = (options: Partial<DatabaseOptions> = {}) => {
    const db = createDatabase({ url: scratch.url, application_name: 'test', max: 4, ...options });
    open.push(db);
    return db;
  };

  before(async () => {
    server = await openScratchServer();
    scratch = await createScratchDatabase(server);
    await runScript(scratch.url, 'create table counters (id text primary key, n int not null)');
  });
  after(async () => {
    for (const db of open) await db.close();
    await scratch.drop();
    await server.stop();
  });

  it('reads times as RFC 3339 in UTC with microseconds', async () => {
    const db = create();
    assert.equal(
      await value(db, `timestamptz '2026-11-23 23:36:33.1204+02'`),
      '2026-11-23T21:36:33.120400Z',
    );
    assert.equal(await value(db, `timestamp '2026-11-23 23:36:33'`), '2026-11-23T23:36:33.000000Z');
    assert.deepEqual(await value(db, `array[timestamptz '2026-01-01 00:00Z', null]`), [
      '2026-01-01T00:00:00.000000Z',
      null,
    ]);
    assert.equal(await value(db, `'infinity'::timestamptz`), 'infinity');
    assert.equal(await value(db, `date '2026-11-23'`), '2026-11-23');
  });

  it('reads numbers without losing digits', async () => {
    const db = create();
    assert.equal(await value(db, `9007199254740991::bigint`), 9007199254740991);
    await assert.rejects(value(db, `9007199254740992::bigint`), RangeError);
    assert.equal(await value(db, `1.10::numeric`), '1.10');
    assert.deepEqual(await value(db, `array[1, 2]::bigint[]`), [1, 2]);
    assert.equal(await value(db, `1.5::float8`), 1.5);
  });

  it('reads json, booleans, bytes and text arrays', async () => {
    const db = create();
    assert.deepEqual(await value(db, `'{"a": [1, null]}'::jsonb`), { a: [1, null] });
    assert.equal(await value(db, `true`), true);
    assert.deepEqual(await value(db, `'\\x00ff'::bytea`), Buffer.from([0, 255]));
    assert.deepEqual(await value(db, `array['a,b', 'c"d']`), ['a,b', 'c"d']);
  });

  it('rolls back what a failing transaction did', async () => {
    const db = create();
    await assert.rejects(
      db.transaction(async (tx) => {
        await sql(tx, `insert into counters values ('gone', 1)`);
        throw new Error('no');
      }),
      /^Error: no$/,
    );
    assert.deepEqual(await sql(db, `select from counters where id = 'gone'`), []);
    assert.equal(db.busy().idle, db.busy().total);
  });

  it('does not report success for a transaction whose failed statement was swallowed', async () => {
    const db = create();
    await assert.rejects(
      db.transaction(async (tx) => {
        await sql(tx, `insert into counters values ('half', 1)`);
        await sql(tx, 'select 1/0').catch(() => {});
      }),
      /division by zero/,
    );
    assert.deepEqual(await sql(db, `select from counters where id = 'half'`), []);
  });

  it('repeats a transaction that lost against a concurrent one', async () => {
    const db = create();
    await sql(db, `insert into counters values ('both', 0)`);
    let tries = 0;
    let readers = 0;
    const bothHaveRead = Promise.withResolvers<void>();
    const add = () =>
      db.transaction(async (tx) => {
        tries++;
        await sql(tx, 'set transaction isolation level serializable');
        const [row] = await sql<{ n: number }>(tx, `select n from counters where id = 'both'`);
        // Nobody writes before both have read.
        if (tries <= 2 && ++readers === 2) bothHaveRead.resolve();
        await bothHaveRead.promise;
        await sql(tx, `update counters set n = $1 where id = 'both'`, (row?.n ?? 0) + 1);
      });
    await Promise.all([add(), add()]);
    assert.deepEqual(await sql(db, `select n from counters where id = 'both'`), [{ n: 2 }]);
    assert.ok(tries > 2);
  });

  it('gives up on conflicts after three repeats and repeats nothing else', async () => {
    const db = create();
    const fail = async (code: string) => {
      let tries = 0;
      const done = db.transaction((tx) => {
        tries++;
        return sql(tx, `do $$ begin raise exception 'x' using errcode = '${code}'; end $$`);
      });
      await assert.rejects(done, { code });
      return tries;
    };
    assert.equal(await fail('40001'), 4);
    assert.equal(await fail('40P01'), 4);
    assert.equal(await fail('23505'), 1);
  });

  it('refuses statements of a transaction that is over', async () => {
    const db = create();
    const tx = await db.transaction(async (inner) => inner);
    await assert.rejects(sql(tx, 'select 1'), /after the end of its transaction/);
  });

  it('keeps the connection when a statement is refused', async () => {
    const db = create({ max: 1 });
    const pid = await value(db, 'pg_backend_pid()');
    await assert.rejects(sql(db, 'select 1/0'), { code: '22012' });
    assert.equal(await value(db, 'pg_backend_pid()'), pid);
  });

  it('applies planner settings and timeouts from the first statement on', async () => {
    const db = create({
      settings: 'hot',
      statement_timeout_ms: 50,
      lock_timeout_ms: 40,
      idle_in_transaction_timeout_ms: 30,
    });
    const names =
      'plan_cache_mode enable_seqscan jit statement_timeout lock_timeout idle_in_transaction_session_timeout TimeZone'.split(
        ' ',
      );
    const settings = await Promise.all(
      names.map((name) => value(db, `current_setting('${name}')`)),
    );
    assert.deepEqual(settings, ['force_generic_plan', 'off', 'off', '50ms', '40ms', '30ms', 'UTC']);
    await assert.rejects(value(db, 'pg_sleep(1)'), { code: '57014' });
  });

  it('keeps options that the address brings', async () => {
    const url = new URL(scratch.url);
    url.searchParams.set('options', '-c work_mem=7MB');
    const db = create({ url: url.href, settings: 'hot' });
    assert.deepEqual(
      [await value(db, `current_setting('work_mem')`), await value(db, `current_setting('jit')`)],
      ['7MB', 'off'],
    );
  });

  it('survives a connection killed while idle and says so', async () => {
    const errors: Error[] = [];
    const db = create({ max: 1, onError: (error) => errors.push(error) });
    const pid = await value(db, 'pg_backend_pid()');
    await value(create(), `pg_terminate_backend(${pid}, 1000)`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(errors.length > 0, true);
    assert.notEqual(await value(db, 'pg_backend_pid()'), pid);
  });

  it('rejects a transaction whose connection is lost as unavailable, then works again', async () => {
    const db = create({ max: 1 });
    const lose = db.transaction(async (tx) => {
      const pid = await value(tx, 'pg_backend_pid()');
      await value(create(), `pg_terminate_backend(${pid}, 1000)`);
      await value(tx, '1');
    });
    await assert.rejects(
      lose,
      (error) => error instanceof DatabaseUnavailable && !error.outcome_unknown,
    );
    assert.equal(await value(db, '1'), 1);
  });

  it('tells that the outcome is unknown when the connection breaks while committing', async () => {
    const db = create({ max: 1 });
    await sql(
      db,
      `create function die() returns trigger language plpgsql as $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$`,
    );
    await sql(db, 'create table mortal (id int)');
    await sql(
      db,
      'create constraint trigger die after insert on mortal initially deferred for each row execute function die()',
    );
    const done = db.transaction((tx) => sql(tx, 'insert into mortal values (1)'));
    await assert.rejects(
      done,
      (error) => error instanceof DatabaseUnavailable && error.outcome_unknown,
    );
  });

  it('is unavailable, not broken, when nothing listens', async () => {
    const db = create({ url: 'postgres://nobody@127.0.0.1:1/none' });
    await assert.rejects(value(db, '1'), isDatabaseUnavailable);
    await assert.rejects(
      db.transaction((tx) => value(tx, '1')),
      isDatabaseUnavailable,
    );
  });

  it('is unavailable when no connection gets free in time', async () => {
    const db = create({ max: 1, acquire_timeout_ms: 100 });
    const hold = db.transaction((tx) => value(tx, 'pg_sleep(0.3)'));
    await assert.rejects(value(db, '1'), isDatabaseUnavailable);
    assert.equal(db.busy().waiting, 0);
    await hold;
  });

  it('does not call a refused statement or a missing database unavailable', async () => {
    const db = create();
    await assert.rejects(sql(db, 'select nothing_there'), (error) => !isDatabaseUnavailable(error));
    const wrong = new URL(scratch.url);
    wrong.pathname = '/no_such_database';
    await assert.rejects(
      value(create({ url: wrong.href }), '1'),
      (error) => !isDatabaseUnavailable(error),
    );
  });

  it('closes once, however often it is asked', async () => {
    const db = create();
    await value(db, '1');
    await Promise.all([db.close(), db.close()]);
    assert.equal(db.busy().total, 0);
  });
});
