// The always-on checker: ten questions about the queue that must all be answered with "nothing".

import type { Database, Tx } from '../../../platform/db/database.ts';
import * as store from './store.sql.ts';

export interface Violation {
  /** Which of the ten checks, e.g. `lost`. */
  readonly check: string;
  /** The run or lane it is about. */
  readonly subject: string;
}

type Check = (
  tx: Tx,
  params: { limit: number },
) => Promise<readonly (Readonly<{ run_id: string }> | Readonly<{ lane_id: number }>)[]>;

const CHECKS: Readonly<Record<string, Check>> = {
  lost: store.checkLost,
  two_places: store.checkTwoPlaces,
  wrong_place: store.checkWrongPlace,
  slots: store.checkSlots,
  over_cap: store.checkOverCap,
  orphans: store.checkOrphans,
  late_mark: store.checkLateMark,
  silent: store.checkSilent,
  overdue: store.checkOverdue,
  idle_room: store.checkIdleRoom,
};

export const CHECK_NAMES = Object.keys(CHECKS);

/** Checks that describe a moment, not a fact: one sighting may be healthy, two in a row 3 s apart are not. */
const PATIENT: ReadonlySet<string> = new Set(['idle_room', 'late_mark', 'overdue', 'silent']);

const REPORTED = 20;

export const isPatient = (check: string): boolean => PATIENT.has(check);

/** Runs every check, each in one snapshot of its own. */
export async function checkQueue(
  db: Database,
  names: readonly string[] = CHECK_NAMES,
): Promise<Violation[]> {
  const found: Violation[] = [];
  for (const name of names) {
    const check = CHECKS[name];
    if (!check) continue;
    const rows = await db.transaction(async (tx) => {
      await store.forbidHistoryScans(tx);
      return check(tx, { limit: REPORTED });
    });
    for (const row of rows)
      found.push({ check: name, subject: 'run_id' in row ? row.run_id : String(row.lane_id) });
  }
  return found;
}

/** As `checkQueue`, but what may be a passing moment counts only when it is still there after `pause`. */
export async function checkQueueTwice(
  db: Database,
  pause: () => Promise<unknown>,
): Promise<Violation[]> {
  const first = await checkQueue(db);
  if (!first.some(({ check }) => isPatient(check))) return first;
  await pause();
  const again = new Set((await checkQueue(db)).map(key));
  return first.filter((violation) => !isPatient(violation.check) || again.has(key(violation)));
}

const key = ({ check, subject }: Violation): string => `${check} ${subject}`;
