// A run's id is a UUIDv7 whose time is the run's created_at: it names the partition.

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Ids from here on carry a time after the year 9999, which RFC 3339 cannot write. */
const AFTER_ALL_TIMES = 'e677d21f-dc00';

/** False for anything that cannot be the id of a run; such ids must never reach a statement. */
export const isRunId = (text: string): boolean => UUID_V7.test(text) && text < AFTER_ALL_TIMES;

/** created_at of the run with this id, RFC 3339 with milliseconds. */
export const runTime = (id: string): string =>
  new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toISOString();

/** The created_at range that holds all of these runs; an empty range for none. */
export function runTimes(ids: readonly string[]): { created_from: string; created_to: string } {
  let [first, last] = [ids[0], ids[0]];
  for (const id of ids) {
    if (first !== undefined && id < first) first = id;
    if (last !== undefined && id > last) last = id;
  }
  return first === undefined || last === undefined
    ? { created_from: 'infinity', created_to: '-infinity' }
    : { created_from: runTime(first), created_to: runTime(last) };
}
