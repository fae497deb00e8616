// Conditions of steps: what is wrong with one, and whether it holds (workflow-semantics §7).
import { RE2JS } from 're2js';
import type { JsonValue } from './definition.ts';
import { stepStatuses } from './states.ts';
import {
  RenderedTooLarge,
  isObject,
  isPath,
  lookUp,
  pathsIn,
  render,
  stringForm,
  wholePath,
  type Scope,
} from './templates.ts';

const MAX_DEPTH = 32;
const MAX_NODES = 256;
const MAX_PATTERN = 1000;
const MAX_REGEX_INPUT = 10_000;
/** Longer operands are cut in the explanation of a decision. */
const MAX_SHOWN = 500;

type Node = { readonly [key: string]: JsonValue };

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  step_status: ['step_ref', 'status'],
  step_status_in: ['step_ref', 'statuses'],
  not: ['condition'],
  all_of: ['conditions'],
  any_of: ['conditions'],
  eq: ['left', 'right'],
  ne: ['left', 'right'],
  gt: ['left', 'right'],
  gte: ['left', 'right'],
  lt: ['left', 'right'],
  lte: ['left', 'right'],
  contains: ['left', 'right'],
  in: ['left', 'right'],
  regex: ['left', 'right'],
  exists: ['operand'],
};
const NUMERIC: ReadonlySet<string> = new Set(['gt', 'gte', 'lt', 'lte']);

const hasPlaceholder = (text: string) => pathsIn(text).length > 0;

/** The first thing wrong with a condition, with the path to it; null for none. */
export function conditionProblem(
  condition: JsonValue,
  isStep: (step_ref: string) => boolean,
): { path: string; message: string } | null {
  let nodes = 0;
  const check = (value: JsonValue | undefined, path: string, depth: number): string[] | null => {
    if (depth > MAX_DEPTH) return [path, `conditions nest at most ${MAX_DEPTH} deep`];
    nodes += 1;
    if (nodes > MAX_NODES) return [path, `a condition has at most ${MAX_NODES} nodes`];
    if (!isObject(value)) return [path, 'must be an object with a type'];
    const type = value['type'];
    if (typeof type !== 'string' || !Object.hasOwn(MEMBERS, type))
      return [`${path}.type`, typeProblem(type)];
    const members = MEMBERS[type] ?? [];
    for (const name of members)
      if (!Object.hasOwn(value, name)) return [`${path}.${name}`, `is required for ${type}`];
    for (const name of Object.keys(value))
      if (name !== 'type' && !members.includes(name))
        return [`${path}.${name}`, `is not a member of ${type}`];
    return checkMembers(type, value, path, depth);
  };
  const checkMembers = (type: string, node: Node, path: string, depth: number): string[] | null => {
    switch (type) {
      case 'step_status':
      case 'step_status_in': {
        const step_ref = node['step_ref'];
        if (typeof step_ref !== 'string' || !isStep(step_ref))
          return [`${path}.step_ref`, `unknown step ${JSON.stringify(step_ref)}`];
        const name = type === 'step_status' ? 'status' : 'statuses';
        const statuses = type === 'step_status' ? [node['status']] : node['statuses'];
        if (!Array.isArray(statuses)) return [`${path}.${name}`, 'must be a list'];
        const wrong = statuses.find((it) => typeof it !== 'string' || !stepStatuses.isState(it));
        return wrong === undefined
          ? null
          : [`${path}.${name}`, `${JSON.stringify(wrong)} is no status of a step`];
      }
      case 'not':
        return check(node['condition'], `${path}.condition`, depth + 1);
      case 'all_of':
      case 'any_of': {
        const inner = node['conditions'];
        if (!Array.isArray(inner)) return [`${path}.conditions`, 'must be a list'];
        for (const [index, one] of inner.entries()) {
          const problem = check(one, `${path}.conditions[${index}]`, depth + 1);
          if (problem) return problem;
        }
        return null;
      }
      default:
        for (const name of MEMBERS[type] ?? []) {
          const problem = operandProblem(node[name] ?? null, `${path}.${name}`);
          if (problem) return problem;
          if (NUMERIC.has(type) && cannotBeNumber(node[name] ?? null))
            return [`${path}.${name}`, 'must be a number'];
        }
        return type === 'in' || type === 'regex' ? rightProblem(type, node, path) : null;
    }
  };
  const found = check(condition, 'condition', 1);
  return found ? { path: found[0] ?? '', message: found[1] ?? '' } : null;
}

