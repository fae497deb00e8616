// The API of jobs: shapes of requests and replies. The operations are in contract.ts.
import { z } from 'zod';
import { omitEmpty } from '../../platform/http/json-reply.ts';
import { pageSchema } from '../../platform/http/pagination.ts';
import { healthWindows } from './rules.ts';

const int32 = 2_147_483_647;
const maxTtlSecs = 2_592_000;

const count = z.int().min(0).max(int32);
const seconds = count;
const text = (max: number) => z.string().max(max);
const json = z.unknown();

const keyUpTo = (length: number) => {
  const rule = `a key has 1 to ${length} characters`;
  return z.string().min(1, rule).max(length, rule);
};

export const Tags = z
  .record(keyUpTo(64), z.string().max(256))
  .refine((tags) => Object.keys(tags).length <= 20, 'at most 20 tags')
  .meta({ maxProperties: 20 });

const RunMetadata = z
  .record(
    keyUpTo(128).refine((key) => !key.startsWith('_'), 'keys starting with _ are reserved'),
    z.string().max(1024),
  )
  .refine((metadata) => Object.keys(metadata).length <= 50, 'at most 50 members');

export const RateLimitKey = z
  .strictObject({
    name: z.string().min(1).max(128),
    max: z.int().min(1).max(int32),
    window_secs: z.int().min(1).max(int32),
  })
  .meta({ id: 'RateLimitKey' });

const strategies = ['exponential', 'linear', 'fixed', 'custom'] as const;
const VersionPolicy = z.enum(['pin', 'latest', 'minor']);
export const OverlapPolicy = z.enum(['allow', 'skip', 'cancel_running']);
export const Catchup = z.enum(['none', 'latest', 'all']);
const secret = z
  .string()
  .max(1024)
  .nullish()
  .meta({ description: 'Write-only. null or "" removes it.' });

/** Settings of create and update. null and, for texts, "" go back to the default. */
const settings = {
  group_id: text(256).nullish(),
  description: text(10_000).nullish(),
  cron: text(256).nullish(),
  payload_schema: json.optional(),
  result_schema: json.optional(),
  tags: Tags.nullish(),
  fallback_endpoint_url: text(2048).nullish(),
  max_concurrency: count.nullish(),
  max_concurrency_per_key: count.nullish(),
  execution_window_cron: text(256).nullish(),
  timezone: text(64).nullish(),
  rate_limit_max: count.nullish(),
  rate_limit_window_secs: seconds.nullish(),
  rate_limit_keys: z.array(RateLimitKey).max(20).nullish(),
  dedup_window_secs: seconds.nullish(),
  run_ttl_secs: z.int().min(0).max(maxTtlSecs).nullish(),
  retry_strategy: z.enum([...strategies, '']).nullish(),
  retry_delays_secs: z.array(z.int().min(1).max(int32)).max(100).nullish(),
  retry_priority_boost: z.int().min(0).max(10).nullish(),
  poison_pill_threshold: count.nullish(),
  environment_id: text(256).nullish(),
  version_policy: VersionPolicy.nullish(),
  backwards_compatible: z.boolean().nullish(),
  default_run_metadata: RunMetadata.nullish(),
  skip_if_running: z.boolean().nullish(),
  cron_overlap_policy: OverlapPolicy.nullish(),
  cron_catchup: Catchup.nullish().meta({
    description:
      'What to do about fires that nobody was there for: nothing, the latest one (default), or all, at most 10.',
  }),
  debounce_window_secs: seconds.nullish(),
  batch_window_secs: seconds.nullish(),
  batch_max_size: count.nullish(),
  on_complete_trigger_workflow: text(256).nullish(),
  on_complete_trigger_job: text(256).nullish(),
  on_complete_payload_mapping: z.record(z.string(), z.string()).nullish(),
  on_failure_trigger_workflow: text(256).nullish(),
  on_failure_trigger_job: text(256).nullish(),
  on_failure_payload_mapping: z.record(z.string(), z.string()).nullish(),
  webhook_url: text(2048).nullish(),
  webhook_secret: secret,
  endpoint_signing_secret: secret,
  dlq_alert_threshold: count.nullish(),
  queue_depth_alert_threshold: count.nullish(),
  execution_mode: z
    .enum(['http', 'managed'])
    .nullish()
    .meta({ description: 'Only "http" is offered.' }),
  machine_preset: text(64).nullish(),
  image_uri: text(2048).nullish(),
  region: text(64).nullish(),
  preferred_regions: z.array(text(64)).max(100).nullish(),
};

