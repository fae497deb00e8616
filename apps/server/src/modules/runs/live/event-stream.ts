// One client following one run: history first, then what the watcher brings, each event once, until the run ends.

import type { EventStream } from '../../../platform/http/sse.ts';
import { isTerminal } from '../../queue/index.ts';
import type { RunStatusChangeEvent, RunLogStreamEvent } from './contract.ts';
import type { z } from 'zod';
import { LATEST_COMMIT_MS, type LiveEvent, type Watcher } from './watcher.ts';

type Message = z.input<typeof RunStatusChangeEvent> | z.input<typeof RunLogStreamEvent>;

export interface FollowOptions {
  /** `now`: the database's time when the stream began. */
  readonly run: {
    readonly id: string;
    readonly job_id: string;
    readonly project_id: string;
    readonly now: string;
  };
  /** True: the run had ended before; replay and close. */
  readonly ended: boolean;
  /** Pages of history, oldest first. */
  readonly history: AsyncIterable<readonly LiveEvent[]>;
  /** Events this says no to are before what the client asked for. */
  readonly accepts: (id: string) => boolean;
  readonly watcher: Watcher;
}

/** Unsent events at most; a client that is slower than its run is cut off and may come back with its last id. */
const MAX_WAITING = 2000;

export async function followRun(stream: EventStream, options: FollowOptions): Promise<void> {
  const { run, watcher, accepts } = options;
  const sent = new Map<string, number>();
  let newest = run.now;
  let state: { readonly id: string; readonly to: unknown } | undefined;

  const send = async (event: LiveEvent): Promise<void> => {
    if (sent.has(event.id) || !accepts(event.id)) return;
    sent.set(event.id, Date.parse(event.created_at));
    if (event.created_at > newest) newest = event.created_at;
    if (event.type === 'state_change' && (!state || event.id > state.id))
      state = { id: event.id, to: stateAfter(event) };
    await stream.send({ id: event.id, data: messageOf(event, run) });
  };
  const hasEnded = () => typeof state?.to === 'string' && isTerminal(state.to);

  for await (const events of options.history) {
    for (const event of events) await send(event);
    forgetOld(sent);
    if (stream.signal.aborted) return;
  }
  if (options.ended) return;

  const waiting = new Map<string, LiveEvent>();
  let wake = () => {};
  let overrun = false;
  const stop = watcher.watch(run.id, newest, (events) => {
    for (const event of events)
      if (!sent.has(event.id) && accepts(event.id)) waiting.set(event.id, event);
    overrun ||= waiting.size > MAX_WAITING;
    wake();
  });
  const aborted = () => wake();
  stream.signal.addEventListener('abort', aborted);
  try {
    while (!stream.signal.aborted && !overrun && !hasEnded()) {
      const batch = [...waiting.values()];
      waiting.clear();
      if (batch.length === 0) {
        // A push between the look above and this line wakes the next promise: nothing awaits in between.
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      for (const event of batch) await send(event);
      forgetOld(sent);
    }
    if (!hasEnded() || stream.signal.aborted) return;
    // What committed late must not be missing from a stream that says it is complete.
    for (const event of await watcher.readLate(run.id, newest)) await send(event);
  } finally {
    stop();
    stream.signal.removeEventListener('abort', aborted);
  }
}

/** Ids that no poll can bring again are not kept. */
function forgetOld(sent: Map<string, number>): void {
  if (sent.size < 500) return;
  const oldest = Math.max(...sent.values()) - 2 * LATEST_COMMIT_MS;
  for (const [id, at] of sent) if (at < oldest) sent.delete(id);
}

const dataOf = (event: LiveEvent) => (event.data ?? {}) as Readonly<Record<string, unknown>>;
const stateAfter = (event: LiveEvent): unknown => dataOf(event).to;

/** The first event of a run has no state before it, a change of time or priority none after it: then both are equal. */
export function messageOf(event: LiveEvent, run: FollowOptions['run']): Message {
  const { run_id, created_at: timestamp, level, message } = event;
  if (event.type !== 'state_change') {
    return {
      type: 'event',
      event_type: event.type,
      run_id,
      level,
      message,
      data: event.data ?? {},
      timestamp,
    };
  }
  const { from, to } = dataOf(event);
  const failed = level === 'error' || level === 'warn';
  return {
    type: 'status_change',
    run_id,
    job_id: run.job_id,
    project_id: run.project_id,
    from: (from ?? to) as never,
    to: to as never,
    ...(failed && message !== to ? { error: message } : {}),
    timestamp,
  };
}
