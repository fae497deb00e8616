// Which of many intervals overlap, without comparing each with each. Pure.

/** From `start` on, and not at `end` any more. */
export interface Interval {
  readonly start: number;
  readonly end: number;
}

export interface Overlap {
  /** Places of the first others it overlaps with, by their start. */
  readonly first: readonly number[];
  /** How many there are. */
  readonly count: number;
}

/**
 * In the order of `intervals`. The work grows with n log n and with `most`, not with n²; `onLook` is told of every look at
 * another interval.
 */
export function overlapsOf(
  intervals: readonly Interval[],
  most: number,
  onLook: () => void = () => {},
): Overlap[] {
  const at = (index: number): Interval => intervals[index] ?? { start: 0, end: 0 };
  const isEmpty = (index: number): boolean => at(index).end <= at(index).start;
  // Among those that begin together the empty ones first: they overlap with none of them.
  const byStart = [...intervals.keys()].sort(
    (a, b) => at(a).start - at(b).start || Number(isEmpty(b)) - Number(isEmpty(a)) || a - b,
  );
  const byEnd = [...intervals.keys()].sort((a, b) => at(a).end - at(b).end);
  const starts = byStart.map((index) => at(index).start);
  const found: Overlap[] = intervals.map(() => ({ first: [], count: 0 }));
  const open = new Set<number>();
  let ended = 0;
  for (const [place, index] of byStart.entries()) {
    const { start, end } = at(index);
    for (; ended < byEnd.length; ended += 1) {
      const other = byEnd[ended] ?? 0;
      if (at(other).end > start) break;
      open.delete(other);
    }
    // Those under way when it begins, then those that begin before it ends: they stand side by side.
    const later = countBelow(starts, end) - place - 1;
    const first: number[] = [];
    for (const other of open) {
      if (first.length >= most) break;
      onLook();
      first.push(other);
    }
    for (let next = place + 1; next <= place + later && first.length < most; next += 1) {
      onLook();
      first.push(byStart[next] ?? 0);
    }
    found[index] = { first, count: open.size + Math.max(0, later) };
    if (!isEmpty(index)) open.add(index);
  }
  return found;
}

/** How many of the sorted numbers are less than `limit`. */
function countBelow(sorted: readonly number[], limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
