import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import {
  createScratchDatabase,
  openScratchServer,
  runScript,
} from '../../../../../scripts/scratch-database.ts';
import type { ScratchDatabase, ScratchServer } from '../../../../../scripts/scratch-database.ts';
import { createDatabase } from './database.ts';
import type { Database } from './database.ts';
import { many } from './query.ts';
import type { Queryable } from './query.ts';
import { secureTenantTables, TENANT_ROLE } from './tenant-role.ts';

const sql = <Row>(db: Queryable, text: string, ...values: unknown[]) =>
  many<Row>(db, { text, values });
const secure = (db: Database) => db.transaction((tx) => secureTenantTables(tx));

const TABLES = `
  create table things (id text primary key, project_id text not null);
  create table numbered (id bigserial primary key, project_id text not null);
  create table moments (id text, project_id text not null, at timestamptz not null) partition by range (at);
  create table moments_2026 partition of moments for values from ('2026-01-01') to ('2027-01-01');
  create table parts (thing_id text references things, note text);
  create table schema_migrations (version int);`;

describe('tenant role', () => {
  let server: ScratchServer;
  let scratch: ScratchDatabase;
  let admin: Database;
  let db: Database;
  const open = (url: string, tenantRole?: string) =>
    createDatabase({ url, application_name: 'test', max: 3, tenantRole });

  before(async () => {
    server = await openScratchServer();
    scratch = await createScratchDatabase(server);
    await runScript(scratch.url, TABLES);
    admin = open(scratch.url);
    db = open(scratch.url, await secure(admin));
    await sql(admin, `insert into things values ('a', 'p1'), ('b', 'p2')`);
    await sql(
      admin,
      `insert into moments values ('a', 'p1', '2026-05-05'), ('b', 'p2', '2026-05-05')`,
    );
  });
  after(async () => {
    await db.close();
    await admin.close();
    await scratch.drop();
    await server.stop();
  });

  it('shows a tenant transaction the rows of its project only, partitions included', async () => {
    const seen = (table: string) => db.tenant('p1', (tx) => sql(tx, `select id from ${table}`));
    assert.deepEqual(await seen('things'), [{ id: 'a' }]);
    assert.deepEqual(await seen('moments'), [{ id: 'a' }]);
    await assert.rejects(seen('moments_2026'), { code: '42501' });
  });

  it('lets a tenant transaction write into its project only', async () => {
    const add = (project: string) =>
      db.tenant('p1', (tx) => sql(tx, 'insert into numbered (project_id) values ($1)', project));
    await add('p1');
    await assert.rejects(add('p2'), { code: '42501' });
    await db.tenant('p1', (tx) => sql(tx, `update things set id = id || '!'`));
    assert.deepEqual(await sql(db, 'select id from things order by id'), [
      { id: 'a!' },
      { id: 'b' },
    ]);
    await db.tenant('p1', (tx) => sql(tx, `update things set id = 'a'`));
  });

  it('takes any text as project id', async () => {
    const odd = `o'dd\\"; drop table things; --`;
    const setting = await db.tenant(odd, (tx) =>
      sql(tx, `select current_setting('app.current_project_id') as v`),
    );
    assert.deepEqual(setting, [{ v: odd }]);
    await assert.rejects(
      db.tenant('', async () => {}),
      /not a project id/,
    );
  });

  it('leaves nothing of the tenant on the connection afterwards', async () => {
    const single = createDatabase({
      url: scratch.url,
      application_name: 'test',
      max: 1,
      tenantRole: TENANT_ROLE,
    });
    await single.tenant('p1', (tx) => sql(tx, 'select 1'));
    assert.equal((await sql(single, 'select id from things')).length, 2);
    assert.deepEqual(
      await sql(single, `select current_setting('app.current_project_id', true) as v`),
      [{ v: '' }],
    );
    await single.close();
  });

  it('keeps the tenant out of the record of migrations', async () => {
    await assert.rejects(
      db.tenant('p1', (tx) => sql(tx, 'delete from schema_migrations')),
      { code: '42501' },
    );
  });

  it('changes nothing the second time and picks up new tables', async () => {
    const statements: string[] = [];
    const watched = (tx: Queryable): Queryable => ({
      query: (call) => {
        statements.push(call.text);
        return tx.query(call);
      },
    });
    await admin.transaction((tx) => secureTenantTables(watched(tx)));
    assert.deepEqual(
      statements.filter((text) => !/^\s*select/.test(text)),
      [],
    );
    await sql(admin, 'create table later (id text, project_id text not null)');
    await secure(admin);
    await sql(admin, `insert into later values ('a', 'p1'), ('b', 'p2')`);
    assert.deepEqual(await db.tenant('p2', (tx) => sql(tx, 'select id from later')), [{ id: 'b' }]);
  });

  describe('for an owner without superuser', () => {
    const role = `strait_test_${process.pid}_${Date.now()}`;
    const asRole = (user: string) => {
      const url = new URL(scratch.url);
      url.username = user;
      url.password = 'secret';
      return url.href;
    };
    const rolesMade = [`${role}_maker`, `${role}_plain`];

    before(async () => {
      await sql(admin, `create role ${role}_maker login createrole password 'secret'`);
      await sql(admin, `create role ${role}_plain login password 'secret'`);
      for (const name of rolesMade) {
        await sql(admin, `grant ${name} to current_user with inherit true, set true`);
        await sql(admin, `create schema ${name} authorization ${name}`);
        await sql(admin, `alter role ${name} set search_path = ${name}`);
      }
    });
    after(async () => {
      for (const name of rolesMade) {
        await sql(admin, `drop owned by ${name} cascade`);
        await sql(admin, `drop role ${name}`);
      }
    });

    it('does without when it may neither create nor take the role', async () => {
      const plain = open(asRole(`${role}_plain`));
      await sql(plain, 'create table mine (id text, project_id text not null)');
      assert.equal(await secure(plain), undefined);
      assert.deepEqual(await plain.tenant('p1', (tx) => sql(tx, 'select id from mine')), []);
      await plain.close();
    });

    it('does without when the role belongs to somebody else', async () => {
      const maker = open(asRole(`${role}_maker`));
      assert.equal(await secure(maker), undefined);
      await maker.close();
    });

    it('works for a role that was granted the tenant role', async () => {
      const url = asRole(`${role}_maker`);
      await sql(
        admin,
        `grant ${TENANT_ROLE} to ${pg.escapeIdentifier(`${role}_maker`)} with inherit false, set true`,
      );
      const maker = open(url);
      await sql(maker, 'create table mine (id text, project_id text not null)');
      await sql(maker, `insert into mine values ('a', 'p1'), ('b', 'p2')`);
      const found = await secure(maker);
      await maker.close();
      assert.equal(found, TENANT_ROLE);
      const tenant = open(url, found);
      assert.deepEqual(await tenant.tenant('p1', (tx) => sql(tx, 'select id from mine')), [
        { id: 'a' },
      ]);
      await tenant.close();
    });
  });
});
