// Whether the group and the environment a job names exist in its project.
import type { Tx } from '../../platform/db/database.ts';
import type { ProjectScope } from '../access/index.ts';
import { refusalOf, type Refusal } from './definition.ts';
import type { Problem } from './rules.ts';
import type { SettingChanges } from './settings.ts';
import * as store from './store.sql.ts';

interface Referring {
  readonly settings: Pick<SettingChanges, 'group_id' | 'environment_id'>;
  readonly at: string;
}

/** Looks all of them up at once; the answer judges each. */
export async function referenceProblems(
  tx: Tx,
  project: ProjectScope,
  jobs: readonly Referring[],
): Promise<(job: Referring) => Refusal | undefined> {
  const groups = await existing(
    jobs.map(({ settings }) => settings.group_id),
    (ids) => store.findJobGroups(tx, { ...project, ids }),
  );
  const environments = await existing(
    jobs.map(({ settings }) => settings.environment_id),
    (ids) => store.findEnvironments(tx, { ...project, ids }),
  );
  return ({ settings: { group_id, environment_id }, at }) => {
    const problems: Problem[] = [];
    const complain = (field: string, message: string) =>
      problems.push({ code: 'invalid_job', field, message });
    if (isText(group_id) && !groups.has(group_id))
      complain('group_id', 'no such group in the project');
    if (isText(environment_id) && !environments.has(environment_id)) {
      complain('environment_id', 'no such environment in the project');
    }
    return refusalOf(problems, at);
  };
}

async function existing(
  named: readonly (string | null | undefined)[],
  find: (ids: readonly string[]) => Promise<readonly { readonly id: string }[]>,
): Promise<ReadonlySet<string>> {
  const ids = [...new Set(named.filter(isText))];
  return new Set(ids.length === 0 ? [] : (await find(ids)).map(({ id }) => id));
}

const isText = (value: string | null | undefined): value is string => typeof value === 'string';
