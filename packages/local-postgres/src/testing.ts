// What the tests of this package share: folders that go away, and owners in processes of their own.
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { can, type Account } from './account.ts';
import { isRunning } from './processes.ts';

export const isRoot = process.getuid?.() === 0;
export const NOBODY: Account = { uid: 65_534, gid: 65_534 };
const FIXTURE = join(import.meta.dirname, 'owner.fixture.ts');

/** Whether a test can act as an ordinary user too: it is root, and others may enter the checkout. */
export const canBecomeOrdinary =
  isRoot &&
  can(NOBODY, [
    { path: process.execPath, mode: 'x' },
    { path: FIXTURE, mode: 'r' },
  ]);

const cleanups = new WeakMap<TestContext, (() => unknown)[]>();

/** Runs after the test, last one first (`t.after` would remove folders before their servers stop). */
export function defer(t: TestContext, cleanup: () => unknown): void {
  const known = cleanups.get(t);
  if (known) return void known.push(cleanup);
  const stack = [cleanup];
  cleanups.set(t, stack);
  t.after(async () => {
    for (const next of stack.toReversed()) await next();
  });
}

/** An empty folder anybody may enter, removed after the test. */
export function temporaryFolder(t: TestContext, owner?: Account): string {
  const folder = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'strait-test-')));
  fs.chmodSync(folder, 0o755);
  if (owner) fs.chownSync(folder, owner.uid, owner.gid);
  defer(t, () => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface OwnerRequest {
  readonly home: string;
  readonly native?: { readonly root: string; readonly version: string };
  readonly lockOnly?: boolean;
}

export interface OwnerReply {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface Owner {
  readonly child: ChildProcess;
  readonly reply: Promise<OwnerReply>;
  /** Kills the process (not its server) and waits until it is gone. */
  kill(): Promise<void>;
  /** Lets it stop its server and end. */
  stop(): Promise<void>;
}

/** Another process that starts the home's server and keeps it. */
export function spawnOwner(t: TestContext, request: OwnerRequest, account?: Account): Owner {
  const child = spawn(process.execPath, [FIXTURE, JSON.stringify(request)], {
    ...account,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', TMPDIR: tmpdir() },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const reply = new Promise<OwnerReply>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line)));
    child.once('exit', () => reject(new Error('the owner ended without a reply')));
  });
  reply.catch(() => {});
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await gone;
  };
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  defer(t, stop);
  return { child, reply, kill, stop };
}

export async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, ssl: false });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Waits for a condition, at most 15 s; says what it waited for. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`still waiting until ${what}`);
    await sleep(10);
  }
}

export function untilGone(pid: number): Promise<void> {
  return until(`process ${pid} is gone`, () => !isRunning(pid));
}
