// What a suite is, and the parts several of them share. A suite runs once per product and round,
// in a child process, on a database that was copied from the installed one a moment ago.
import type { Figures, Meter } from '../measure.ts';
import type { Place, Product, Session } from '../product.ts';
import type { Sizes } from '../options.ts';

export interface Suite {
  readonly name: string;
  /** Whether the peers take part, or Strait alone is looked into. */
  readonly compares: boolean;
  /** Once per round and product; false where one look is enough. */
  readonly repeats: boolean;
  /** Server settings the suite cannot do without; such a suite gets a server of its own. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Figures by case, for instance by number of callers. */
  run(context: Context): Promise<Record<string, Figures>>;
}

export interface Context {
  readonly product: Product;
  readonly place: Place;
  readonly meter: Meter;
  readonly sizes: Sizes;
}

/** How many HTTP requests a worker may have open. */
export const CONNECTIONS = 64;

/** Small enough to be over at once, large enough for connections, plans and compiled code. */
const WARM_UP_JOBS = 500;

export const BULK = 1000;

/** Enqueues `count` jobs in calls of at most 1000. */
export async function enqueueAll(session: Session, count: number): Promise<void> {
  for (let from = 0; from < count; from += BULK) {
    await session.enqueueBulk(from, Math.min(BULK, count - from));
  }
}

/** Resolves when the database says that everything is finished. */
export async function untilFinished(session: Session): Promise<void> {
  while (await session.hasUnfinished()) await pause(10);
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Drains `count` no-op jobs: from the worker being ready to the last completion being durable. */
export async function drainNoop(
  { meter }: Context,
  session: Session,
  count: number,
  concurrency?: number,
): Promise<Figures> {
  const seen = new Uint8Array(count);
  let started = 0;
  let firstAt = 0;
  const { promise: allStarted, resolve } = Promise.withResolvers<void>();
  const onStart = (n: number) => {
    if (started === 0) firstAt = performance.now();
    started += 1;
    seen[n] = (seen[n] ?? 0) + 1;
    if (started === count) resolve();
  };

  const watch = await meter.start();
  const worker = await session.work({ kind: 'noop', onStart, concurrency });
  const readyAt = performance.now();
  await allStarted;
  await untilFinished(session);
  const figures = await watch.stop(count, firstAt === 0 ? readyAt : Math.min(readyAt, firstAt));
  await worker.stop();

  const once = seen.reduce((sum, times) => sum + (times === 1 ? 1 : 0), 0);
  if (once !== count) throw new Error(`${count - once} of ${count} jobs did not run exactly once`);
  return figures;
}

/** The same with every job one POST; the target's own count says when all have been answered. */
export async function drainHttp(
  { meter, place }: Context,
  session: Session,
  count: number,
): Promise<Figures> {
  const before = await targetCount(place.target_url);
  const watch = await meter.start();
  const worker = await session.work({
    kind: 'http',
    url: place.target_url,
    connections: CONNECTIONS,
  });
  const readyAt = performance.now();
  while ((await targetCount(place.target_url)) < before + count) await pause(20);
  await untilFinished(session);
  const figures = await watch.stop(count, readyAt);
  await worker.stop();

  const answered = (await targetCount(place.target_url)) - before;
  if (answered !== count) throw new Error(`${answered} requests for ${count} jobs`);
  return figures;
}

async function targetCount(url: string): Promise<number> {
  return Number(await (await fetch(new URL('/count', url))).text());
}

/**
 * Lets connections open, plans settle and code compile with the same work as the measurement, then
 * gives every product statistics of its tables. The worker is stopped again.
 */
export async function warmUp(
  context: Context,
  session: Session,
  kind: 'noop' | 'http',
): Promise<void> {
  await enqueueAll(session, WARM_UP_JOBS);
  if (kind === 'noop') await drainNoop(context, session, WARM_UP_JOBS);
  else await drainHttp(context, session, WARM_UP_JOBS);
}
