// Replays recorded arrivals and durations through limits, on a virtual clock. Pure. It decides as promotion does: of the
// runs whose key and job have room the best ranked starts, and a run that ends gives its room to the next.

export interface Arrival {
  /** ms; when the run could have started. */
  readonly ready_ms: number;
  readonly priority: number;
  readonly key: string | null;
  readonly duration_ms: number;
}

export interface SimulatedLimits {
  /** null: no limit. */
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
}

export interface Simulation {
  readonly runs: number;
  readonly max_backlog: number;
  readonly max_running: number;
  readonly wait_p50_secs: number;
  readonly wait_p95_secs: number;
  /** From the first arrival to the last end. */
  readonly drain_secs: number;
}

interface Waiting {
  readonly rank: number;
  readonly order: number;
  readonly arrival: Arrival;
}

/** `aging_ms`: what one point of priority is worth in waiting. */
export function simulate(
  arrivals: readonly Arrival[],
  limits: SimulatedLimits,
  aging_ms: number,
): Simulation {
  const { max_concurrency, max_concurrency_per_key } = limits;
  const incoming = arrivals.toSorted((a, b) => a.ready_ms - b.ready_ms);
  // Waiting runs by key, the best ranked last; runs without a key have no limit of a key.
  const waiting = new Map<string, Waiting[]>();
  const running = new Map<string, number>();
  const ends = createHeap<{ readonly at: number; readonly lane: string }>((a, b) => a.at - b.at);
  const waits: number[] = [];
  let in_flight = 0;
  let backlog = 0;
  let max_backlog = 0;
  let max_running = 0;
  let last_end = incoming[0]?.ready_ms ?? 0;
  let next = 0;

  const laneOf = ({ key }: Arrival): string =>
    key === null || max_concurrency_per_key === null ? '' : `k${key}`;
  const hasRoom = (lane: string): boolean =>
    lane === '' || (running.get(lane) ?? 0) < (max_concurrency_per_key ?? Infinity);

  const best = (): Waiting[] | undefined => {
    let found: Waiting[] | undefined;
    for (const [lane, queue] of waiting) {
      const head = queue.at(-1);
      const leader = found?.at(-1);
      if (head && hasRoom(lane) && (!leader || before(head, leader))) found = queue;
    }
    return found;
  };

  const startAll = (now: number): void => {
    while (in_flight < (max_concurrency ?? Infinity)) {
      const started = best()?.pop();
      if (!started) return;
      const lane = laneOf(started.arrival);
      backlog -= 1;
      in_flight += 1;
      max_running = Math.max(max_running, in_flight);
      running.set(lane, (running.get(lane) ?? 0) + 1);
      waits.push(now - started.arrival.ready_ms);
      ends.push({ at: now + started.arrival.duration_ms, lane });
    }
  };

  while (next < incoming.length || ends.size() > 0) {
    const arrives = incoming[next]?.ready_ms ?? Infinity;
    const now = Math.min(arrives, ends.peek()?.at ?? Infinity);
    while (ends.size() > 0 && (ends.peek()?.at ?? Infinity) <= now) {
      const { lane, at } = ends.pop() ?? { lane: '', at: now };
      in_flight -= 1;
      running.set(lane, (running.get(lane) ?? 1) - 1);
      last_end = Math.max(last_end, at);
    }
    for (; (incoming[next]?.ready_ms ?? Infinity) <= now; next++) {
      const arrival = incoming[next] as Arrival;
      const lane = laneOf(arrival);
      const queue = waiting.get(lane) ?? [];
      waiting.set(lane, queue);
      insert(queue, { arrival, order: next, rank: arrival.ready_ms - arrival.priority * aging_ms });
      backlog += 1;
    }
    startAll(now);
    max_backlog = Math.max(max_backlog, backlog);
  }
  waits.sort((a, b) => a - b);
  return {
    runs: incoming.length,
    max_backlog,
    max_running,
    wait_p50_secs: quantile(waits, 0.5) / 1000,
    wait_p95_secs: quantile(waits, 0.95) / 1000,
    drain_secs: (last_end - (incoming[0]?.ready_ms ?? last_end)) / 1000,
  };
}

const before = (a: Waiting, b: Waiting): boolean =>
  a.rank < b.rank || (a.rank === b.rank && a.order < b.order);

/** Keeps the best ranked last. */
function insert(queue: Waiting[], item: Waiting): void {
  let low = 0;
  let high = queue.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (before(item, queue[middle] as Waiting)) low = middle + 1;
    else high = middle;
  }
  queue.splice(low, 0, item);
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

function createHeap<T>(compare: (a: T, b: T) => number) {
  const items: T[] = [];
  const swap = (a: number, b: number): void => {
    [items[a], items[b]] = [items[b] as T, items[a] as T];
  };
  const at = (index: number): T => items[index] as T;
  return {
    size: () => items.length,
    peek: (): T | undefined => items[0],
    push(item: T): void {
      items.push(item);
      for (let index = items.length - 1; index > 0;) {
        const parent = (index - 1) >> 1;
        if (compare(at(index), at(parent)) >= 0) return;
        swap(index, parent);
        index = parent;
      }
    },
    pop(): T | undefined {
      const top = items[0];
      const last = items.pop();
      if (items.length === 0 || last === undefined) return top;
      items[0] = last;
      for (let index = 0; ;) {
        const left = 2 * index + 1;
        let least = index;
        if (left < items.length && compare(at(left), at(least)) < 0) least = left;
        if (left + 1 < items.length && compare(at(left + 1), at(least)) < 0) least = left + 1;
        if (least === index) return top;
        swap(index, least);
        index = least;
      }
    },
  };
}
