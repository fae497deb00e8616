import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { chooseAccount } from './account.ts';
import { findNativePackage, prepareBinaries, type NativePackage } from './binaries.ts';
import {
  canBecomeOrdinary,
  defer,
  isRoot,
  NOBODY,
  query,
  spawnOwner,
  temporaryFolder,
} from './testing.ts';

/** The package as it is after an installation without scripts: no library links. */
function bareInstallation(t: TestContext): NativePackage {
  const { root, version } = findNativePackage();
  const copy = join(temporaryFolder(t), 'package');
  fs.mkdirSync(copy);
  execFileSync('cp', ['-R', join(root, 'native'), copy]);
  for (const link of linksIn(join(copy, 'native'))) fs.rmSync(link);
  for (const name of fs.readdirSync(join(copy, 'native/bin'))) {
    fs.chmodSync(join(copy, 'native/bin', name), 0o644);
  }
  // Another version, so that copies made by these tests are theirs to remove.
  return { root: copy, version: `${version}-test-${basename(dirname(copy))}` };
}

function linksIn(folder: string): string[] {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name));
}

function copiesOf(native: NativePackage): string[] {
  const names = fs.readdirSync(tmpdir()).filter((name) => name.includes(native.version));
  return names.map((name) => join(tmpdir(), name));
}

function removeCopiesAfter(t: TestContext, native: NativePackage): void {
  defer(t, () => {
    for (const copy of copiesOf(native)) fs.rmSync(copy, { recursive: true, force: true });
  });
}

function versionOf(program: string): string {
  const asAccount = { ...chooseAccount(), cwd: '/', encoding: 'utf8' } as const;
  return execFileSync(program, ['--version'], asAccount);
}

describe('the PostgreSQL binaries', () => {
  it('are completed in place when install scripts did not run', (t) => {
    const native = bareInstallation(t);
    const binaries = prepareBinaries(native, chooseAccount());
    assert.ok(binaries.postgres.startsWith(native.root));
    assert.equal(binaries.major, '18');
    assert.match(versionOf(binaries.postgres), / 18\./);
  });

  it(
    'are copied to a safe place when the account cannot enter the checkout',
    { skip: !isRoot },
    (t) => {
      const native = bareInstallation(t);
      removeCopiesAfter(t, native);
      fs.chmodSync(dirname(native.root), 0o700);
      const binaries = prepareBinaries(native, chooseAccount());
      assert.ok(!binaries.postgres.startsWith(native.root));
      assert.match(versionOf(binaries.postgres), / 18\./);
      assert.equal(prepareBinaries(native, chooseAccount()).postgres, binaries.postgres);
      assert.equal(copiesOf(native).length, 1);

      // Somebody else's folder under that name, or a damaged copy, is not used.
      const [copy = ''] = copiesOf(native);
      fs.chownSync(binaries.postgres, NOBODY.uid, NOBODY.gid);
      const second = prepareBinaries(native, chooseAccount());
      assert.notEqual(second.postgres, binaries.postgres);
      fs.rmSync(copy, { recursive: true });
      fs.mkdirSync(copy);
      fs.chownSync(copy, NOBODY.uid, NOBODY.gid);
      assert.equal(prepareBinaries(native, chooseAccount()).postgres, second.postgres);
    },
  );

  it(
    'serve an ordinary user, even from a read-only bare installation',
    { skip: !canBecomeOrdinary },
    async (t) => {
      const native = bareInstallation(t);
      removeCopiesAfter(t, native);
      const home = join(temporaryFolder(t, NOBODY), 'home');
      const { url, pid, error } = await spawnOwner(t, { home, native }, NOBODY).reply;
      assert.equal(error, undefined);
      assert.deepEqual(await query(url, 'select 1 as one'), [{ one: 1 }]);
      assert.deepEqual(linksIn(native.root), []);
      assert.equal(copiesOf(native).length, 1);
      assert.equal(fs.statSync(home).mode & 0o777, 0o700);
      assert.equal(fs.statSync(home).uid, NOBODY.uid);
      assert.ok(pid > 0);
    },
  );

  it('exist for known platforms only, and the refusal names the way out', () => {
    assert.throws(() => findNativePackage('sunos', 'sparc'), {
      code: 'unsupported_platform',
      message: /DATABASE_URL/,
    });
  });
});
