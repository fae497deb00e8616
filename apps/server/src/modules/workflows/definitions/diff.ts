// What one version of a workflow has that another has not. Pure.
import type { StepDefinition } from '../engine/definition.ts';
import { byText } from '../engine/graph.ts';
import { settingNames, type WorkflowSettings } from './settings.ts';

export interface FieldChange {
  readonly name: string;
  readonly from: unknown;
  readonly to: unknown;
}

export interface Version {
  readonly settings: WorkflowSettings;
  readonly steps: readonly StepDefinition[];
}

export interface VersionDiff {
  readonly added_steps: readonly string[];
  readonly removed_steps: readonly string[];
  readonly changed_steps: readonly {
    readonly step_ref: string;
    readonly fields: readonly FieldChange[];
  }[];
  readonly workflow_changes: readonly FieldChange[];
}

/** Steps by name, fields in the order they have. The order of `depends_on` means nothing. */
export function diffVersions(from: Version, to: Version): VersionDiff {
  const [before, after] = [byRef(from.steps), byRef(to.steps)];
  const refs = [...new Set([...before.keys(), ...after.keys()])].sort(byText);
  return {
    added_steps: refs.filter((ref) => !before.has(ref)),
    removed_steps: refs.filter((ref) => !after.has(ref)),
    changed_steps: refs.flatMap((step_ref) => {
      const [a, b] = [before.get(step_ref), after.get(step_ref)];
      if (!a || !b) return [];
      const fields = changesBetween(sorted(a), sorted(b), Object.keys(a));
      return fields.length === 0 ? [] : [{ step_ref, fields }];
    }),
    workflow_changes: changesBetween(from.settings, to.settings, settingNames),
  };
}

const byRef = (steps: readonly StepDefinition[]) =>
  new Map(steps.map((step) => [step.step_ref, step]));

const sorted = (step: StepDefinition): StepDefinition => ({
  ...step,
  depends_on: step.depends_on.toSorted(byText),
});

function changesBetween(from: object, to: object, names: readonly string[]): FieldChange[] {
  const [a, b] = [from, to] as Readonly<Record<string, unknown>>[];
  return names.flatMap((name) => {
    const change = { name, from: a?.[name] ?? null, to: b?.[name] ?? null };
    return JSON.stringify(change.from) === JSON.stringify(change.to) ? [] : [change];
  });
}
