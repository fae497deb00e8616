// The order in which a job whose keys share hands out its slots: strait_turn and strait_level of the migration, number for
// number. Pure.

/** What a lane of such a job holds, is due, and where it is in the order of turns. */
export interface KeyTurn {
  readonly key_min: number;
  readonly key_weight: number;
  readonly key_slots: number;
  readonly turn: number;
}

/** Smaller first: guaranteed slots, whole slots of the share, what is left over. */
export type Turn = readonly [0 | 1 | 2, number];

export function turnOf(key: KeyTurn, k: number, level: number): Turn {
  const nth = key.key_slots + k;
  if (nth <= key.key_min) return [0, nth / key.key_weight];
  if (nth <= level * key.key_weight + 1e-6) return [1, nth / key.key_weight];
  return [2, key.turn + (k - 1) / key.key_weight];
}

/** Slots per weight at which the larger of minimum and share of all keys adds up to `slots`. */
export function levelOf(slots: number, keys: readonly KeyTurn[]): number {
  let [guaranteed, others] = [0, keys.reduce((sum, { key_weight }) => sum + key_weight, 0)];
  let least = Number.POSITIVE_INFINITY;
  for (const key of keys.toSorted((a, b) => b.key_min / b.key_weight - a.key_min / a.key_weight)) {
    least = Math.min(least, (slots - guaranteed) / others);
    guaranteed += key.key_min;
    others -= key.key_weight;
  }
  return Math.max(least, 0);
}

export const byTurn = (a: Turn | null, b: Turn | null): number =>
  a === null || b === null ? 0 : a[0] - b[0] || a[1] - b[1];

/** After a statement that served lanes of one job: `served` has how many runs each got. */
export function nextTurns(
  keys: ReadonlyMap<number, KeyTurn>,
  open: ReadonlySet<number>,
  served: ReadonlyMap<number, number>,
): Map<number, KeyTurn> {
  const all = [...keys].map(([lane_id, key]) => ({ lane_id, key }));
  const others = Math.min(
    ...all.filter(({ lane_id }) => open.has(lane_id)).map(({ key }) => key.turn),
  );
  const charged = new Map(
    all
      .filter(({ lane_id }) => served.has(lane_id))
      .map(({ lane_id, key }) => {
        const grown = key.turn + (served.get(lane_id) ?? 0) / key.key_weight;
        return [lane_id, Math.max(key.turn, Math.min(grown, others + 10))];
      }),
  );
  const clock = open.size > charged.size ? others : Math.min(...charged.values());
  return new Map(
    all.map(({ lane_id, key }) => [
      lane_id,
      {
        ...key,
        key_slots: key.key_slots + (served.get(lane_id) ?? 0),
        turn: Math.max(charged.get(lane_id) ?? key.turn, clock),
      },
    ]),
  );
}
