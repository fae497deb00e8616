// Starts services in order and stops them in reverse, each with its own deadline.
import { UP, type Health, type Service } from './service.ts';

export interface SupervisorOptions {
  /** In starting order: what others need comes first. */
  readonly services: readonly Service[];
  /** Told about each step and each failure; for the log. */
  readonly on_event?: (event: SupervisorEvent) => void;
  /** How long a service that ignores its deadline is waited for before it is left behind. Default 2 s. */
  readonly abandon_after_ms?: number;
}

export interface SupervisorEvent {
  readonly service: string;
  readonly step: 'started' | 'stopped' | 'start_failed' | 'stop_failed' | 'abandoned';
  readonly took_ms: number;
  readonly error?: unknown;
}

export interface Supervisor {
  /** Rejects with the failure of the first service that does not start, after stopping those that did. */
  start(): Promise<void>;
  /**
   * Stops everything, during `start` too. The same promise however often it is called; rejects with an AggregateError
   * when services failed to stop or were left behind, after all had their turn.
   */
  stop(): Promise<void>;
  /** Ends all waiting: every deadline, also of the services whose turn has not come. For the second signal. */
  hurry(): void;
  /** By service name. What is not started, or is stopping, is down. */
  health(): ReadonlyMap<string, Health>;
}

const DEFAULT_STOP_TIMEOUT_MS = 10_000;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { services, on_event = () => {}, abandon_after_ms = 2_000 } = options;
  const running: Service[] = [];
  const haste = new AbortController();
  let starting: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;

  async function startAll(): Promise<void> {
    for (const service of services) {
      if (stopping) return;
      const began = performance.now();
      // Listed before it has started: a half-started service is stopped as well.
      running.push(service);
      try {
        await service.start();
      } catch (error) {
        on_event({
          service: service.name,
          step: 'start_failed',
          took_ms: performance.now() - began,
          error,
        });
        throw error;
      }
      on_event({ service: service.name, step: 'started', took_ms: performance.now() - began });
    }
  }

  async function stopRunning(): Promise<void> {
    const failures: unknown[] = [];
    for (let service = running.pop(); service; service = running.pop()) {
      const began = performance.now();
      const report = (step: SupervisorEvent['step'], error?: unknown) =>
        on_event({
          service: String(service?.name),
          step,
          took_ms: performance.now() - began,
          error,
        });
      try {
        const done = await stopOne(service);
        report(done ? 'stopped' : 'abandoned');
        if (!done) failures.push(new Error(`${service.name} did not stop`));
      } catch (error) {
        report('stop_failed', error);
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'not everything stopped cleanly');
  }

  /** False when it was left behind. */
  async function stopOne(service: Service): Promise<boolean> {
    const deadline = new AbortController();
    const timers: NodeJS.Timeout[] = [];
    const { promise: abandoned, resolve: abandon } = Promise.withResolvers<false>();
    const expire = () => {
      deadline.abort(new Error(`${service.name} has to stop now`));
      timers.push(setTimeout(abandon, abandon_after_ms, false));
    };
    if (haste.signal.aborted) expire();
    else {
      haste.signal.addEventListener('abort', expire, { once: true });
      timers.push(setTimeout(expire, service.stop_timeout_ms ?? DEFAULT_STOP_TIMEOUT_MS));
    }
    try {
      return await Promise.race([service.stop(deadline.signal).then(() => true), abandoned]);
    } finally {
      haste.signal.removeEventListener('abort', expire);
      for (const timer of timers) clearTimeout(timer);
    }
  }

  return {
    start() {
      starting ??= startAll().catch(async (error: unknown) => {
        // The first failure is the one worth reporting; those of stopping have been told to `on_event`.
        await stopRunning().catch(() => {});
        throw error;
      });
      return starting;
    },
    stop() {
      stopping ??= Promise.resolve(starting)
        .catch(() => {})
        .then(stopRunning);
      return stopping;
    },
    hurry: () => haste.abort(),
    health: () => new Map(services.map((service) => [service.name, healthOf(service)])),
  };

  function healthOf(service: Service): Health {
    if (stopping) return { status: 'down', message: 'stopping' };
    return running.includes(service)
      ? service.health()
      : { status: 'down', message: 'not started' };
  }
}

/** The first that is down, else the first that is degraded. */
export function worstOf(services: readonly Service[]): Health {
  const states = services.map((service) => ({ service, health: service.health() }));
  const found =
    states.find(({ health }) => health.status === 'down') ??
    states.find(({ health }) => health.status === 'degraded');
  if (!found) return UP;
  const { service, health } = found;
  return { status: health.status, message: `${service.name}: ${health.message ?? health.status}` };
}

/** A service made of functions, for what has no state of its own (a pool that only has to be closed). */
export function serviceOf(
  name: string,
  parts: {
    readonly start?: () => Promise<void>;
    readonly stop?: (deadline: AbortSignal) => Promise<void>;
    readonly health?: () => Health;
    readonly stop_timeout_ms?: number;
  },
): Service {
  let started = false;
  return {
    name,
    ...(parts.stop_timeout_ms !== undefined && { stop_timeout_ms: parts.stop_timeout_ms }),
    async start() {
      started = true;
      await parts.start?.();
    },
    async stop(deadline) {
      if (!started) return;
      started = false;
      await parts.stop?.(deadline);
    },
    health: parts.health ?? (() => UP),
  };
}
