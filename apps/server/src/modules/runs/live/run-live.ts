// Live streams of runs, whichever process changes them: notifications say when to look, the tables say what is new.

import type { Database } from '../../../platform/db/database.ts';
import type { Listener } from '../../../platform/db/listen.ts';
import { Failure } from '../../../platform/failure.ts';
import { streamReply, type StreamReply } from '../../../platform/http/sse.ts';
import type { ProjectScope } from '../../access/index.ts';
import { isRunId, isTerminal } from '../../queue/index.ts';
import { createChunkFeed } from './chunks.ts';
import type { StreamChunkEvent } from './contract.ts';
import { followRun } from './event-stream.ts';
import { createWatcher, type LiveEvent } from './watcher.ts';
import * as store from './store.sql.ts';

const HISTORY_PAGE = 200;
const MAX_WAITING_CHUNKS = 10_000;

export interface RunLiveDependencies {
  readonly db: Database;
  readonly listener: Pick<Listener, 'on'>;
  /** Failed polls; streams go on. */
  readonly onError?: (error: unknown) => void;
}

export type RunLive = ReturnType<typeof createRunLive>;

export function createRunLive({ db, listener, onError }: RunLiveDependencies) {
  const watcher = createWatcher({ db, listener, onError });
  const chunkFeed = createChunkFeed(listener);

  const requireRun = async (
    project: ProjectScope,
    run_id: string,
  ): Promise<store.FindWatchedRow> => {
    const run = isRunId(run_id)
      ? await db.tenant(project.project_id, (tx) => store.findWatched(tx, { ...project, run_id }))
      : undefined;
    if (!run) throw new Failure('run_not_found');
    return run;
  };

  async function* historyAfter(
    project: ProjectScope,
    run_id: string,
    start_id: string,
  ): AsyncGenerator<LiveEvent[]> {
    for (let after_id: string | undefined = start_id; after_id !== undefined;) {
      const key = { ...project, run_id, after_id, limit: HISTORY_PAGE };
      const events: LiveEvent[] = await db.tenant(project.project_id, (tx) =>
        store.listEventsAfter(tx, key),
      );
      yield events;
      after_id = events.length === HISTORY_PAGE ? events.at(-1)?.id : undefined;
    }
  }

  async function* only(event: LiveEvent | undefined): AsyncGenerator<LiveEvent[]> {
    yield event ? [event] : [];
  }

  return {
    /** @throws run_not_found, run_stream_ended */
    stream: async (
      project: ProjectScope,
      run_id: string,
      last_event_id: string | undefined,
    ): Promise<StreamReply> => {
      const found = await requireRun(project, run_id);
      const ended = isTerminal(found.status);
      const run = { ...found, ...project };
      if (last_event_id !== undefined) {
        // Anything that is not an event's id means all: a client that mixes up ids must not lose events.
        const after_id = isRunId(last_event_id) ? last_event_id : '';
        const history = () => historyAfter(project, run_id, after_id);
        return streamReply((stream) =>
          followRun(stream, {
            run,
            ended,
            history: history(),
            accepts: (id) => id > after_id,
            watcher,
          }),
        );
      }
      if (ended)
        throw new Failure('run_stream_ended', {
          message: `the run is ${found.status}; send Last-Event-ID to replay its events`,
        });
      const newest = await db.tenant(project.project_id, (tx) =>
        store.findNewestStateChange(tx, { ...project, run_id }),
      );
      // The newest state change is sent, nothing before it.
      const accepts = (id: string) => newest === undefined || id >= newest.id;
      return streamReply((stream) =>
        followRun(stream, { run, ended: false, history: only(newest), accepts, watcher }),
      );
    },

    /** @throws run_not_found, run_stream_ended */
    chunks: async (project: ProjectScope, run_id: string): Promise<StreamReply> => {
      const { status, now } = await requireRun(project, run_id);
      if (isTerminal(status))
        throw new Failure('run_stream_ended', {
          message: `the run is ${status}; its chunks are not kept`,
        });
      return streamReply(async (stream) => {
        const waiting: StreamChunkEvent[] = [];
        let over = false;
        let wake = () => {};
        const stopChunks = chunkFeed(run_id, (chunk) => {
          waiting.push(chunk);
          over ||= waiting.length > MAX_WAITING_CHUNKS;
          wake();
        });
        const stopWatching = watcher.watch(run_id, now, (events) => {
          const { data } = events.findLast((event) => event.type === 'state_change') ?? {};
          const { to } = (data ?? {}) as { to?: unknown };
          over ||= typeof to === 'string' && isTerminal(to);
          wake();
        });
        const aborted = () => wake();
        stream.signal.addEventListener('abort', aborted);
        try {
          // The run may have ended between the look and the subscription.
          over ||= isTerminal((await requireRun(project, run_id)).status);
          while (!stream.signal.aborted) {
            const batch = waiting.splice(0);
            for (const chunk of batch) await stream.send({ data: chunk });
            if (batch.length === 0 && over) return;
            if (waiting.length === 0 && !over)
              await new Promise<void>((resolve) => (wake = resolve));
          }
        } finally {
          stopChunks();
          stopWatching();
          stream.signal.removeEventListener('abort', aborted);
        }
      });
    },

    /** Runs with open streams in this process. */
    get watched() {
      return watcher.watched;
    },
  };
}
