import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { openHome } from './home.ts';
import { startLocalPostgres } from './index.ts';
import { defer, isRoot, query, temporaryFolder } from './testing.ts';

describe('a home the unprivileged account cannot reach', { skip: !isRoot }, () => {
  it('keeps its data under a folder of root, and finds it again', async (t) => {
    const closed = temporaryFolder(t);
    fs.chmodSync(closed, 0o700);
    const home = join(closed, 'home');
    const first = await startLocalPostgres({ home });
    const outside = dirname(first.dataDir);
    defer(t, () => fs.rmSync(outside, { recursive: true, force: true }));
    await query(first.url, 'create table kept as select 1 as one');
    await first.stop();
    assert.match(outside, /^\/var\/(lib|db)\/strait\//);
    assert.equal(fs.statSync(dirname(outside)).uid, 0);
    assert.equal(fs.statSync(dirname(outside)).mode & 0o022, 0);
    assert.equal(fs.statSync(home).mode & 0o777, 0o700);

    const second = await startLocalPostgres({ home });
    assert.equal(second.dataDir, first.dataDir);
    assert.deepEqual(await query(second.url, 'select one from kept'), [{ one: 1 }]);
    await second.stop();

    const copy = join(closed, 'copy');
    fs.cpSync(home, copy, { recursive: true, verbatimSymlinks: true });
    assert.throws(() => openHome(copy), /moved or copied/);
  });
});

describe('an existing home', () => {
  it('says so when its passwords are missing', (t) => {
    const home = join(temporaryFolder(t), 'home');
    fs.mkdirSync(join(home, 'data'), { recursive: true });
    fs.mkdirSync(join(home, 'lock'));
    assert.throws(() => openHome(home), /passwords is missing/);
  });

  it('stays with the user it belongs to, when root starts it', { skip: !isRoot }, (t) => {
    const owner = { uid: 1234, gid: 1234 };
    const home = openHome(temporaryFolder(t, owner));
    assert.deepEqual(home.account, owner);
    assert.equal(fs.statSync(home.folder).uid, owner.uid);
    assert.equal(fs.statSync(join(home.folder, 'local-postgres.json')).uid, owner.uid);
    home.lock.release();
  });
});
