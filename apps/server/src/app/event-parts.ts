// The parts of the events module: what the API asks, and what goes on where the work is done.

import type { Database } from '../platform/db/database.ts';
import type { Logger } from '../platform/telemetry/log.ts';
import {
  createEmits,
  createEvents,
  createEventUpkeep,
  createNotifications,
  eventLoops,
  type EventsDependencies,
} from '../modules/events/index.ts';
import type { Service } from '../platform/services/service.ts';
import type { EngineLoopDeps } from './engine.ts';

export interface EventPartsDeps extends EventsDependencies {
  readonly hot: Database;
  readonly retention_secs: number;
  readonly log: Logger;
}

export function createEventParts({ retention_secs, log, ...deps }: EventPartsDeps) {
  const { hot, listener } = deps;
  const shared = { ...deps, db: hot };
  const upkeep = createEventUpkeep({ ...shared, settings: { retention_secs } });
  const emits = createEmits({
    ...shared,
    onDropped: (emit) => log.info(emit, 'nobody waited for the event of a step'),
    onError: (error, what) => log.warn({ err: error }, what),
  });
  return {
    service: createEvents(deps),
    upkeep,
    emits,
    loops: ({ outbound, ...loopDeps }: EngineLoopDeps): readonly Service[] =>
      eventLoops({
        ...loopDeps,
        upkeep,
        emits,
        notifications: createNotifications({
          db: hot,
          outbound,
          onFailed: (of) => log.warn(of, 'a notify URL was not told of a wait'),
        }),
        listener,
      }),
  };
}
