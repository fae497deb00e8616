import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { LocalPostgresError, startLocalPostgres, type LocalPostgres } from './index.ts';
import { isRunning } from './processes.ts';
import { defer, isRoot, query, spawnOwner, temporaryFolder, until, untilGone } from './testing.ts';

async function started(
  t: TestContext,
  options: Parameters<typeof startLocalPostgres>[0],
): Promise<LocalPostgres> {
  const server = await startLocalPostgres(options);
  defer(t, () => server.stop());
  return server;
}

function pidOf(server: LocalPostgres): number {
  const pid = server.pid();
  assert.ok(pid !== undefined);
  return pid;
}

/** Whole command lines of the server and its warden. */
function commandsAround(server: LocalPostgres): string {
  const parent = parentOf(pidOf(server));
  return execFileSync('ps', ['-ww', '-o', 'args=', '-p', `${pidOf(server)},${parent}`]).toString();
}

function parentOf(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'ppid=', '-p', String(pid)]).toString());
}

describe('a local server', () => {
  let template = '';

  // One initdb for most tests: each works on a copy of a home that has been used once.
  before(async () => {
    template = fs.mkdtempSync(join(tmpdir(), 'strait-test-template-'));
    const server = await startLocalPostgres({ home: template });
    await server.stop();
  });

  after(() => fs.rmSync(template, { recursive: true, force: true }));

  function usedHome(t: TestContext): string {
    const home = join(temporaryFolder(t), 'home');
    execFileSync('cp', ['-pR', template, home]);
    return home;
  }

  it('is private, durable and set up for a job queue', async (t) => {
    const home = join(temporaryFolder(t), 'home');
    const server = await started(t, { home, settings: { work_mem: '5MB' } });

    assert.equal(fs.statSync(home).mode & 0o777, isRoot ? 0o710 : 0o700);
    assert.equal(fs.statSync(server.dataDir).mode & 0o777, 0o700);
    assert.equal(fs.statSync(join(home, 'local-postgres.json')).mode & 0o777, 0o600);
    assert.equal(dirname(server.dataDir), home);
    assert.notEqual(fs.statSync(server.dataDir).uid, 0);

    const [role] = await query(
      server.url,
      `select current_user as name, rolsuper, rolcreatedb, rolcreaterole,
              (select datdba = pg_roles.oid from pg_database where datname = current_database()) as owns
         from pg_roles where rolname = current_user`,
    );
    assert.deepEqual(role, {
      name: 'strait',
      rolsuper: false,
      rolcreatedb: true,
      rolcreaterole: true,
      owns: true,
    });
    const wanted = {
      server_version_num: /^18/,
      listen_addresses: /^127\.0\.0\.1$/,
      unix_socket_directories: /^$/,
      fsync: /^on$/,
      synchronous_commit: /^on$/,
      full_page_writes: /^on$/,
      data_checksums: /^on$/,
      shared_buffers: /^32768$/,
      max_connections: /^200$/,
      max_wal_size: /^2048$/,
      jit: /^off$/,
      TimeZone: /^UTC$/,
      server_encoding: /^UTF8$/,
      password_encryption: /^scram-sha-256$/,
      work_mem: /^5120$/,
    };
    const settings = await query<{ name: string; setting: string }>(
      server.adminUrl,
      'select name, setting from pg_settings',
    );
    const found = new Map(settings.map(({ name, setting }) => [name, setting]));
    for (const [name, value] of Object.entries(wanted)) assert.match(found.get(name) ?? '', value);

    const secrets = [server.url, server.adminUrl].map((url) => new URL(url).password);
    for (const secret of secrets) {
      assert.equal(secret.length, 48);
      assert.ok(!commandsAround(server).includes(secret));
    }
    await assert.rejects(query(server.url.replace(/:\w+@/, ':wrong@'), 'select 1'), /password/);
    assert.deepEqual(server.health(), { status: 'up' });
  });

  it('refuses a second owner, and keeps port, passwords and rows for the next', async (t) => {
    const home = usedHome(t);
    const first = await started(t, { home });
    await query(first.url, 'create table kept as select 1 as one');

    const refusal = (error: unknown): boolean =>
      error instanceof LocalPostgresError &&
      error.code === 'in_use' &&
      error.message.includes(String(process.pid)) &&
      error.message.includes(home);
    await assert.rejects(startLocalPostgres({ home }), refusal);
    const { error } = await spawnOwner(t, { home }).reply;
    assert.equal(error?.code, 'in_use');

    const pid = pidOf(first);
    await Promise.all([first.stop(), first.stop('immediate'), first.stop()]);
    assert.equal(first.pid(), undefined);
    assert.ok(!isRunning(pid));
    assert.equal(first.health().status, 'down');
    await first.stop();

    const second = await started(t, { home });
    assert.equal(second.url, first.url);
    assert.deepEqual(await query(second.url, 'select one from kept'), [{ one: 1 }]);
    await second.stop();

    await t.test('but moves to a free port when another program took it', async (u) => {
      const squatter = createServer().listen(first.port, '127.0.0.1');
      defer(u, () => squatter.close());
      await new Promise((resolve) => squatter.once('listening', resolve));
      await assert.rejects(startLocalPostgres({ home, port: first.port }), /Port \d+ is in use/);
      const third = await started(u, { home });
      assert.notEqual(third.port, first.port);
      assert.deepEqual(await query(third.url, 'select one from kept'), [{ one: 1 }]);
      await third.stop();
    });

    await t.test('but refuses data of another major version', async () => {
      const file = join(first.dataDir, 'PG_VERSION');
      fs.writeFileSync(file, '17\n');
      await assert.rejects(startLocalPostgres({ home }), { code: 'wrong_version', message: /17/ });
    });
  });

  it('comes back on the same port after a kill -9, with every committed row', async (t) => {
    const home = usedHome(t);
    const server = await started(t, { home });
    let restarts = 0;
    server.onRestart(() => restarts++);
    await query(server.url, 'create table kept (id int)');

    const killed = pidOf(server);
    const busy = assert.rejects(query(server.url, 'select pg_sleep(30)'));
    await query(server.url, 'insert into kept values (1)');
    process.kill(killed, 'SIGKILL');
    await until('the death is noticed', () => server.health().status === 'down');
    await until('the server is back', () => restarts === 1);
    assert.equal(server.health().status, 'up');
    assert.notEqual(server.pid(), killed);
    assert.deepEqual(await query(server.url, 'select id from kept'), [{ id: 1 }]);
    await busy;

    await t.test('and after its warden alone was killed', async () => {
      process.kill(parentOf(pidOf(server)), 'SIGKILL');
      await until('the server is back', () => restarts === 2);
      assert.deepEqual(await query(server.url, 'select id from kept'), [{ id: 1 }]);
    });

    await t.test('and keeps trying while it cannot start, saying why', async () => {
      const file = join(server.dataDir, 'PG_VERSION');
      fs.writeFileSync(file, '17\n');
      process.kill(pidOf(server), 'SIGKILL');
      await until('the reason is known', () => /version 17/.test(server.health().detail ?? ''));
      fs.writeFileSync(file, '18\n');
      await until('the server is back', () => restarts === 3);
      assert.deepEqual(server.health(), { status: 'up' });
    });

    await t.test('but not when asked to stop, or told not to', async (u) => {
      const last = pidOf(server);
      process.kill(last, 'SIGKILL');
      await server.stop();
      assert.equal(restarts, 3);
      await untilGone(last);

      const mortal = await started(u, { home, restart: false });
      process.kill(pidOf(mortal), 'SIGKILL');
      await until('the death is noticed', () => mortal.health().status === 'down');
      assert.match(mortal.health().detail ?? '', /ended unexpectedly/);
      assert.equal(mortal.pid(), undefined);
    });
  });

  it('leaves no process and loses no row when its owner is killed', async (t) => {
    const home = usedHome(t);
    const owner = spawnOwner(t, { home });
    const { url, pid } = await owner.reply;
    await query(url, 'create table kept as select 7 as seven');
    const warden = parentOf(pid);
    await owner.kill();
    await untilGone(pid);
    await untilGone(warden);

    await t.test('or when its warden is killed as well', async (u) => {
      const next = spawnOwner(u, { home });
      const reply = await next.reply;
      const family = wardens(parentOf(reply.pid), reply.pid);
      assert.ok(family.length >= 2); // the warden and its watcher
      next.child.kill('SIGSTOP'); // so that it cannot react to the end of its warden
      for (const member of family) process.kill(member, 'SIGKILL');
      next.child.kill('SIGKILL');
      await untilGone(next.child.pid ?? 0);
      assert.ok(isRunning(reply.pid));
      const server = await started(u, { home });
      assert.ok(!isRunning(reply.pid));
      assert.equal(server.url, url);
      assert.deepEqual(await query(url, 'select seven from kept'), [{ seven: 7 }]);
    });
  });

  it('does not touch a process that got the pid of a dead server', async (t) => {
    const home = usedHome(t);
    const first = await started(t, { home });
    await query(first.url, 'create table kept as select 1 as one');
    await first.stop('immediate');
    const bystander = spawnOwner(t, { home: temporaryFolder(t), lockOnly: true });
    await bystander.reply;
    const lines = [bystander.child.pid, first.dataDir, 1, first.port, '', '127.0.0.1', '', 'ready'];
    fs.writeFileSync(join(first.dataDir, 'postmaster.pid'), `${lines.join('\n')}\n`);
    const again = await started(t, { home });
    assert.deepEqual(await query(again.url, 'select one from kept'), [{ one: 1 }]);
    assert.ok(isRunning(bystander.child.pid ?? 0));
  });

  it('does not take over a folder that holds something else', async (t) => {
    const folder = temporaryFolder(t);
    fs.writeFileSync(join(folder, 'letter'), '');
    await assert.rejects(startLocalPostgres({ home: folder }), { code: 'start_failed' });
    assert.equal(fs.statSync(folder).mode & 0o777, 0o755);
  });

  it('repeats what the server said when a setting is wrong, and can be started right after', async (t) => {
    const home = usedHome(t);
    const settings = { shared_buffers: 'plenty' };
    await assert.rejects(startLocalPostgres({ home, settings }), {
      code: 'start_failed',
      message: /shared_buffers.*plenty/s,
    });
    const injected = { "fsync = 'off'\nport": '1' };
    await assert.rejects(
      startLocalPostgres({ home, settings: injected }),
      /Not a PostgreSQL setting/,
    );
    await started(t, { home });
  });
});

function wardens(warden: number, server: number): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=', '-o', 'ppid='])
    .toString()
    .trim()
    .split('\n');
  const children = rows
    .map((row) => row.trim().split(/\s+/).map(Number))
    .filter(([pid, parent]) => parent === warden && pid !== server);
  return [warden, ...children.map(([pid]) => Number(pid))];
}
