// What templates and conditions of a step may see, loaded no further than they look.
import type { ConditionScope } from './conditions.ts';
import { pathsOfCondition } from './conditions.ts';
import type { JsonValue, StepDefinition } from './definition.ts';
import { outputOf, stateAt, stepAt, type Draft } from './draft.ts';
import { statusOf } from './states.ts';
import {
  pathsIn,
  render,
  renderPayload,
  scopeOf,
  stringForm,
  type ScopeParts,
} from './templates.ts';

/** Undefined, here and below, when something is not loaded; the draft has asked for it. */
export function conditionScope(
  draft: Draft,
  index: number,
  condition: JsonValue,
): ConditionScope | undefined {
  const paths = pathsOfCondition(condition).map((path) => path.split('.'));
  const parts = scopeParts(draft, index, {
    payload: paths.some(([head]) => head !== 'outputs' && head !== 'parent_outputs'),
    parents: paths.some(([head]) => head === 'parent_outputs'),
  });
  const outputs = outputsRead(draft, paths);
  if (!parts || !outputs) return undefined;
  const scope = scopeOf(parts);
  return {
    head: (name) => (name === 'outputs' ? Object.fromEntries(outputs) : scope.head(name)),
    status: (step_ref) => {
      const at = draft.graph.indexOf.get(step_ref);
      return at === undefined ? undefined : statusOf(stateAt(draft, at));
    },
  };
}

/** Outputs of completed steps named by `outputs.<ref>`, or of all for `outputs` alone. */
function outputsRead(
  draft: Draft,
  paths: readonly (readonly string[])[],
): Map<string, JsonValue> | undefined {
  const named = paths.filter(([head]) => head === 'outputs');
  if (named.some((path) => path.length === 1)) return loaded(draft, [...draft.states.keys()]);
  return loaded(
    draft,
    named.flatMap(([, step_ref = '']) => draft.graph.indexOf.get(step_ref) ?? []),
  );
}

function loaded(draft: Draft, indexes: readonly number[]): Map<string, JsonValue> | undefined {
  const found = new Map<string, JsonValue>();
  let complete = true;
  for (const index of indexes) {
    if (draft.states[index] !== 'completed') continue;
    const output = outputOf(draft, index);
    if (output === undefined) complete = false;
    else if (output !== null) found.set(stepAt(draft, index).step_ref, output);
  }
  return complete ? found : undefined;
}

export function scopeParts(
  draft: Draft,
  index: number,
  reads: { readonly payload: boolean; readonly parents: boolean },
): ScopeParts | undefined {
  const { payload, run } = draft.known;
  if (reads.payload && !payload) draft.needs.payload = true;
  const parent_outputs = reads.parents
    ? loaded(draft, draft.graph.dependencies[index] ?? [])
    : new Map<string, JsonValue>();
  if ((reads.payload && !payload) || !parent_outputs) return undefined;
  const { step_ref } = stepAt(draft, index);
  const fallbacks = { workflow_run_id: run.id, workflow_id: run.workflow_id, step_ref };
  return { payload: payload?.value ?? null, parent_outputs, fallbacks };
}

/** No more than the templates mention. */
export const partsFor = (draft: Draft, index: number, ...templates: readonly JsonValue[]) => {
  const heads = templates.flatMap(pathsIn).map((path) => path.split('.')[0]);
  return scopeParts(draft, index, {
    payload: heads.some((head) => head !== 'parent_outputs'),
    parents: heads.includes('parent_outputs'),
  });
};

/** What the run that continues this one gets. @throws RenderedTooLarge */
export function handedOn(
  draft: Draft,
  index: number,
  { payload }: StepDefinition,
): JsonValue | undefined {
  const template = payload ?? '{{payload}}';
  const parts = partsFor(draft, index, template);
  return parts && renderPayload(template, scopeOf(parts), draft.known.limits.max_payload_bytes);
}

/** The list that `map_items` gives, or why there is none. */
export function itemsFor(
  draft: Draft,
  index: number,
  template: JsonValue,
): readonly JsonValue[] | { readonly error: string } | undefined {
  const parts = partsFor(draft, index, template);
  if (!parts) return undefined;
  const items = render(template, scopeOf(parts));
  if (Array.isArray(items)) return items as readonly JsonValue[];
  const isUnknown = items === template && pathsIn(template).length > 0;
  const missing = isUnknown ? `: ${stringForm(items)} is not there` : '';
  return { error: `map_items is not a list${missing}` };
}
