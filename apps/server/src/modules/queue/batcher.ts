// Group commit for callers that each bring one item: what arrives while a flush runs goes out together with
// the next one. Alone, an item is flushed at once; under load, one commit serves hundreds (queue-performance §5).

export interface BatcherOptions<Item, Answer> {
  /**
   * Writes all items and answers each, in the order given. An answer that is an Error rejects the caller of that item; a
   * rejection reaches every caller of the batch.
   */
  readonly flush: (items: readonly Item[]) => Promise<readonly (Answer | Error)[]>;
  /** Rows per flush at most. */
  readonly max: number;
  /** Together the items of a flush weigh at most this, unless one alone weighs more. */
  readonly max_weight?: number;
  readonly weightOf?: (item: Item) => number;
  /** Flushes in flight at most. */
  readonly parallel: number;
  /** Wait this long after a flush ended before the next one starts, unless `early` items wait. */
  readonly pause_ms?: number;
  readonly early?: number;
  /** Items with the same key never share a flush; the later one waits for the next. */
  readonly keyOf?: (item: Item) => string | undefined;
}

export interface Batcher<Item, Answer> {
  add(item: Item): Promise<Answer>;
  /** Resolves when everything added so far has been answered. */
  drain(): Promise<void>;
  size(): number;
}

interface Entry<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export function createBatcher<Item, Answer>(
  options: BatcherOptions<Item, Answer>,
): Batcher<Item, Answer> {
  const { flush, max, parallel, pause_ms = 0, early = 1, keyOf, weightOf } = options;
  const max_weight = options.max_weight ?? Number.POSITIVE_INFINITY;
  let waiting: Entry<Item, Answer>[] = [];
  let running = 0;
  let scheduled = false;
  let timer: NodeJS.Timeout | undefined;
  let lastEnd = 0;
  let idle: (() => void)[] = [];

  const start = (): void => {
    scheduled = false;
    while (waiting.length > 0 && running < parallel) {
      const rest = pause_ms - (performance.now() - lastEnd);
      if (rest > 0 && waiting.length < early) {
        timer ??= setTimeout(() => {
          timer = undefined;
          start();
        }, rest);
        return;
      }
      void run(take());
    }
  };

  const take = (): Entry<Item, Answer>[] => {
    if (!keyOf) return waiting.splice(0, weightOf ? fitting(weightOf) : max);
    const keys = new Set<string>();
    const batch: Entry<Item, Answer>[] = [];
    const later: Entry<Item, Answer>[] = [];
    for (const entry of waiting) {
      const key = keyOf(entry.item);
      if (batch.length >= max || (key !== undefined && keys.has(key))) later.push(entry);
      else {
        if (key !== undefined) keys.add(key);
        batch.push(entry);
      }
    }
    waiting = later;
    return batch;
  };

  /** How many of those that wait longest may share a flush. */
  const fitting = (weigh: (item: Item) => number): number => {
    let weight = 0;
    const most = Math.min(max, waiting.length);
    for (let count = 0; count < most; count += 1) {
      weight += weigh((waiting[count] as Entry<Item, Answer>).item);
      if (weight > max_weight && count > 0) return count;
    }
    return most;
  };

  const run = async (batch: Entry<Item, Answer>[]): Promise<void> => {
    running += 1;
    try {
      const answers = await flush(batch.map((entry) => entry.item));
      batch.forEach((entry, index) => {
        const answer = answers[index];
        if (answer instanceof Error) entry.reject(answer);
        else entry.resolve(answer as Answer);
      });
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    } finally {
      running -= 1;
      lastEnd = performance.now();
      if (waiting.length > 0) start();
      else if (running === 0) {
        for (const wake of idle) wake();
        idle = [];
      }
    }
  };

  return {
    add: (item) =>
      new Promise<Answer>((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        if (scheduled || running >= parallel) return;
        scheduled = true;
        // Everything that arrives in this turn of the event loop shares the flush.
        setImmediate(start);
      }),
    drain: () =>
      running === 0 && waiting.length === 0
        ? Promise.resolve()
        : new Promise((resolve) => idle.push(resolve)),
    size: () => waiting.length + running,
  };
}
