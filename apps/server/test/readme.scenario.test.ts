// The five minutes of the README, as a reader would live them: its own commands, in order, against the product.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { until } from './until.ts';

const root = path.join(import.meta.dirname, '../../..');

test('the commands of the README work', async () => {
  const home = mkdtempSync(path.join(tmpdir(), 'strait-readme-'));
  const env: NodeJS.ProcessEnv = { ...process.env, STRAIT_HOME: home, PORT: '0', STRAIT_DEMO: '0' };
  delete env['DATABASE_URL'];
  const server = spawn(process.execPath, ['apps/server/src/app/main.ts'], {
    cwd: root,
    env,
    stdio: 'ignore',
  });
  try {
    await until('the server to be ready', () => existsSync(path.join(home, 'dev.json')), {
      deadline_ms: 30_000,
    });
    // The reader's port may be taken here.
    const text = readFileSync(path.join(root, 'README.md'), 'utf8').replaceAll(
      '3210',
      String(await freePort()),
    );
    const blocks = [...text.matchAll(/<!-- tested -->\n```bash\n([\s\S]*?)```/g)].map(
      (match) => match[1] ?? '',
    );
    assert.ok(blocks.length >= 7);
    const PATH = `${path.join(root, 'node_modules/.bin')}${path.delimiter}${process.env['PATH'] ?? ''}`;
    const done = spawnSync(
      'bash',
      [
        '-eo',
        'pipefail',
        '-c',
        `trap 'kill $HANDLER 2> /dev/null || true' EXIT\n${blocks.join('\necho\n')}`,
      ],
      {
        cwd: root,
        env: { ...env, PATH },
        encoding: 'utf8',
        timeout: 60_000,
      },
    );
    assert.equal(done.status, 0, done.stdout + done.stderr);
    for (const expected of [
      '"to":"executing"',
      '"to":"completed"',
      'Hello, Ada!',
      '"to":"dead_letter"',
      '"status":"queued"',
    ]) {
      assert.ok(done.stdout.includes(expected), `${expected} is missing in\n${done.stdout}`);
    }
  } finally {
    server.kill('SIGTERM');
    await new Promise((resolve) => server.once('exit', resolve));
    rmSync(home, { recursive: true, force: true });
  }
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}
