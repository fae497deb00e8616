// What a workflow consists of besides its steps, and how a request becomes it.
import { slugProblem } from '../../../domain/slug.ts';
import { isTimeZone } from '../../../domain/time-zone.ts';
import { cronProblem } from '../../jobs/index.ts';
import { invalid, type Problem } from './problems.ts';
import type { FindWorkflowRow } from './store.sql.ts';

/** Columns a request can set; in workflow_versions under the same names. */
export type WorkflowSettings = Pick<
  FindWorkflowRow,
  | 'name'
  | 'slug'
  | 'description'
  | 'tags'
  | 'enabled'
  | 'timeout_secs'
  | 'max_concurrent_runs'
  | 'max_parallel_steps'
  | 'cron'
  | 'cron_timezone'
  | 'skip_if_running'
  | 'version_policy'
  | 'backwards_compatible'
  | 'compensate_on_failure'
>;

/** What a setting gets that is left out or sent as null. */
const defaults: Omit<WorkflowSettings, 'name' | 'slug'> = {
  description: null,
  tags: {},
  enabled: true,
  timeout_secs: 0,
  max_concurrent_runs: 0,
  max_parallel_steps: 0,
  cron: null,
  cron_timezone: null,
  skip_if_running: false,
  version_policy: 'pin',
  backwards_compatible: false,
  compensate_on_failure: false,
};

export const settingNames = [
  'name',
  'slug',
  ...Object.keys(defaults),
] as readonly (keyof WorkflowSettings)[];

export type RequestFields = Readonly<Record<string, unknown>>;

/** Request → columns. Absent stays absent; null and "" become the default. */
export function changesOf(input: RequestFields): Partial<WorkflowSettings> {
  const { cron_timezone, timezone } = input;
  // Of two names for one thing, the one that says something.
  const zone = cron_timezone ?? timezone ?? (cron_timezone === null ? null : timezone);
  const changes: Record<string, unknown> = {};
  for (const name of settingNames) {
    const value = name === 'cron_timezone' ? zone : input[name];
    if (value === undefined) continue;
    const isNone = (value === null || value === '') && Object.hasOwn(defaults, name);
    changes[name] = isNone ? (defaults as RequestFields)[name] : value;
  }
  return changes as Partial<WorkflowSettings>;
}

export const newSettings = (input: RequestFields): WorkflowSettings =>
  ({ ...defaults, ...changesOf(input) }) as WorkflowSettings;

export const settingsOf = (row: WorkflowSettings): WorkflowSettings =>
  Object.fromEntries(settingNames.map((name) => [name, row[name]])) as unknown as WorkflowSettings;

/** Problems of the request that its columns no longer show. */
export function requestProblems({ timezone, cron_timezone }: RequestFields): Problem[] {
  const isContrary = timezone != null && cron_timezone != null && timezone !== cron_timezone;
  return isContrary ? [invalid('timezone', 'says something else than cron_timezone')] : [];
}

/** On the whole workflow, as it will be. */
export function settingsProblems(workflow: WorkflowSettings): Problem[] {
  const { name, slug, cron, cron_timezone } = workflow;
  const problems: Problem[] = [];
  if (name.trim() === '') problems.push(invalid('name', 'must not be empty'));
  const wrongSlug = slugProblem(slug);
  if (wrongSlug !== undefined) problems.push(invalid('slug', wrongSlug));
  const wrongCron = cron === null ? undefined : cronProblem(cron);
  if (wrongCron !== undefined) problems.push(invalid('cron', wrongCron));
  if (cron_timezone !== null && !isTimeZone(cron_timezone)) {
    const rule = 'is not the name of an IANA time zone, e.g. "Europe/Berlin"';
    problems.push(invalid('cron_timezone', rule));
  }
  return problems;
}
