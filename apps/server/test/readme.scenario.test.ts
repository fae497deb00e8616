// The five minutes of the README and the guides, as a reader would live them: their own commands, in order, against the
// product.

import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { until } from './until.ts';

const root = path.join(import.meta.dirname, '../../..');

const guides: readonly { file: string; blocks: number; shows: readonly string[] }[] = [
  {
    file: 'README.md',
    blocks: 7,
    shows: [
      '"to":"executing"',
      '"to":"completed"',
      'Hello, Ada!',
      '"to":"dead_letter"',
      '"status":"queued"',
    ],
  },
  {
    file: 'docs/workflows.md',
    blocks: 6,
    shows: [
      '"kind":"approval"',
      'is completed',
      'is compensated',
      '"reset_steps":2',
      '"removed_steps":["pack"]',
      'digraph workflow',
      '"step_count":6',
    ],
  },
  {
    file: 'docs/workflow-expressions.md',
    blocks: 1,
    shows: ['"subject":"1 of 3 failed"', '"first":{"n":1}', '"operands":[{"left":2,"right":1000}]'],
  },
  {
    file: 'docs/events.md',
    blocks: 1,
    shows: ['"event_key":"paid/7"', '"response_payload":{"amount":10}', '"status":"completed"'],
  },
  { file: 'docs/handlers.md', blocks: 1, shows: ['page 3', '"to":"completed"', '"sequence":3'] },
];

describe('the commands of the guides', () => {
  const home = mkdtempSync(path.join(tmpdir(), 'strait-readme-'));
  const env: NodeJS.ProcessEnv = { ...process.env, STRAIT_HOME: home, PORT: '0', STRAIT_DEMO: '0' };
  delete env['DATABASE_URL'];
  let server: ChildProcess;

  before(async () => {
    server = spawn(process.execPath, ['apps/server/src/app/main.ts'], {
      cwd: root,
      env,
      stdio: 'ignore',
    });
    await until('the server to be ready', () => existsSync(path.join(home, 'dev.json')), {
      deadline_ms: 30_000,
    });
  });
  after(async () => {
    server.kill('SIGTERM');
    await new Promise((resolve) => server.once('exit', resolve));
    rmSync(home, { recursive: true, force: true });
  });

  for (const { file, blocks, shows } of guides) {
    test(`of ${file} work`, async () => {
      // The reader's ports may be taken here.
      let text = readFileSync(path.join(root, file), 'utf8');
      for (const port of ['3210', '3211']) text = text.replaceAll(port, String(await freePort()));
      const found = [...text.matchAll(/<!-- tested -->\n```bash\n([\s\S]*?)```/g)].map(
        (match) => match[1] ?? '',
      );
      assert.ok(found.length >= blocks);
      const PATH = `${path.join(root, 'node_modules/.bin')}${path.delimiter}${process.env['PATH'] ?? ''}`;
      const script = `trap 'kill $HANDLER $REPORTER 2> /dev/null || true' EXIT\n${found.join('\necho\n')}`;
      const done = spawnSync('bash', ['-eo', 'pipefail', '-c', script], {
        cwd: root,
        env: { ...env, PATH },
        encoding: 'utf8',
        timeout: 60_000,
      });
      assert.equal(done.status, 0, done.stdout + done.stderr);
      for (const expected of shows)
        assert.ok(done.stdout.includes(expected), `${expected} is missing in\n${done.stdout}`);
    });
  }
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}
