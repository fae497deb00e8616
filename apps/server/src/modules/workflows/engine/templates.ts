// `{{path}}` in payloads, keys and conditions, and the payload a step's work gets (workflow-semantics §8).
import type { JsonValue } from './definition.ts';

/** What a path may start with, and its value. `undefined` is not found; null is a value. */
export interface Scope {
  readonly head: (name: string) => JsonValue | undefined;
}

const SEGMENT = String.raw`[A-Za-z0-9_-]+`;
const PATH = String.raw`${SEGMENT}(?:\.${SEGMENT})*`;
const PLACEHOLDER = new RegExp(String.raw`\{\{[ \t]*(${PATH})[ \t]*\}\}`, 'g');
const WHOLE = new RegExp(String.raw`^\{\{[ \t]*(${PATH})[ \t]*\}\}$`);
const WHOLE_PATH = new RegExp(`^${PATH}$`);

export const isPath = (text: string): boolean => WHOLE_PATH.test(text);

/** The path of a text that is one placeholder and nothing else. */
export const wholePath = (text: string): string | undefined => WHOLE.exec(text)?.[1];

export interface ScopeParts {
  readonly payload: JsonValue;
  /** Direct dependencies with an output that is not null. */
  readonly parent_outputs: ReadonlyMap<string, JsonValue>;
  /** Names that win over everything, such as `item` in a map. */
  readonly names?: Readonly<Record<string, JsonValue>>;
  /** Names the trigger payload may shadow: `workflow_run_id`, `workflow_id`, `step_ref`. */
  readonly fallbacks: Readonly<Record<string, JsonValue>>;
}

export function scopeOf(parts: ScopeParts): Scope {
  return {
    head: (name) => {
      if (parts.names && Object.hasOwn(parts.names, name)) return parts.names[name];
      if (name === 'payload') return parts.payload;
      if (name === 'parent_outputs') return Object.fromEntries(parts.parent_outputs);
      const shadow = member(parts.payload, name);
      if (shadow !== undefined) return shadow;
      return Object.hasOwn(parts.fallbacks, name) ? parts.fallbacks[name] : undefined;
    },
  };
}

export function isObject(
  value: JsonValue | undefined,
): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (Array.isArray(value))
    return /^\d+$/.test(name) ? (value[Number(name)] as JsonValue) : undefined;
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function lookUp(path: string, scope: Scope): JsonValue | undefined {
  const [head = '', ...rest] = path.split('.');
  let value = scope.head(head);
  for (const name of rest) value = member(value, name);
  return value;
}

/** How a value reads inside a longer text, and in comparisons. */
export function stringForm(value: JsonValue): string {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  if (typeof value === 'number')
    return Number.isInteger(value) ? BigInt(value).toString() : String(value);
  if (typeof value === 'boolean') return String(value);
  return JSON.stringify(value);
}

/** A short template can name the same large value a thousand times. Nothing of it is made then. */
export class RenderedTooLarge extends Error {}

/** Characters that placeholders may bring. Where nobody says less, only to stay far below what breaks the program. */
const MOST_RENDERED = 16 * 1024 * 1024;
/** Of a key, which has at most 512 bytes. */
const MOST_IN_KEY = 64 * 1024;

interface Room {
  left: number;
}

/**
 * Values of strings are rendered, once; keys never, and unknown paths stay as they are written.
 * @throws RenderedTooLarge
 */
export const render = (value: JsonValue, scope: Scope, most = MOST_RENDERED): JsonValue =>
  renderInto(value, scope, { left: most });

/** Levels of what a run hands on to the run that continues it. */
const MOST_NESTED = 500;

/**
 * What a run hands on. Each may wrap what it got: of a thousand, the last would get more than anything could read.
 * @throws RenderedTooLarge
 */
export function renderPayload(value: JsonValue, scope: Scope, most_bytes: number): JsonValue {
  const payload = render(value, scope, most_bytes);
  if (isDeeper(payload, MOST_NESTED) || Buffer.byteLength(JSON.stringify(payload)) > most_bytes)
    throw new RenderedTooLarge('the payload is too large');
  return payload;
}

const isDeeper = (value: JsonValue, levels: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner: JsonValue) => isDeeper(inner, levels - 1)));