const name = z.string().min(1).max(255);
const slug = z.string().min(1).max(128);
const endpoint_url = z.string().min(1).max(2048);
// 0 is the default, as in the reference.
const max_attempts = z.int().min(0).max(100).nullish();
const timeout_secs = z.int().min(0).max(86_400).nullish();

export const CreateJobRequest = z
  .strictObject({
    project_id: z.string().min(1).optional(),
    name,
    slug,
    endpoint_url,
    enabled: z.boolean().optional(),
    max_attempts,
    timeout_secs,
    ...settings,
  })
  .meta({ id: 'CreateJobRequest' });

export const UpdateJobRequest = z
  .strictObject({
    name: name.optional(),
    slug: slug.optional(),
    endpoint_url: endpoint_url.optional(),
    enabled: z.boolean().optional(),
    max_attempts,
    timeout_secs,
    ...settings,
    version_id: z.string().max(64).optional().meta({
      description: 'The version the change was made for; another one by now is a conflict.',
    }),
  })
  .meta({ id: 'UpdateJobRequest' });

export const CloneJobRequest = z.strictObject({ name, slug }).meta({ id: 'CloneJobRequest' });

/** Items are parsed one by one, so that a bad one does not refuse the others. */
const batchItems = z.array(z.looseObject({})).min(1).max(50);
export const BatchCreateJobsRequest = z
  .union([z.strictObject({ project_id: z.string().optional(), jobs: batchItems }), batchItems])
  .meta({ id: 'BatchCreateJobsRequest' });

const jobRefs = z.array(z.string().min(1).max(256)).min(1).max(50);
export const BatchJobIDsRequest = z
  .strictObject({
    project_id: z.string().optional(),
    ids: jobRefs.optional(),
    job_ids: jobRefs.optional(),
  })
  .refine(({ ids, job_ids }) => (ids === undefined) !== (job_ids === undefined), {
    path: ['ids'],
    message: 'give the jobs as ids (job_ids means the same)',
  })
  .meta({ id: 'BatchJobIDsRequest' });

