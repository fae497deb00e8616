// What endpoints need done without anybody asking.
import { loop, type Loop, type LoopDeps } from '../../../platform/services/loop.ts';
import type { Endpoints } from './endpoints.ts';

export const endpointLoops = ({
  endpoints,
  ...shared
}: LoopDeps & { readonly endpoints: Pick<Endpoints, 'relax' | 'forget'> }): Loop[] => [
  loop({ ...shared, name: 'relax endpoints', every_ms: 30_000, run: endpoints.relax }),
  loop({ ...shared, name: 'forget endpoints', every_ms: 3_600_000, run: endpoints.forget }),
];
