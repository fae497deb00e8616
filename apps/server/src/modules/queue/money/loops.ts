// When the books of budgets are looked at.

import { loop, type Loop, type LoopDeps } from '../../../platform/services/loop.ts';
import type { MoneyDrift } from './money.ts';
import type { MoneyUpkeep } from './upkeep.ts';

export interface MoneyLoopDeps extends LoopDeps {
  readonly upkeep: MoneyUpkeep;
  readonly onTold: (events: number) => void;
  /** Spending that was missing in the books; mended. */
  readonly onDrift: (drift: readonly MoneyDrift[]) => void;
}

const MINUTE_MS = 60_000;

export const moneyLoops = ({ upkeep, onTold, onDrift, ...shared }: MoneyLoopDeps): Loop[] => [
  loop({
    ...shared,
    name: 'settle budgets',
    every_ms: MINUTE_MS,
    run: async () => {
      await upkeep.settle();
      const told = await upkeep.tell();
      if (told > 0) onTold(told);
    },
  }),
  loop({
    ...shared,
    name: 'count spending again',
    every_ms: 10 * MINUTE_MS,
    run: async () => {
      const drift = await upkeep.mend();
      if (drift.length > 0) onDrift(drift);
    },
  }),
  loop({
    ...shared,
    name: 'remove old spending',
    every_ms: 60 * MINUTE_MS,
    run: upkeep.removeOld,
  }),
];
