import { reply } from '../../platform/http/define-api.ts';
import { bind } from '../access/index.ts';
import * as control from './contract-control.ts';
import * as records from './contract-records.ts';
import { sdkHeaders } from './rules.ts';
import type { InRun } from './service.ts';

interface SdkInput {
  readonly headers: { readonly 'x-sdk-version'?: string | undefined };
}

const answer = <const Status extends number, const Body>(
  status: Status,
  body: Body,
  { headers }: SdkInput,
) => reply(status, body, sdkHeaders(headers['x-sdk-version']));

const ok = { status: 'ok' } as const;

export const inRunRoutes = (inRun: InRun) => [
  bind(records.getPayload, ({ caller }) => inRun.payload(caller)),
  bind(records.logRun, async ({ caller }, input) =>
    answer(201, await inRun.log(caller, input.body), input),
  ),
  bind(records.reportProgress, async ({ caller }, input) => {
    const { eta_secs, eta_seconds = eta_secs, ...progress } = input.body;
    return answer(201, await inRun.progress(caller, { ...progress, eta_seconds }), input);
  }),
  bind(records.reportResources, async ({ caller }, input) => {
    await inRun.resources(caller, input.body);
    return answer(201, ok, input);
  }),
  bind(records.annotateRun, async ({ caller }, input) =>
    answer(200, await inRun.annotate(caller, input.body.annotations), input),
  ),
  bind(records.addCheckpoint, async ({ caller }, input) =>
    answer(201, await inRun.checkpoint(caller, input.body), input),
  ),
  bind(records.addUsage, async ({ caller }, input) => {
    const {
      cost_microusd = null,
      total_tokens = input.body.prompt_tokens + input.body.completion_tokens,
    } = input.body;
    return answer(
      201,
      await inRun.usage(caller, { ...input.body, cost_microusd, total_tokens }),
      input,
    );
  }),
  bind(records.addToolCall, async ({ caller }, input) =>
    answer(201, await inRun.toolCall(caller, input.body), input),
  ),
  bind(records.saveOutput, async ({ caller }, input) =>
    answer(201, await inRun.output(caller, input.body), input),
  ),
  bind(records.saveState, async ({ caller }, input) =>
    answer(201, await inRun.saveState(caller, input.body.key, input.body.value), input),
  ),
  bind(records.listState, async ({ caller }, input) =>
    answer(200, await inRun.listState(caller), input),
  ),
  bind(records.getState, async ({ caller }, input) =>
    answer(200, await inRun.getState(caller, input.params.key), input),
  ),
  bind(records.deleteState, async ({ caller }, input) => {
    await inRun.deleteState(caller, input.params.key);
    return answer(204, null, input);
  }),
  bind(control.heartbeat, async ({ caller }, input) =>
    answer(200, await inRun.heartbeat(caller), input),
  ),
  bind(control.streamChunk, async ({ caller }, input) =>
    answer(200, await inRun.stream(caller, input.body), input),
  ),
  bind(control.completeRun, async ({ caller }, input) =>
    answer(200, await inRun.complete(caller, input.body.result), input),
  ),
  bind(control.failRun, async ({ caller }, input) =>
    answer(200, await inRun.fail(caller, input.body), input),
  ),
  bind(control.spawnRun, async ({ caller }, input) => {
    const { job_slug, job_id, ...request } = input.body;
    return answer(
      201,
      await inRun.spawn(caller, { ...request, job: job_slug ?? job_id ?? '' }),
      input,
    );
  }),
  bind(control.continueRun, async ({ caller }, input) =>
    answer(201, await inRun.continue(caller, input.body ?? {}), input),
  ),
  bind(control.waitForEvent, async ({ caller }, input) =>
    answer(200, await inRun.waitForEvent(caller, input.body), input),
  ),
];