function renderInto(value: JsonValue, scope: Scope, room: Room): JsonValue {
  if (typeof value === 'string') {
    const whole = wholePath(value);
    if (whole === undefined) return renderText(value, scope, room);
    const found = lookUp(whole, scope);
    if (found === undefined) return value;
    take(room, typeof found === 'object' ? JSON.stringify(found) : stringForm(found));
    return found;
  }
  if (Array.isArray(value))
    return value.map((element: JsonValue) => renderInto(element, scope, room));
  if (isObject(value)) return mapValues(value, (inner) => renderInto(inner, scope, room));
  return value;
}

function take(room: Room, text: string): string {
  room.left -= text.length;
  if (room.left < 0) throw new RenderedTooLarge('placeholders bring too much');
  return text;
}

function mapValues(
  value: { readonly [key: string]: JsonValue },
  change: (inner: JsonValue) => JsonValue,
): JsonValue {
  // fromEntries defines own properties, so a key `__proto__` stays a key.
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner)]));
}

function renderText(text: string, scope: Scope, room: Room): string {
  return text.replaceAll(PLACEHOLDER, (placeholder: string, path: string) => {
    const value = lookUp(path, scope);
    return value === undefined ? placeholder : take(room, stringForm(value));
  });
}

/** A key of an event, or why there is none. Asked of the template, so that data with braces is just data. */
export function renderKey(template: string, scope: Scope): { key: string } | { error: string } {
  for (const path of pathsIn(template))
    if (lookUp(path, scope) === undefined)
      return { error: `event key has unresolved placeholder {{${path}}}` };
  const key = keyText(template, scope);
  if (key === undefined) return { error: 'event key must be 1 to 512 bytes, not so many more' };
  const bytes = Buffer.byteLength(key);
  if (bytes < 1 || bytes > 512) return { error: `event key must be 1 to 512 bytes, not ${bytes}` };
  if (hasControlCharacter(key)) return { error: 'event key must not contain control characters' };
  return { key };
}

function keyText(template: string, scope: Scope): string | undefined {
  try {
    return renderText(template, scope, { left: MOST_IN_KEY });
  } catch (error) {
    if (error instanceof RenderedTooLarge) return undefined;
    throw error;
  }
}

/** Whether any byte is below 0x20. */
export const hasControlCharacter = (text: string): boolean =>
  Array.from(text).some((character) => character < ' ');

/** The paths of all placeholders in the strings of a value. */
export function pathsIn(value: JsonValue): string[] {
  if (typeof value === 'string')
    return [...value.matchAll(PLACEHOLDER)].map(([, path = '']) => path);
  if (Array.isArray(value)) return value.flatMap((element: JsonValue) => pathsIn(element));
  if (isObject(value)) return Object.values(value).flatMap(pathsIn);
  return [];
}

/**
 * The payload of a job or child run (§8.1): trigger payload, over it the rendered payload of the step, and
 * `parent_outputs` when a direct dependency has an output. Null stands for absent.
 */
export function mergePayload(
  trigger: JsonValue,
  rendered: JsonValue,
  parentOutputs: ReadonlyMap<string, JsonValue>,
): JsonValue {
  if ((trigger !== null && !isObject(trigger)) || (rendered !== null && !isObject(rendered)))
    return rendered ?? trigger;
  return {
    ...trigger,
    ...rendered,
    ...(parentOutputs.size > 0 ? { parent_outputs: Object.fromEntries(parentOutputs) } : {}),
  };
}

export interface ChildPayloadParts extends ScopeParts {
  /** The payload of the map step, not rendered. */
  readonly template: JsonValue;
  readonly item: JsonValue;
  readonly index: number;
}

/**
 * What a child of a map gets: the payload of its step, in which `item` and `index` are names, or those two when there is none.
 * Nothing comes with it unasked: the list that a map goes through is mostly in what the run or a step before it brought, and ten
 * thousand children would get it ten thousand times.
 * @throws RenderedTooLarge
 */
export function childPayload(parts: ChildPayloadParts, most?: number): JsonValue {
  const { item, index, template } = parts;
  const scope = scopeOf({ ...parts, names: { item, index } });
  return template === null ? { item, index } : render(template, scope, most);
}
