import { bind } from '../../access/index.ts';
import type { Caller, ProjectScope } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import { reply, type RequestContext } from '../../../platform/http/define-api.ts';
import type { BulkRunActions } from './bulk.ts';
import {
  bulkCancel,
  bulkCancelAll,
  bulkReplay,
  bulkReplayAll,
  bulkReplayDeadLetters,
  cancelRun,
  pauseRun,
  replayDeadLetter,
  replayRun,
  rescheduleRun,
  resetIdempotencyKey,
  restartRun,
  resumeRun,
  setDebugMode,
} from './contract.ts';
import type { RunActions } from './single.ts';

type Context = RequestContext<Caller, ProjectScope>;

const many = (context: Context) => ({ project: context.project, source: actorOf(context) });
const one = (context: Context, { runID }: { readonly runID: string }) => ({
  ...many(context),
  run_id: runID,
});

export const actionRoutes = (runs: RunActions, bulk: BulkRunActions) => [
  bind(cancelRun, (context, { params }) => runs.cancel(one(context, params))),
  bind(replayRun, (context, { params, query }) =>
    runs.replay(one(context, params), query.from_checkpoint),
  ),
  bind(replayDeadLetter, (context, { params }) => runs.replayDeadLetter(one(context, params))),
  bind(rescheduleRun, (context, { params, body }) => runs.reschedule(one(context, params), body)),
  bind(restartRun, (context, { params }) => runs.restart(one(context, params))),
  bind(pauseRun, (context, { params }) => runs.pause(one(context, params))),
  bind(resumeRun, (context, { params }) => runs.resume(one(context, params))),
  bind(setDebugMode, async (context, { params, body }) => {
    await runs.setDebugMode(one(context, params), body.debug_mode);
    return { status: 'ok' } as const;
  }),
  bind(resetIdempotencyKey, async (context, { params }) => {
    const { had_key } = await runs.resetIdempotencyKey(one(context, params));
    return { status: 'reset', run_id: params.runID, had_key } as const;
  }),
  bind(bulkCancel, (context, { body }) => bulk.cancel(many(context), body.run_ids)),
  bind(bulkCancelAll, async (context, { body }) => {
    const done = await bulk.cancelAll(many(context), body, context.signal);
    return reply(done.batch_id === undefined ? 200 : 202, done);
  }),
  bind(bulkReplayAll, async (context, { body }) =>
    reply(202, await bulk.replayAll(many(context), body)),
  ),
  bind(bulkReplay, (context, { body }) => bulk.replay(many(context), body.run_ids)),
  bind(bulkReplayDeadLetters, (context, { body }) => bulk.replayDeadLetters(many(context), body)),
];
