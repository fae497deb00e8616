// What definitions need done without anybody asking.
import { loop, type Loop, type LoopDeps } from '../../../platform/services/loop.ts';
import type { Definitions } from './service.ts';

export interface DefinitionLoopDeps extends LoopDeps {
  readonly definitions: Pick<Definitions, 'finishDeletions'>;
}

export const definitionLoops = ({ definitions, ...shared }: DefinitionLoopDeps): Loop[] => [
  loop({
    ...shared,
    name: 'finish deletions of workflows',
    every_ms: 60_000,
    run: definitions.finishDeletions,
  }),
];
