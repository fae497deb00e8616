// Which fires a schedule owes at an instant. Pure: what fires after an instant is handed in.

export const CATCH_UP_MOST = 10;
/** A fire is on time for as long as its minute lasts, whatever the job says about missed ones. */
export const ON_TIME_MS = 60_000;

export type NextFire = (after_ms: number) => number | undefined;

export interface DueSchedule {
  readonly catchup: string;
  readonly overlap_policy: string;
  /** From here on nothing was decided yet. */
  readonly next_fire_at_ms: number;
}

export interface Decision {
  /** To be made now, oldest first. */
  readonly fires: readonly number[];
  /** Nothing is made although this fire was due: it is too late for it. */
  readonly missed: number | undefined;
  /** The first fire that is still to come; undefined when there is none. */
  readonly next: number | undefined;
}

/**
 * `none`: only what is on time. `latest`: the newest, if it is at most `grace_ms` late. `all`: at most the 10 newest,
 * however late; the newest alone where runs must not overlap.
 */
export function decide(
  schedule: DueSchedule,
  now_ms: number,
  grace_ms: number,
  nextFire: NextFire,
): Decision {
  const { catchup, overlap_policy, next_fire_at_ms } = schedule;
  const most = catchup === 'all' && overlap_policy === 'allow' ? CATCH_UP_MOST : 1;
  const reach =
    catchup === 'all'
      ? Number.POSITIVE_INFINITY
      : Math.max(ON_TIME_MS, catchup === 'latest' ? grace_ms : 0);
  const fires = newest(nextFire, Math.max(next_fire_at_ms, now_ms - reach), now_ms, most);
  const missed =
    fires.length === 0 && nextFire(next_fire_at_ms - 1) === next_fire_at_ms
      ? next_fire_at_ms
      : undefined;
  return { fires, missed, next: nextFire(now_ms) };
}

const FIRST_LOOK_MS = 3_600_000;
const WIDER = 24;

/** The newest fires in [from, to], at most so many: looks back further and further, so that a long outage costs little. */
function newest(nextFire: NextFire, from_ms: number, to_ms: number, most: number): number[] {
  for (let look_ms = FIRST_LOOK_MS; ; look_ms *= WIDER) {
    const start = Math.max(from_ms, to_ms - look_ms);
    const found: number[] = [];
    let next = nextFire(start - 1);
    while (next !== undefined && next <= to_ms) {
      found.push(next);
      if (found.length > most) found.shift();
      next = nextFire(next);
    }
    if (found.length === most || start === from_ms) return found;
  }
}
