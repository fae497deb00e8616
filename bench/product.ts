// What a queue must be able to do to be measured. One adapter per product, in products/<name>.ts,
// exporting `product`. Every call runs in a child process that serves this one product and round.

export const PRODUCT_NAMES = ['strait', 'graphile-worker', 'pg-boss'] as const;
export type ProductName = (typeof PRODUCT_NAMES)[number];

export interface Product {
  readonly name: ProductName;
  /** Creates the product's schema, and whatever must exist before the first job, in an empty database. */
  install(place: Place): Promise<void>;
  /** Connects to an installed database. `purpose` lets an adapter choose its best settings for the suite. */
  open(place: Place, purpose: Purpose): Promise<Session>;
}

export interface Place {
  /** A database of the product's own; a copy of the one `install` saw. */
  readonly database_url: string;
  /** Where HTTP jobs are POSTed: loopback, answers 200 `{}`. `/wait/<ms>` answers after that long. */
  readonly target_url: string;
}

export type Purpose = 'enqueue' | 'drain-noop' | 'drain-http' | 'latency';

/** The payload of every job, about 26 bytes. */
export interface Payload {
  readonly n: number;
  readonly kind: 'bench';
}

export const payloadOf = (n: number): Payload => ({ n, kind: 'bench' });

export interface Session {
  /** Enqueues one job; resolves after its commit is durable. Called by up to 256 callers at once. */
  enqueue(n: number): Promise<void>;
  /** Enqueues `count` jobs, numbered from `from`, with one call of the product's bulk function. */
  enqueueBulk(from: number, count: number): Promise<void>;
  /** Starts working on everything enqueued; resolves when the first claim is about to be sent. */
  work(task: Task): Promise<Worker>;
  /** Whether any job has not durably reached its final state. Cheap: asked every 10 ms at the end. */
  hasUnfinished(): Promise<boolean>;
  close(): Promise<void>;
  /** Only Strait: what the suites that look inside one queue need. */
  readonly probe?: QueueProbe;
}

export type Task =
  /** `onStart` is the whole handler: no I/O. It gets the payload's `n`. `concurrency` narrows the worker, where asked. */
  | {
      readonly kind: 'noop';
      readonly onStart: (n: number) => void;
      readonly concurrency?: number | undefined;
    }
  /** Each job is one POST to the target, at most `connections` at a time. */
  | { readonly kind: 'http'; readonly url: string; readonly connections: number };

export interface Worker {
  /** Resolves when nothing of it runs any more. Only called with all jobs finished. */
  stop(): Promise<void>;
}

export interface Backlog {
  readonly ready: number;
  readonly finished: number;
  readonly delayed: number;
  /** Held back by a concurrency limit that is used up, and better ranked than every ready run. */
  readonly blocked: number;
}

/** Which limits the job of the bench has; null is none. Keys: how many different ones its runs have. */
export interface LimitSettings {
  readonly job: number | null;
  readonly per_key: number | null;
  readonly keys: number;
  readonly project: number | null;
}

export interface QueueProbe {
  /** Sets the limits of the job and the project, and the keys of what is enqueued from here on. */
  limit(settings: LimitSettings): Promise<void>;
  /** What is enqueued from here on belongs to as many projects, in turn; 1 is the project of the bench. */
  spread(projects: number): Promise<void>;
  /** Adds these runs, in states the product's own statements could have left behind. */
  fill(backlog: Backlog): Promise<void>;
  /** Claims up to `batch` runs with the product's own claim statement; resolves with how many it got. */
  claim(batch: number): Promise<number>;
  /**
   * For every executing run: ms between the start its lease names and the commit that made
   * `job_runs.status` say so. Needs `track_commit_timestamp = on`.
   */
  markLags(): Promise<ReadonlyMap<string, number>>;
}
