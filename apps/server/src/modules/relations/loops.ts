import type { Listener } from '../../platform/db/listen.ts';
import { loop, type Loop, type LoopDeps } from '../../platform/services/loop.ts';
import type { Endings } from '../queue/index.ts';
import type { Chaining } from './chaining.ts';

export interface RelationLoopDeps extends LoopDeps {
  readonly chaining: Chaining;
  readonly endings: Endings;
  readonly listener: Pick<Listener, 'on'>;
}

export const relationLoops = ({
  chaining,
  endings,
  listener,
  leader,
  ...shared
}: RelationLoopDeps): Loop[] => [
  loop({
    ...shared,
    name: 'follow ended runs',
    every_ms: 1_000,
    wake: (wake) => listener.on('run_ended', wake),
    run: async () => {
      const followed = await chaining.follow();
      const judged = await endings.judge();
      return { again: followed.again || judged.again };
    },
  }),
  loop({
    ...shared,
    leader,
    name: 'judge runs behind new dependencies',
    every_ms: 10_000,
    run: endings.markRecent,
  }),
];
