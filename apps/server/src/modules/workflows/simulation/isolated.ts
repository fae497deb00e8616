// Runs what people hand in where it can hurt nobody: a thread of its own, with bounds on time and memory.
import { Worker } from 'node:worker_threads';
import type { FailureCode } from '../../../domain/failures.ts';
import { Failure } from '../../../platform/failure.ts';
import type { Answer, Results, Task } from './tasks.ts';

/** Far beyond what the budget of a simulation allows; for expressions and templates that are slow by themselves. */
const MAX_MS = 20_000;
const MAX_HEAP_MB = 256;
/** At a time; more wait in line. */
const THREADS = 2;
const MAX_WAITING = 20;
/** How long a thread waits for more to do. */
const IDLE_MS = 5_000;

export type Isolated = ReturnType<typeof createIsolated>;

export function createIsolated() {
  let running = 0;
  const waiting: (() => void)[] = [];

  async function inTurn<T>(run: () => Promise<T>): Promise<T> {
    if (running >= THREADS) {
      if (waiting.length >= MAX_WAITING) throw new Failure<FailureCode>('overloaded');
      // Whoever ends hands on its place.
      await new Promise<void>((go) => waiting.push(go));
    } else running += 1;
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  }

  const idle = new Map<Worker, NodeJS.Timeout>();
  const take = (): Worker => {
    for (const [thread, timer] of idle) {
      clearTimeout(timer);
      forget(thread);
      return thread;
    }
    return start();
  };
  const forget = (thread: Worker): void => {
    idle.delete(thread);
    leave(thread);
  };
  /** Starting one takes longer than most of what it does. It keeps no process alive. */
  const keep = (thread: Worker): void => {
    const timer = setTimeout(() => {
      forget(thread);
      void thread.terminate();
    }, IDLE_MS).unref();
    idle.set(thread, timer);
    thread.on('error', () => {}).once('exit', () => forget(thread));
    thread.unref();
  };

  async function answerOf<T extends Task>(task: T): Promise<Answer<T> | undefined> {
    const thread = take();
    let answer: Answer<T> | undefined;
    try {
      answer = await ask(thread, task);
      return answer;
    } finally {
      if (answer) keep(thread);
      else void thread.terminate();
    }
  }

  return {
    /** @throws simulation_too_long, overloaded */
    run: <T extends Task>(task: T): Promise<Results[T['kind']]> =>
      inTurn(async () => {
        const answer = await answerOf(task);
        if (!answer || 'too_long' in answer) throw new Failure<FailureCode>('simulation_too_long');
        return answer.result;
      }),
  };
}

/** Not all listeners: the thread has some of its own. */
function leave(thread: Worker): void {
  for (const event of ['message', 'error', 'exit']) thread.removeAllListeners(event);
}

function start(): Worker {
  return new Worker(new URL('./thread.ts', import.meta.url), {
    env: {},
    execArgv: ['--disable-warning=ExperimentalWarning'],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
}

/** Undefined: the thread had to be given up. */
function ask<T extends Task>(thread: Worker, task: T): Promise<Answer<T> | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer<T> | undefined>();
  const timer = setTimeout(() => resolve(undefined), MAX_MS);
  thread.once('message', resolve);
  thread.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? resolve(undefined) : reject(error),
  );
  thread.once('exit', () => reject(new Error('the thread ended without an answer')));
  thread.ref();
  thread.postMessage(task);
  return promise.finally(() => {
    clearTimeout(timer);
    leave(thread);
  });
}