function operandProblem(operand: JsonValue, path: string): string[] | null {
  if (!isObject(operand)) return null;
  const keys = Object.keys(operand);
  const [key = ''] = keys;
  if (keys.length !== 1 || !['value', 'step_ref', 'path'].includes(key))
    return [path, 'must be a literal, or an object with one of value, step_ref, path'];
  if (key === 'value') return null;
  const text = operand[key];
  if (typeof text !== 'string') return [`${path}.${key}`, 'must be a string'];
  return key === 'path' && !isPath(text) ? [`${path}.path`, 'is not a path'] : null;
}

/** Known when the definition is saved: no run can make a number of it. */
function cannotBeNumber(operand: JsonValue): boolean {
  if (typeof operand === 'string') return !hasPlaceholder(operand);
  if (!isObject(operand)) return typeof operand !== 'number';
  if (Object.hasOwn(operand, 'value')) return typeof operand['value'] !== 'number';
  return Object.hasOwn(operand, 'step_ref');
}

function rightProblem(type: string, node: Node, path: string): string[] | null {
  const operand = node['right'] ?? null;
  const literal = isObject(operand) ? operand['value'] : operand;
  if (literal === undefined) return null; // known at run time only
  const template = !isObject(operand) && typeof literal === 'string' && hasPlaceholder(literal);
  if (template) return null;
  if (type === 'in') return Array.isArray(literal) ? null : [`${path}.right`, 'must be a list'];
  const problem = compile(stringForm(literal));
  return typeof problem === 'string' ? [`${path}.right`, problem] : null;
}

