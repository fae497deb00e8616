// Child processes of the bench: one per product and round, and the HTTP target.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Figures } from './measure.ts';
import type { Sizes } from './options.ts';
import type { Place, ProductName } from './product.ts';

export interface Assignment {
  readonly product: ProductName;
  /** Absent: only create the schema. */
  readonly suite?: string;
  readonly place: Place;
  readonly postmaster: number;
  readonly sizes: Sizes;
}

export type Answer =
  | { readonly cases: Readonly<Record<string, Figures>>; readonly error?: undefined }
  | { readonly error: string };

const start = (file: string): ChildProcess =>
  fork(new URL(file, import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });

/** Runs one assignment in a process of its own. Never rejects: a crash or timeout is an answer. */
export async function runRound(assignment: Assignment, timeoutMs: number): Promise<Answer> {
  const child = start('./round.ts');
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  try {
    child.send(assignment);
    const ended = once(child, 'exit');
    const answer = await Promise.race([
      once(child, 'message').then(([message]) => message as Answer),
      ended.then(([code, signal]): Answer => ({
        error: `ended without an answer (${signal ?? code})`,
      })),
    ]);
    await ended;
    return answer;
  } finally {
    clearTimeout(timer);
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}

export interface HttpTarget {
  readonly url: string;
  stop(): void;
}

export async function startHttpTarget(): Promise<HttpTarget> {
  const child = start('./http-target.ts');
  const [message] = (await once(child, 'message')) as [{ port: number }];
  return { url: `http://127.0.0.1:${message.port}/`, stop: () => child.kill() };
}
