// The process's idea of time. Anything compared with a column is decided by the database's clock instead.

export interface Clock {
  /** Milliseconds since 1970, as people mean it; may jump. */
  now(): number;
  /** Milliseconds from an arbitrary origin, never backwards: for durations and deadlines. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

export interface FakeClock extends Clock {
  advance(ms: number): void;
  /** Moves the wall clock only, as an administrator or NTP would. */
  setNow(ms: number): void;
}

/** For tests: stands still until it is moved. The database's offset is moved by whoever owns the database. */
export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let now = startMs;
  let monotonic = 0;
  return {
    now: () => now,
    monotonic: () => monotonic,
    advance(ms) {
      if (ms < 0) throw new RangeError('time does not go backwards');
      now += ms;
      monotonic += ms;
    },
    setNow(ms) {
      now = ms;
    },
  };
}
