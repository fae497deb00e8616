// LISTEN on one dedicated connection that comes back by itself.
import pg from 'pg';

/** `payload` is '' after every (re)connect: something may have been missed, so look yourself. */
export type NotificationHandler = (payload: string) => void;

export interface Listener {
  /** Returns the function that unsubscribes. Before or after `start`. */
  on(channel: string, handler: NotificationHandler): () => void;
  /** Resolves when listening for the first time; keeps trying until then or until `stop`. */
  start(): Promise<void>;
  stop(): Promise<void>;
  health(): { connected: boolean; last_error?: string };
}

export interface ListenerOptions {
  readonly url: string;
  readonly application_name: string;
  /** Lost connections and throwing handlers. */
  readonly onError?: (error: Error) => void;
}

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
const CONNECT_TIMEOUT_MS = 5_000;
// A peer that vanished without a word is noticed by a statement that gets no answer.
const PROBE_EVERY_MS = 15_000;
const PROBE_TIMEOUT_MS = 5_000;

export function createListener(options: ListenerOptions): Listener {
  const handlers = new Map<string, Set<NotificationHandler>>();
  let state: 'new' | 'running' | 'stopped' = 'new';
  let client: pg.Client | undefined;
  let lastError: Error | undefined;
  let backoff = MIN_BACKOFF_MS;
  let timer: NodeJS.Timeout | undefined;
  let connecting: Promise<void> | undefined;
  let line: Promise<unknown> = Promise.resolve();
  const firstConnect = Promise.withResolvers<void>();
  // Nobody may be waiting for it when `stop` settles it.
  firstConnect.promise.catch(() => {});

  const report = (error: unknown) => {
    const reported = error instanceof Error ? error : new Error(String(error));
    options.onError?.(reported);
    return reported;
  };

  const call = (handler: NotificationHandler, payload: string) => {
    try {
      handler(payload);
    } catch (error) {
      report(error);
    }
  };

  const callAll = (channel: string, payload: string) => {
    for (const handler of handlers.get(channel) ?? []) call(handler, payload);
  };

  function schedule(delay: number, work: () => Promise<void>): void {
    clearTimeout(timer);
    if (state !== 'running') return;
    timer = setTimeout(() => void work(), delay);
  }

  const reconnectLater = () => {
    schedule(backoff * (0.75 + Math.random() / 2), connect);
    backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
  };

  function lost(which: pg.Client, error: Error): void {
    if (client !== which) return;
    client = undefined;
    lastError = report(error);
    which.end().catch(() => {});
    reconnectLater();
  }

  function connect(): Promise<void> {
    connecting = open().finally(() => (connecting = undefined));
    return connecting;
  }

  async function open(): Promise<void> {
    const fresh = new pg.Client({
      connectionString: options.url,
      application_name: options.application_name,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: PROBE_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    fresh.on('error', (error) => lost(fresh, error));
    fresh.on('end', () => lost(fresh, new Error('listening connection ended')));
    fresh.on('notification', ({ channel, payload }) => callAll(channel, payload ?? ''));
    try {
      await fresh.connect();
      for (const channel of handlers.keys()) await fresh.query(listen(channel));
      if (state !== 'running') return await fresh.end();
    } catch (error) {
      lastError = report(error);
      fresh.end().catch(() => {});
      reconnectLater();
      return;
    }
    client = fresh;
    line = Promise.resolve();
    backoff = MIN_BACKOFF_MS;
    lastError = undefined;
    schedule(PROBE_EVERY_MS, probe);
    firstConnect.resolve();
    for (const channel of handlers.keys()) callAll(channel, '');
  }

  async function probe(): Promise<void> {
    const probed = client;
    if (!probed) return;
    try {
      await inLine(probed, 'select 1');
      schedule(PROBE_EVERY_MS, probe);
    } catch (error) {
      lost(probed, error as Error);
    }
  }

  /** For handlers that come and go while connected. A failure here is a lost connection, seen elsewhere. */
  function tell(text: string, then?: () => void): void {
    const told = client;
    if (!told) return;
    inLine(told, text).then(
      () => then?.(),
      (error: Error) => lost(told, error),
    );
  }

  /** One statement at a time: pg 9 will not queue them for us. */
  function inLine(on: pg.Client, text: string): Promise<unknown> {
    const answer = line.then(() => on.query(text));
    line = answer.catch(() => {});
    return answer;
  }

  return {
    on(channel, handler) {
      const known = handlers.get(channel) ?? new Set();
      handlers.set(channel, known.add(handler));
      tell(listen(channel), () => known.has(handler) && call(handler, ''));
      return () => {
        known.delete(handler);
        if (known.size > 0 || handlers.get(channel) !== known) return;
        handlers.delete(channel);
        tell(`unlisten ${pg.escapeIdentifier(channel)}`);
      };
    },
    start() {
      if (state === 'new') {
        state = 'running';
        void connect();
      }
      return firstConnect.promise;
    },
    async stop() {
      state = 'stopped';
      clearTimeout(timer);
      firstConnect.reject(new Error('listener stopped'));
      await connecting;
      const last = client;
      client = undefined;
      await last?.end();
    },
    health: () => ({
      connected: client !== undefined,
      ...(lastError && { last_error: lastError.message }),
    }),
  };
}

const listen = (channel: string) => `listen ${pg.escapeIdentifier(channel)}`;
