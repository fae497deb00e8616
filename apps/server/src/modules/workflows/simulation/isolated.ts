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

  return {
    /** @throws simulation_too_long, overloaded */
    run: <T extends Task>(task: T): Promise<Results[T['kind']]> =>
      inTurn(async () => {
        const answer = await answerOf(task);
        if ('too_long' in answer) throw new Failure<FailureCode>('simulation_too_long');
        return answer.result;
      }),
  };
}

function answerOf<T extends Task>(task: T): Promise<Answer<T>> {
  const thread = new Worker(new URL('./thread.ts', import.meta.url), {
    workerData: task,
    env: {},
    execArgv: ['--disable-warning=ExperimentalWarning'],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  return new Promise<Answer<T>>((resolve, reject) => {
    const tooLong = () => resolve({ too_long: true });
    const timer = setTimeout(tooLong, MAX_MS);
    thread.on('message', resolve);
    thread.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? tooLong() : reject(error),
    );
    thread.on('exit', () => {
      clearTimeout(timer);
      // Too late to matter when it has answered.
      reject(new Error('the thread ended without an answer'));
    });
  }).finally(() => thread.terminate());
}
