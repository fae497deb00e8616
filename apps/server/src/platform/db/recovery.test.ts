import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startLocalPostgres } from '@strait/local-postgres';
import { createDatabase, isDatabaseUnavailable } from './database.ts';
import { createListener } from './listen.ts';

describe('after PostgreSQL was killed', () => {
  it('pool and listener work again by themselves, and every error until then says unavailable', async () => {
    const home = mkdtempSync(path.join(tmpdir(), 'strait-recovery-'));
    const server = await startLocalPostgres({ home });
    const db = createDatabase({ url: server.url, application_name: 'test', max: 3 });
    let wakes = 0;
    const listener = createListener({ url: server.url, application_name: 'test' });
    listener.on('wake', () => wakes++);
    await listener.start();
    const ask = () => db.query({ text: 'select 1', values: [] });
    await Promise.all([ask(), ask(), ask()]);

    const sleeping = db.query({ text: 'select pg_sleep(10)', values: [] });
    const lost = assert.rejects(sleeping, isDatabaseUnavailable);
    await sleep(50);
    process.kill(server.pid() ?? 0, 'SIGKILL');
    await lost;
    let answered = false;
    for (const end = Date.now() + 15_000; !answered && Date.now() < end; await sleep(20)) {
      await ask().then(
        () => (answered = true),
        (error: unknown) => assert.ok(isDatabaseUnavailable(error), String(error)),
      );
    }
    assert.ok(answered);
    for (const end = Date.now() + 10_000; wakes < 2 && Date.now() < end; await sleep(20));
    assert.equal(wakes, 2);

    await listener.stop();
    await db.close();
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  });
});
