// Chunks pass through NOTIFY and are kept nowhere: who listens gets them, who comes later does not.

import type { Listener } from '../../../platform/db/listen.ts';
import type { StreamChunkEvent } from './contract.ts';

export type ChunkHandler = (chunk: StreamChunkEvent) => void;

/** Subscribes to the chunks of one run; returns the function that unsubscribes. */
export type ChunkFeed = (run_id: string, handler: ChunkHandler) => () => void;

export function createChunkFeed(listener: Pick<Listener, 'on'>): ChunkFeed {
  const handlers = new Map<string, Set<ChunkHandler>>();
  let stopListening: (() => void) | undefined;

  const receive = (payload: string): void => {
    const found = parse(payload);
    if (!found) return;
    for (const handler of handlers.get(found.run_id) ?? []) handler(found.chunk);
  };

  return (run_id, handler) => {
    const known = handlers.get(run_id) ?? new Set();
    handlers.set(run_id, known.add(handler));
    stopListening ??= listener.on('run_chunks', receive);
    return () => {
      known.delete(handler);
      if (known.size > 0 || handlers.get(run_id) !== known) return;
      handlers.delete(run_id);
      if (handlers.size > 0) return;
      stopListening?.();
      stopListening = undefined;
    };
  };
}

/** Undefined for what is no chunk: '' comes after every reconnect. */
function parse(payload: string): { run_id: string; chunk: StreamChunkEvent } | undefined {
  if (payload === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch {
    return undefined;
  }
  const { run_id, chunk, stream_id, done, timestamp } = (value ?? {}) as Record<string, unknown>;
  if (typeof run_id !== 'string' || typeof chunk !== 'string') return undefined;
  return {
    run_id,
    chunk: {
      type: 'stream_chunk',
      chunk,
      stream_id: typeof stream_id === 'string' ? stream_id : '',
      done: done === true,
      timestamp: typeof timestamp === 'string' ? timestamp : new Date().toISOString(),
    },
  };
}
