import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createDatabase, type Database } from '../apps/server/src/platform/db/database.ts';
import { generateQueries } from './generate-queries.ts';
import { createScratchDatabase, openScratchServer, runScript } from './scratch-database.ts';
import type { ScratchDatabase, ScratchServer } from './scratch-database.ts';

const MIGRATION = `
-- owner: jobs. What to call.
create table jobs (
  id text primary key, project_id text not null, name text not null, group_id text,
  tags jsonb not null default '{}', count bigint not null default 0, created_at timestamptz not null default now()
);
-- owner: jobs
create table job_versions (id text primary key, job text not null references jobs, note text);
-- owner: queue
create table job_runs (id text not null, job_id text not null, project_id text not null, result jsonb, at timestamptz not null)
  partition by range (at);
create table job_runs_2026 partition of job_runs for values from ('2026-01-01') to ('2027-01-01');
-- owner: queue
create table run_events (run_id text, note text);
-- owner: webhooks
create table deliveries (id text primary key, project_id text not null);
-- owner: platform/services
create table leases (name text primary key, holder text not null);
create table orphans (id int);
`;

describe('query generator', () => {
  let server: ScratchServer;
  let scratch: ScratchDatabase;
  let db: Database;
  const roots: string[] = [];

  before(async () => {
    server = await openScratchServer();
    scratch = await createScratchDatabase(server);
    await runScript(scratch.url, MIGRATION);
    db = createDatabase({ url: scratch.url, application_name: 'test', max: 2 });
  });
  after(async () => {
    await db.close();
    await scratch.drop();
    await server.stop();
    for (const root of roots) rmSync(root, { recursive: true });
  });

  function createRoot(files: Record<string, string>): string {
    const root = mkdtempSync(path.join(tmpdir(), 'strait-generate-'));
    roots.push(root);
    const put = (file: string, content: string) => {
      mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
      writeFileSync(path.join(root, file), content);
    };
    put('apps/server/migrations/000001_all.up.sql', MIGRATION);
    put(
      'apps/server/src/platform/db/json-columns.ts',
      `export interface JsonColumns {\n  'jobs.tags': Record<string, string>;\n}\n`,
    );
    cpSync(
      path.join(import.meta.dirname, '../apps/server/src/platform/db/query.ts'),
      path.join(root, 'apps/server/src/platform/db/query.ts'),
    );
    for (const [file, content] of Object.entries(files)) put(`apps/server/src/${file}`, content);
    return root;
  }

  /** What becomes of `modules/<module>/store.sql` with one statement. */
  async function generate(statement: string, { module = 'jobs', shape = ':many' } = {}) {
    const root = createRoot({
      [`modules/${module}/store.sql`]: `-- name: doThing ${shape}\n${statement}\n`,
    });
    const { files, problems } = await generateQueries(root, scratch.url);
    return {
      code: files[0]?.content ?? '',
      problems: problems.map((text) => text.replace(/^.*doThing: /, '')),
    };
  }
  const problemsOf = async (statement: string, options?: { module?: string; shape?: string }) =>
    (await generate(statement, options)).problems;
  /** The fields of the row type, one string. */
  const rowOf = async (statement: string) => {
    const { code, problems } = await generate(statement, { module: 'queue' });
    assert.deepEqual(problems, []);
    return /interface DoThingRow \{([^}]*)\}/
      .exec(code)?.[1]
      ?.replace(/^ {2}readonly /gm, '')
      .replace(/\s+/g, ' ')
      .trim();
  };

  it('writes functions that run', async () => {
    const root = createRoot({
      'modules/jobs/store.sql': `
-- name: addJob :one
-- Adds one.
-- More about it.
insert into jobs (id, project_id, name, group_id, tags) values (:id, :project_id, :name, :group_id?, :tags) returning id, tags, count

-- name: findJob :maybe prepared
select id, name as "name!" from jobs where id = :id and project_id = :project_id`,
    });
    const { files, problems } = await generateQueries(root, scratch.url);
    assert.deepEqual(problems, []);
    const [file] = files;
    assert.equal(file?.file, 'apps/server/src/modules/jobs/store.sql.ts');
    assert.match(
      file?.content ?? '',
      /\/\*\*\n \* Adds one\.\n \* More about it\.\n \*\/\nexport function addJob/,
    );
    assert.match(file?.content ?? '', /name: 'jobs_findJob_[0-9a-f]{8}'/);
    const target = path.join(root, file?.file ?? '');
    writeFileSync(target, file?.content ?? '');
    const store = await import(pathToFileURL(target).href);
    const params = { id: 'j1', project_id: 'p', name: 'n', group_id: null, tags: { a: 'b' } };
    assert.deepEqual(await store.addJob(db, params), { id: 'j1', tags: { a: 'b' }, count: 0 });
    assert.deepEqual(await store.findJob(db, { id: 'j1', project_id: 'p' }), {
      id: 'j1',
      name: 'n',
    });
    assert.equal(await store.findJob(db, { id: 'j1', project_id: 'q' }), undefined);
  });

  it('writes the same again, removes what lost its source, and can be told which files', async () => {
    const statement = '-- name: countLeases :count\nselect from leases';
    const root = createRoot({
      'platform/services/store.sql': statement,
      'modules/queue/store.sql': statement,
      'modules/queue/old.sql.ts': '',
    });
    const first = await generateQueries(root, scratch.url);
    assert.deepEqual(first, await generateQueries(root, scratch.url));
    assert.deepEqual(
      first.files.map(({ file, content }) => [
        file.slice('apps/server/src/'.length),
        content === undefined,
      ]),
      [
        ['modules/queue/old.sql.ts', true],
        ['modules/queue/store.sql.ts', false],
        ['platform/services/store.sql.ts', false],
      ],
    );
    assert.match(first.files[2]?.content ?? '', /from '\.\.\/db\/query\.ts'/);
    const some = await generateQueries(root, scratch.url, ['services']);
    assert.equal(some.files.length, 1);
  });

  it('types columns by the catalogue, with marks overriding', async () => {
    const select = (columns: string) =>
      rowOf(`-- across projects: test\nselect ${columns} from jobs j`);
    assert.equal(
      await select('id, group_id, count, created_at'),
      'id: string; group_id: string | null; count: number; created_at: string;',
    );
    assert.equal(
      await select('tags, j.tags as labels'),
      `tags: JsonColumns['jobs.tags']; labels: JsonColumns['jobs.tags'];`,
    );
    assert.equal(
      await select('count(*) as n, count(*) as "m!", min(id) as "id?"'),
      'n: number | null; m: number; id: string | null;',
    );
    assert.equal(
      await select(`array['a'] as "list!", '{}'::jsonb as any_json`),
      'list: readonly string[]; any_json: unknown;',
    );
    assert.equal(
      await select(`true as "t!", 1.5::numeric as "n!", ''::bytea as "b!"`),
      't: boolean; n: string; b: Buffer;',
    );
  });

  it('knows that the far side of an outer join may be missing', async () => {
    const join = (kind: string) =>
      rowOf(
        `-- across projects: test\nselect j.id, v.job from jobs j ${kind} join job_versions v on v.job = j.id`,
      );
    assert.equal(await join('inner'), 'id: string; job: string;');
    assert.equal(await join('left'), 'id: string; job: string | null;');
    assert.equal(await join('right'), 'id: string | null; job: string;');
    assert.equal(await join('full'), 'id: string | null; job: string | null;');
    const anti = `-- across projects: test
      select j.id, v.job from jobs j left join job_versions v on v.job = j.id where v.job is null`;
    assert.equal(await rowOf(anti), 'id: string; job: string | null;');
    const cte = `-- across projects: test
      with v as materialized (select * from job_versions) select j.id, v.job from jobs j left join v on v.job = j.id`;
    assert.equal(await rowOf(cte), 'id: string; job: string | null;');
    const partitioned = `-- across projects: test
      select j.id, r.at from jobs j left join job_runs r on r.job_id = j.id`;
    assert.equal(await rowOf(partitioned), 'id: string; at: string | null;');
  });

  it('types parameters as the server infers them', async () => {
    const { code } = await generate(
      `-- across projects: test
       select :list::text[] as a, :at::timestamptz as b, :data::jsonb as c, :raw_json::jsonb as d, :maybe?::int as e,
              :flag::bool as f, :items::jsonb[] as g, :gone?::jsonb as h`,
    );
    for (const field of [
      'list: readonly (string | null)[];',
      'at: string;',
      'data: unknown;',
      'raw_json: string;',
      'maybe: number | null;',
      'flag: boolean;',
    ]) {
      assert.ok(code.includes(`  readonly ${field}\n`), field);
    }
    assert.match(code, /^ {6}JSON\.stringify\(params\.data\),$/m);
    assert.match(code, /^ {6}params\.raw_json,$/m);
    assert.match(code, /^ {6}params\.gone == null \? null : JSON\.stringify\(params\.gone\),$/m);
  });

  it('demands the project for tenant data, children without the column included', async () => {
    const all = ['jobs', 'job_versions', 'job_runs', 'job_runs_2026', 'run_events'];
    for (const table of all) {
      assert.match(
        (await problemsOf(`select 1 as n from ${table}`, { module: 'queue' })).join(),
        /needs `:project_id`/,
        table,
      );
    }
    assert.deepEqual(await problemsOf('select id from jobs where project_id = :project_id'), []);
    assert.deepEqual(await problemsOf('-- across projects: a reason.\nselect id from jobs'), []);
    assert.match(
      (await problemsOf('-- across projects:\nselect id from jobs')).join(),
      /needs `:project_id`/,
    );
    assert.match(
      (await problemsOf('select id from jobs where project_id = :project_id?')).join(),
      /would open all/,
    );
    assert.deepEqual(await problemsOf('select holder from leases'), []);
    assert.match(
      (await problemsOf('with x as (delete from jobs returning id) select 1 as n')).join(),
      /touches jobs/,
    );
    assert.match((await problemsOf('lock table jobs', { shape: ':count' })).join(), /only queries/);
  });

  it('lets only the owner write a table, in common table expressions too', async () => {
    const write = `-- across projects: test\nwith x as (update jobs set name = '' returning id) select id from x`;
    assert.deepEqual(await problemsOf(write), []);
    assert.deepEqual(await problemsOf(write, { module: 'queue' }), [
      'writes jobs, which only jobs may write',
    ]);
    const partition = `-- across projects: test\ndelete from job_runs_2026`;
    assert.deepEqual(await problemsOf(partition, { module: 'webhooks', shape: ':count' }), [
      'writes job_runs, which only queue may write',
    ]);
  });

  it('lets a module read tables below it and to its left, no others', async () => {
    const read = (table: string, module: string) =>
      problemsOf(`-- across projects: test\nselect 1 as n from ${table}`, { module });
    assert.deepEqual(await read('jobs', 'queue'), []);
    assert.deepEqual(await read('job_runs', 'webhooks'), []);
    assert.deepEqual(await read('leases', 'queue'), []);
    assert.deepEqual(await read('job_runs', 'jobs'), [
      'reads job_runs of queue, which is not below jobs',
    ]);
    assert.deepEqual(await read('deliveries', 'queue'), [
      'reads deliveries of webhooks, which is not below queue',
    ]);
    assert.match((await read('orphans', 'queue')).join(), /orphans has no `-- owner/);
  });

  it('passes on what PostgreSQL says about a wrong statement, and goes on', async () => {
    const root = createRoot({
      'modules/jobs/store.sql':
        "-- name: findThing :many\nselect nme from jobs\n\n-- name: findOther :many\nselect 1::int + '{}'::jsonb as n",
      'modules/queue/store.sql': '-- name: listLeases :many\nselect name from leases',
    });
    const { files, problems } = await generateQueries(root, scratch.url);
    assert.match(
      problems[0] ?? '',
      /^apps\/server\/src\/modules\/jobs\/store\.sql:1: findThing: column "nme" does not exist at `nme/,
    );
    assert.match(problems[1] ?? '', /store\.sql:4: findOther: operator does not exist/);
    assert.deepEqual(
      files.map(({ file }) => file),
      ['apps/server/src/modules/queue/store.sql.ts'],
    );
  });

  it('refuses rows that TypeScript could not name', async () => {
    assert.match((await problemsOf('select 1')).join(), /has no name/);
    assert.match(
      (await problemsOf('select 1 as a, 2 as a')).join(),
      /two result columns are named a/,
    );
    assert.match((await problemsOf(`select point '(1,2)' as p`)).join(), /point is not supported/);
    assert.match(
      (await problemsOf(`delete from leases`, { module: 'platform' })).join(),
      /returns no rows/,
    );
  });
});
