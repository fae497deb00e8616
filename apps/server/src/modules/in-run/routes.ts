import { bind } from '../access/index.ts';
import * as control from './contract-control.ts';
import * as records from './contract-records.ts';
import type { InRun } from './service.ts';

const ok = { status: 'ok' } as const;

export const inRunRoutes = (inRun: InRun) => [
  bind(records.getPayload, ({ caller }) => inRun.payload(caller)),
  bind(records.logRun, ({ caller }, { body }) => inRun.log(caller, body)),
  bind(records.reportProgress, ({ caller }, { body }) => {
    const { eta_secs, eta_seconds = eta_secs, ...progress } = body;
    return inRun.progress(caller, { ...progress, eta_seconds });
  }),
  bind(records.reportResources, async ({ caller }, { body }) => {
    await inRun.resources(caller, body);
    return ok;
  }),
  bind(records.annotateRun, ({ caller }, { body }) => inRun.annotate(caller, body.annotations)),
  bind(records.addCheckpoint, ({ caller }, { body }) => inRun.checkpoint(caller, body)),
  bind(records.addUsage, ({ caller }, { body }) => {
    const { cost_microusd = null, total_tokens = body.prompt_tokens + body.completion_tokens } =
      body;
    return inRun.usage(caller, { ...body, cost_microusd, total_tokens });
  }),
  bind(records.addToolCall, ({ caller }, { body }) => inRun.toolCall(caller, body)),
  bind(records.saveOutput, ({ caller }, { body }) => inRun.output(caller, body)),
  bind(records.saveState, ({ caller }, { body }) => inRun.saveState(caller, body.key, body.value)),
  bind(records.listState, ({ caller }) => inRun.listState(caller)),
  bind(records.getState, ({ caller }, { params }) => inRun.getState(caller, params.key)),
  bind(records.deleteState, async ({ caller }, { params }) => {
    await inRun.deleteState(caller, params.key);
  }),
  bind(control.heartbeat, ({ caller }) => inRun.heartbeat(caller)),
  bind(control.streamChunk, ({ caller }, { body }) =>
    inRun.stream(caller, { ...body, chunk: body.chunk ?? '' }),
  ),
  bind(control.completeRun, ({ caller }, { body }) => inRun.complete(caller, body.result)),
  bind(control.failRun, ({ caller }, { body }) => inRun.fail(caller, body)),
  bind(control.spawnRun, ({ caller }, { body }) => {
    const { job_slug, job_id, ...request } = body;
    return inRun.spawn(caller, { ...request, job: job_slug ?? job_id ?? '' });
  }),
  bind(control.continueRun, ({ caller }, { body }) => inRun.continue(caller, body ?? {})),
  bind(control.waitForEvent, ({ caller }, { body }) => inRun.waitForEvent(caller, body)),
];