/** Shared by a job and its kept versions. */
const described = {
  group_id: omitEmpty(z.string()),
  name: z.string(),
  slug: z.string(),
  description: omitEmpty(z.string()),
  cron: omitEmpty(z.string()),
  payload_schema: omitEmpty(json),
  tags: omitEmpty(z.record(z.string(), z.string())),
  endpoint_url: z.string(),
  fallback_endpoint_url: omitEmpty(z.string()),
  max_attempts: z.int(),
  timeout_secs: z.int(),
  max_concurrency: omitEmpty(z.int()),
  max_concurrency_per_key: omitEmpty(z.int()),
  execution_window_cron: omitEmpty(z.string()),
  timezone: omitEmpty(z.string()),
  rate_limit_max: omitEmpty(z.int()),
  rate_limit_window_secs: omitEmpty(z.int()),
  rate_limit_keys: omitEmpty(z.array(RateLimitKey)),
  dedup_window_secs: omitEmpty(z.int()),
  enabled: z.boolean(),
  webhook_url: omitEmpty(z.string()),
  run_ttl_secs: omitEmpty(z.int()),
  retry_strategy: omitEmpty(z.enum(strategies)),
  retry_delays_secs: omitEmpty(z.array(z.int())),
  retry_priority_boost: omitEmpty(z.int()),
  poison_pill_threshold: omitEmpty(z.int()),
  dlq_alert_threshold: omitEmpty(z.int()),
  queue_depth_alert_threshold: omitEmpty(z.int()),
  environment_id: omitEmpty(z.string()),
  default_run_metadata: omitEmpty(z.record(z.string(), z.string())),
  version: z.int(),
  version_id: omitEmpty(z.string()),
  version_policy: omitEmpty(VersionPolicy),
  backwards_compatible: omitEmpty(z.boolean()),
  skip_if_running: omitEmpty(z.boolean()),
  cron_overlap_policy: omitEmpty(OverlapPolicy),
  cron_catchup: omitEmpty(Catchup),
  result_schema: omitEmpty(json),
  debounce_window_secs: omitEmpty(z.int()),
  batch_window_secs: omitEmpty(z.int()),
  batch_max_size: omitEmpty(z.int()),
  execution_mode: omitEmpty(z.enum(['http', 'managed'])),
  on_complete_trigger_workflow: omitEmpty(z.string()),
  on_complete_trigger_job: omitEmpty(z.string()),
  on_complete_payload_mapping: omitEmpty(json),
  on_failure_trigger_workflow: omitEmpty(z.string()),
  on_failure_trigger_job: omitEmpty(z.string()),
  on_failure_payload_mapping: omitEmpty(json),
  created_by: omitEmpty(z.string()),
  updated_by: omitEmpty(z.string()),
  created_at: z.string(),
};

export const Job = z
  .object({
    id: z.string(),
    project_id: z.string(),
    ...described,
    paused: z.boolean(),
    has_webhook_secret: z.boolean().meta({ description: 'The secret itself is never sent.' }),
    has_endpoint_signing_secret: z.boolean(),
    updated_at: z.string(),
  })
  .meta({ id: 'Job' });

export const JobVersion = z
  .object({ id: z.string(), job_id: z.string(), ...described })
  .meta({ id: 'JobVersion' });

export const JobPage = pageSchema('JobPage', Job);
export const JobVersionPage = pageSchema('JobVersionPage', JobVersion);

const BatchError = z
  .object({
    index: z.int(),
    message: z.string(),
    code: z.string(),
    details: omitEmpty(z.array(z.object({ path: z.string(), message: z.string() }))),
  })
  .meta({ id: 'BatchError' });

export const BatchCreateJobsResponse = z
  .object({ created: z.array(Job), errors: omitEmpty(z.array(BatchError)) })
  .meta({ id: 'BatchCreateJobsResponse' });

export const BatchCreateJobsFailed = z
  .object({
    error: z.string(),
    code: z.string(),
    created: z.array(Job),
    errors: z.array(BatchError),
    request_id: z.string(),
  })
  .meta({ id: 'BatchCreateJobsFailed' });

export const BatchUpdateResult = z.object({ updated: z.int() }).meta({ id: 'BatchUpdateResult' });

const windowNames = [
  '1h',
  '1d',
  '7d',
  '30d',
] as const satisfies readonly (keyof typeof healthWindows)[];
export const HealthWindow = z.enum(windowNames).default('7d');

export const JobHealthResponse = z
  .object({
    job_id: z.string(),
    window: z.enum(windowNames),
    since: z.string(),
    total_runs: z.int(),
    completed_runs: z.int(),
    failed_runs: z.int(),
    timed_out_runs: z.int(),
    crashed_runs: z.int(),
    system_failed_runs: z.int(),
    canceled_runs: z.int(),
    expired_runs: z.int(),
    dead_letter_runs: z.int(),
    success_rate: z.number(),
    avg_duration_secs: z.number(),
    p95_duration_secs: z.number(),
    health_score: z.number(),
  })
  .meta({ id: 'JobHealthResponse' });
