// What a job consists of, and how a request becomes it: one place for defaults and for what counts as "none".
import type { FindJobRow } from './store.sql.ts';

/** Columns a request can set, secrets aside; in job_versions under the same names. */
type SettingName =
  | 'name'
  | 'slug'
  | 'description'
  | 'enabled'
  | 'group_id'
  | 'environment_id'
  | 'tags'
  | 'execution_mode'
  | 'endpoint_url'
  | 'fallback_endpoint_url'
  | 'payload_schema'
  | 'result_schema'
  | 'default_run_metadata'
  | 'timeout_secs'
  | 'run_ttl_secs'
  | 'max_attempts'
  | 'retry_strategy'
  | 'retry_delays_secs'
  | 'retry_priority_boost'
  | 'poison_pill_threshold'
  | 'max_concurrency'
  | 'max_concurrency_per_key'
  | 'rate_limit_max'
  | 'rate_limit_window_secs'
  | 'rate_limit_keys'
  | 'dedup_window_secs'
  | 'debounce_window_secs'
  | 'batch_window_secs'
  | 'batch_max_size'
  | 'cron'
  | 'timezone'
  | 'execution_window_cron'
  | 'cron_overlap_policy'
  | 'cron_catchup'
  | 'skip_if_running'
  | 'on_complete_trigger_workflow'
  | 'on_complete_trigger_job'
  | 'on_complete_payload_mapping'
  | 'on_failure_trigger_workflow'
  | 'on_failure_trigger_job'
  | 'on_failure_payload_mapping'
  | 'webhook_url'
  | 'dlq_alert_threshold'
  | 'queue_depth_alert_threshold'
  | 'version_policy'
  | 'backwards_compatible';

export type JobSettings = Pick<FindJobRow, SettingName>;

/** What a setting gets that is left out or sent as null. */
export type OptionalSettings = Omit<JobSettings, 'name' | 'slug' | 'endpoint_url'>;

export const defaultSettings: OptionalSettings = {
  description: null,
  enabled: true,
  group_id: null,
  environment_id: null,
  tags: {},
  execution_mode: 'http',
  fallback_endpoint_url: null,
  payload_schema: null,
  result_schema: null,
  default_run_metadata: {},
  timeout_secs: 300,
  run_ttl_secs: null,
  max_attempts: 3,
  retry_strategy: 'exponential',
  retry_delays_secs: null,
  retry_priority_boost: 1,
  poison_pill_threshold: null,
  max_concurrency: null,
  max_concurrency_per_key: null,
  rate_limit_max: null,
  rate_limit_window_secs: null,
  rate_limit_keys: [],
  dedup_window_secs: null,
  debounce_window_secs: 0,
  batch_window_secs: 0,
  batch_max_size: 0,
  cron: null,
  timezone: null,
  execution_window_cron: null,
  cron_overlap_policy: 'allow',
  cron_catchup: 'latest',
  skip_if_running: false,
  on_complete_trigger_workflow: null,
  on_complete_trigger_job: null,
  on_complete_payload_mapping: null,
  on_failure_trigger_workflow: null,
  on_failure_trigger_job: null,
  on_failure_payload_mapping: null,
  webhook_url: null,
  dlq_alert_threshold: null,
  queue_depth_alert_threshold: null,
  version_policy: 'pin',
  backwards_compatible: false,
};

const settingNames = [...Object.keys(defaultSettings), 'name', 'slug', 'endpoint_url'];

/** Where 0 in a request says "the default", as in the reference; elsewhere a number means itself. */
const zeroIsDefault: ReadonlySet<string> = new Set(['max_attempts', 'timeout_secs']);

export type SettingChanges = Partial<JobSettings>;

/** Request → columns. Absent stays absent; null, "" and 0 where they mean "none" become the default. */
export function changesOf(
  input: Readonly<Record<string, unknown>>,
  defaultsOf: OptionalSettings = defaultSettings,
  current: Pick<JobSettings, 'cron_overlap_policy'> = defaultsOf,
): SettingChanges {
  const changes: Record<string, unknown> = {};
  const defaults = defaultsOf as Readonly<Record<string, unknown>>;
  for (const name of settingNames) {
    const value = input[name];
    if (value === undefined) continue;
    const hasDefault = Object.hasOwn(defaults, name);
    const isNone =
      value === null ||
      value === '' ||
      (value === 0 && (defaults[name] === null || zeroIsDefault.has(name))) ||
      (Array.isArray(value) && value.length === 0 && defaults[name] === null);
    changes[name] = hasDefault && isNone ? defaults[name] : value;
  }
  return withOverlapPolicy(changes as SettingChanges, current.cron_overlap_policy);
}

/** `skip_if_running` is the older spelling of the overlap policy `skip`: the two never say different things. */
function withOverlapPolicy(changes: SettingChanges, current: string): SettingChanges {
  const { cron_overlap_policy, skip_if_running } = changes;
  if (cron_overlap_policy !== undefined && skip_if_running !== undefined) return changes;
  if (cron_overlap_policy !== undefined) {
    return { ...changes, skip_if_running: cron_overlap_policy === 'skip' };
  }
  if (skip_if_running === undefined) return changes;
  const otherwise = current === 'skip' ? 'allow' : current;
  return { ...changes, cron_overlap_policy: skip_if_running ? 'skip' : otherwise };
}

export function settingsOf(row: JobSettings): JobSettings {
  const all: Readonly<Record<string, unknown>> = { ...row };
  return Object.fromEntries(
    settingNames.map((name) => [name, all[name]]),
  ) as unknown as JobSettings;
}
