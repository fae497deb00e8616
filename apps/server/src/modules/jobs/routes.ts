import { reply } from '../../platform/http/define-api.ts';
import { bind } from '../access/index.ts';
import { actorOf } from '../audit/index.ts';
import * as api from './contract.ts';
import type { BatchOutcome } from './batch.ts';
import type { Jobs } from './service.ts';

export const jobRoutes = (jobs: Jobs) => [
  bind(api.createJob, (context, { body }) => jobs.create(context.project, actorOf(context), body)),
  bind(api.listJobs, ({ project }, { query: { limit, cursor, enabled, ...filter } }) =>
    jobs.list(project, { ...filter, enabled: enabled && enabled === 'true' }, { limit, cursor }),
  ),
  bind(api.createJobs, async (context, { body }) => {
    const items = Array.isArray(body) ? body : body.jobs;
    const at = Array.isArray(body) ? 'body' : 'body.jobs';
    const outcome = await jobs.createBatch(context.project, actorOf(context), { items, at });
    return batchReply(outcome, Array.isArray(body), context.request_id);
  }),
  bind(api.enableJobs, async (context, { body }) => ({
    updated: await jobs.setEnabled(
      context.project,
      actorOf(context),
      body.ids ?? body.job_ids ?? [],
      true,
    ),
  })),
  bind(api.disableJobs, async (context, { body }) => ({
    updated: await jobs.setEnabled(
      context.project,
      actorOf(context),
      body.ids ?? body.job_ids ?? [],
      false,
    ),
  })),
  bind(api.getJob, ({ project }, { params }) => jobs.get(project, params.jobID)),
  bind(api.updateJob, (context, { params, body }) =>
    jobs.update(context.project, actorOf(context), params.jobID, body),
  ),
  bind(api.deleteJob, (context, { params }) =>
    jobs.delete(context.project, actorOf(context), params.jobID),
  ),
  bind(api.cloneJob, (context, { params, body }) =>
    jobs.clone(context.project, actorOf(context), params.jobID, body),
  ),
  bind(api.pauseJob, (context, { params }) =>
    jobs.setPaused(context.project, actorOf(context), params.jobID, true),
  ),
  bind(api.resumeJob, (context, { params }) =>
    jobs.setPaused(context.project, actorOf(context), params.jobID, false),
  ),
  bind(api.listJobVersions, ({ project }, { params, query }) =>
    jobs.listVersions(project, params.jobID, query),
  ),
  bind(api.getJobVersion, ({ project }, { params }) =>
    jobs.getVersion(project, params.jobID, params.versionID),
  ),
  bind(api.getJobHealth, ({ project }, { params, query }) =>
    jobs.health(project, params.jobID, query.window),
  ),
];

/** In the shape of the request; only a batch without any success is an error. */
function batchReply({ created, errors }: BatchOutcome, asArray: boolean, request_id: string) {
  const [first] = errors;
  if (first && created.length === 0) {
    const { code, message: error } = first;
    return reply(400, { error, code, created: [], errors, request_id });
  }
  if (!asArray) return reply(201, { created, errors });
  return reply(201, created, first && { 'x-batch-errors': headerText(errors) });
}

/** JSON without the characters a header cannot carry, and without details, which can be long. */
function headerText(errors: BatchOutcome['errors']): string {
  const short = errors.map(({ index, code, message }) => ({
    index,
    code,
    message: message.slice(0, 100),
  }));
  return JSON.stringify(short).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
