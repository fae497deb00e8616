import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { lockHome } from './lock.ts';
import { identityFromPs, processIdentity } from './processes.ts';
import { spawnOwner, temporaryFolder } from './testing.ts';

function leaveLock(home: string, number: number, holder: string): void {
  fs.mkdirSync(join(home, 'lock'), { recursive: true });
  fs.symlinkSync(holder, join(home, 'lock', String(number)));
}

describe("a home's lock", () => {
  it('is held until released, and then free', (t) => {
    const home = temporaryFolder(t);
    const lock = lockHome(home);
    assert.throws(() => lockHome(home), { code: 'in_use' });
    lock.release();
    lockHome(home).release();
  });

  it('is taken over from a process that has ended, or whose pid now names another', async (t) => {
    const home = temporaryFolder(t);
    const owner = spawnOwner(t, { home, lockOnly: true });
    await owner.reply;
    assert.throws(() => lockHome(home), {
      code: 'in_use',
      message: new RegExp(`${owner.child.pid}`),
    });
    await owner.kill();
    lockHome(home).release();

    const recycled = temporaryFolder(t);
    leaveLock(recycled, 7, `${process.pid}@started-at-another-time`);
    lockHome(recycled).release();
    assert.deepEqual(fs.readdirSync(join(recycled, 'lock')), ['8']);
  });

  it('goes to exactly one of several that find it stale at once', async (t) => {
    const home = temporaryFolder(t);
    leaveLock(home, 3, `${process.pid}@started-at-another-time`);
    const owners = Array.from({ length: 6 }, () => spawnOwner(t, { home, lockOnly: true }));
    const replies = await Promise.all(owners.map((owner) => owner.reply));
    const refused = replies.filter(({ error }) => error?.code === 'in_use');
    assert.equal(refused.length, owners.length - 1);
  });
});

describe('the identity of a process', () => {
  it('stays the same while it runs and is missing afterwards', async (t) => {
    const other = spawnOwner(t, { home: temporaryFolder(t), lockOnly: true });
    await other.reply;
    const pid = other.child.pid ?? 0;
    for (const identify of [processIdentity, identityFromPs]) {
      assert.ok(identify(pid));
      assert.equal(identify(pid), identify(pid));
      assert.notEqual(processIdentity(pid), processIdentity(process.pid));
    }
    await other.kill();
    for (const identify of [processIdentity, identityFromPs])
      assert.equal(identify(pid), undefined);
  });
});
