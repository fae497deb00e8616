// What a project allows its workflows to look like (workflow-semantics §5). 0, empty and false mean no limit.
import type { StepDefinition } from './definition.ts';
import { compileGraph, topologicalOrder, type Graph } from './graph.ts';

export interface WorkflowPolicy {
  readonly max_fan_out: number;
  readonly max_depth: number;
  readonly forbidden_step_types: readonly string[];
  readonly require_approval_for_deploy: boolean;
}

export interface PolicyViolation {
  readonly rule: keyof WorkflowPolicy;
  readonly step_ref: string;
  readonly message: string;
}

/** The first rule the steps break, or null. Steps must be a valid definition. */
export function policyViolation(
  steps: readonly StepDefinition[],
  policy: WorkflowPolicy,
): PolicyViolation | null {
  const graph = compileGraph(steps);
  return (
    fanOutViolation(graph, policy.max_fan_out) ??
    depthViolation(graph, policy.max_depth) ??
    typeViolation(graph, policy.forbidden_step_types) ??
    (policy.require_approval_for_deploy ? deployViolation(graph) : null)
  );
}

const violation = (
  rule: PolicyViolation['rule'],
  step_ref: string,
  message: string,
): PolicyViolation => ({ rule, step_ref, message: `step ${step_ref} ${message}` });

function fanOutViolation(graph: Graph, limit: number): PolicyViolation | null {
  if (limit <= 0) return null;
  const at = graph.dependents.findIndex((dependents) => dependents.length > limit);
  const step = graph.steps[at];
  return step
    ? violation(
        'max_fan_out',
        step.step_ref,
        `has ${graph.dependents[at]?.length} direct dependents, the project allows ${limit}`,
      )
    : null;
}

function depthViolation(graph: Graph, limit: number): PolicyViolation | null {
  if (limit <= 0) return null;
  const depths: number[] = [];
  for (const index of topologicalOrder(graph).order) {
    const above = (graph.dependencies[index] ?? []).map((dependency) => depths[dependency] ?? 0);
    const depth = 1 + Math.max(0, ...above);
    depths[index] = depth;
    const step = graph.steps[index];
    if (step && depth > limit)
      return violation('max_depth', step.step_ref, `is ${depth} deep, the project allows ${limit}`);
  }
  return null;
}

function typeViolation(graph: Graph, forbidden: readonly string[]): PolicyViolation | null {
  const types = new Set(forbidden.map((type) => type.trim().toLowerCase()).filter(Boolean));
  const step = graph.steps.find(({ step_type }) => types.has(step_type));
  return step
    ? violation('forbidden_step_types', step.step_ref, `is of the forbidden type ${step.step_type}`)
    : null;
}

/** Every deploy step has an approval among its ancestors. */
function deployViolation(graph: Graph): PolicyViolation | null {
  const approved: boolean[] = [];
  for (const index of topologicalOrder(graph).order) {
    const step = graph.steps[index];
    if (!step) continue;
    const isCovered = (graph.dependencies[index] ?? []).some(
      (dependency) =>
        approved[dependency] === true || graph.steps[dependency]?.step_type === 'approval',
    );
    approved[index] = isCovered;
    const isDeploy = step.step_type === 'job' && /deploy|release/i.test(step.step_ref);
    if (isDeploy && !isCovered)
      return violation(
        'require_approval_for_deploy',
        step.step_ref,
        'deploys without an approval before it',
      );
  }
  return null;
}
