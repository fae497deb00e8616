// When canaries are looked at.
import { loop, type Loop, type LoopDeps } from '../../../platform/services/loop.ts';
import type { Canaries } from './service.ts';

export const canaryLoops = ({
  canaries,
  ...shared
}: LoopDeps & { readonly canaries: Canaries }): Loop[] => [
  loop({ ...shared, name: 'promote canaries', every_ms: 5_000, run: canaries.promote }),
];
