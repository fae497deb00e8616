import { bind } from '../../access/index.ts';
import { streamChunks, streamRun } from './contract.ts';
import type { RunLive } from './run-live.ts';

export const liveRoutes = (live: RunLive) => [
  bind(streamRun, ({ project }, { params, headers }) =>
    live.stream(project, params.runID, headers['last-event-id']),
  ),
  bind(streamChunks, ({ project }, { params }) => live.chunks(project, params.runID)),
];