/** Linear-time patterns only: no look-around, no back-references. */
function compile(pattern: string): RE2JS | string {
  if (pattern.length > MAX_PATTERN) return `patterns have at most ${MAX_PATTERN} characters`;
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A condition that has no answer. Its message says why; the step fails with it. */
export class ConditionError extends Error {}

export interface ConditionScope extends Scope {
  /** Status of a step, undefined for an unknown one. */
  readonly status: (step_ref: string) => string | undefined;
}

export interface Verdict {
  readonly holds: boolean;
  /** What the comparisons that were made compared. */
  readonly operands: readonly JsonValue[];
}

/** @throws ConditionError */
export function evaluate(condition: JsonValue, scope: ConditionScope): Verdict {
  const operands: JsonValue[] = [];
  const statusOf = (step_ref: JsonValue | undefined): string => {
    const status = typeof step_ref === 'string' ? scope.status(step_ref) : undefined;
    if (status === undefined) throw new ConditionError(`unknown step ${JSON.stringify(step_ref)}`);
    operands.push({ step_ref: step_ref ?? null, status });
    return status;
  };
  const holds = (node: JsonValue | undefined): boolean => {
    if (!isObject(node)) throw new ConditionError('a condition must be an object');
    const type = node['type'];
    const compare = (name: string) => operandValue(node[name], name, scope);
    switch (type) {
      case 'step_status':
        return statusOf(node['step_ref']) === node['status'];
      case 'step_status_in':
        return list(node['statuses'], 'statuses').includes(statusOf(node['step_ref']));
      case 'not':
        return !holds(node['condition']);
      case 'all_of':
        return list(node['conditions'], 'conditions').every(holds);
      case 'any_of':
        return list(node['conditions'], 'conditions').some(holds);
      case 'exists': {
        const operand = compare('operand');
        operands.push({ operand: shown(operand) });
        return operand !== null && operand !== '';
      }
      default: {
        if (typeof type !== 'string' || !Object.hasOwn(MEMBERS, type))
          throw new ConditionError(typeProblem(type));
        const left = compare('left');
        const right = compare('right');
        operands.push({ left: shown(left), right: shown(right) });
        if (NUMERIC.has(type))
          return holdsOf(type, number(node, 'left', left), number(node, 'right', right));
        return holdsBetween(type, left, right);
      }
    }
  };
  const answer = condition === null || holds(condition);
  return { holds: answer, operands };
}

function holdsOf(type: string, left: number, right: number): boolean {
  switch (type) {
    case 'gt':
      return left > right;
    case 'gte':
      return left >= right;
    case 'lt':
      return left < right;
    default:
      return left <= right;
  }
}

function holdsBetween(type: string, left: JsonValue, right: JsonValue): boolean {
  switch (type) {
    case 'eq':
      return stringForm(left) === stringForm(right);
    case 'ne':
      return stringForm(left) !== stringForm(right);
    case 'contains':
      return Array.isArray(left)
        ? left.some((element) => stringForm(element) === stringForm(right))
        : stringForm(left).includes(stringForm(right));
    case 'in':
      return list(right, 'right').some((element) => stringForm(element) === stringForm(left));
    default: {
      const pattern = compile(stringForm(right));
      if (typeof pattern === 'string') throw new ConditionError(pattern);
      const input = stringForm(left);
      if (input.length > MAX_REGEX_INPUT)
        throw new ConditionError(`regex input has more than ${MAX_REGEX_INPUT} characters`);
      return pattern.matcher(input).find();
    }
  }
}

function operandValue(
  operand: JsonValue | undefined,
  name: string,
  scope: ConditionScope,
): JsonValue {
  if (operand === undefined) throw new ConditionError(`${name} is missing`);
  // What is not there is null here, not the text of its placeholder: that text would exist, and differ from "".
  const whole = typeof operand === 'string' ? wholePath(operand) : undefined;
  if (whole !== undefined) return lookUp(whole, scope) ?? null;
  if (!isObject(operand)) return rendered(operand, name, scope);
  if (Object.hasOwn(operand, 'value')) return operand['value'] ?? null;
  const { step_ref, path } = operand;
  if (typeof step_ref === 'string') return scope.status(step_ref) ?? '';
  if (typeof path === 'string') return lookUp(path, scope) ?? null;
  throw new ConditionError(`${name} is not an operand`);
}

function rendered(operand: JsonValue, name: string, scope: ConditionScope): JsonValue {
  try {
    return render(operand, scope);
  } catch (error) {
    if (error instanceof RenderedTooLarge) throw new ConditionError(`${name} is too large`);
    throw error;
  }
}

function list(value: JsonValue | undefined, name: string): readonly JsonValue[] {
  if (!Array.isArray(value)) throw new ConditionError(`${name} is not a list`);
  return value as readonly JsonValue[];
}

function number(node: Node, name: string, value: JsonValue): number {
  if (typeof value === 'number') return value;
  const said = pathsOfCondition(node[name] ?? null);
  const where = said.length > 0 ? ` (${said.join(', ')})` : '';
  throw new ConditionError(`${name}${where} is ${JSON.stringify(shown(value))}, not a number`);
}

function typeProblem(type: JsonValue | undefined): string {
  const known = `one of ${Object.keys(MEMBERS).join(', ')}`;
  return type === undefined
    ? `is required: ${known}`
    : `${JSON.stringify(type)} is no type of condition: ${known}`;
}

function shown(value: JsonValue): JsonValue {
  const text = JSON.stringify(value);
  // The cut may go through a character of two halves; the database takes no half.
  return text.length <= MAX_SHOWN ? value : `${text.slice(0, MAX_SHOWN).toWellFormed()}…`;
}

/** The paths a condition may look up, so that a store loads no more than these. */
export function pathsOfCondition(condition: JsonValue): string[] {
  if (Array.isArray(condition)) return condition.flatMap((one: JsonValue) => pathsOfCondition(one));
  if (!isObject(condition)) return pathsIn(condition);
  const { path } = condition;
  const own = Object.keys(condition).length === 1 && typeof path === 'string' ? [path] : [];
  return [...own, ...Object.values(condition).flatMap((inner) => pathsOfCondition(inner))];
}
