// What everything with a life of its own looks like to the process that runs it.

export interface Health {
  readonly status: 'up' | 'degraded' | 'down';
  /** For operators; may name hosts and errors. */
  readonly message?: string;
}

export interface Service {
  readonly name: string;
  /** Resolves when ready. Not called twice. */
  start(): Promise<void>;
  /**
   * Resolves when nothing of it runs any more. Once `deadline` is aborted it stops waiting for work and drops or hands
   * it back. Safe twice, and before `start`.
   */
  stop(deadline: AbortSignal): Promise<void>;
  health(): Health;
  /** How long `stop` may take before its deadline. Default 10 s. */
  readonly stop_timeout_ms?: number;
}

export const UP: Health = { status: 'up' };
