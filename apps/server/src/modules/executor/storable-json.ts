// A handler may answer anything; PostgreSQL's jsonb refuses NUL characters, lone surrogates and numbers beyond
// its range. What it would refuse is replaced here, so that one odd reply never fails a batch of others.

const SUSPECT = /\\u(?:0000|[dD][89a-fA-F])|[eE][+-]?\d{4,}|\d{400,}/;
const MAX_DEPTH = 1000;

/**
 * JSON text to store for a reply body: undefined for an empty body, the text itself when it is JSON, the text as
 * a JSON string otherwise.
 */
export function storableJson(text: string): string | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch {
    return JSON.stringify(text.replaceAll('\u0000', '\uFFFD').toWellFormed());
  }
  if (SUSPECT.test(trimmed)) return JSON.stringify(clean(value, 0));
  return tooDeep(trimmed) ? JSON.stringify(trimmed) : trimmed;
}

function clean(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) return null;
  if (typeof value === 'string') return value.replaceAll('\u0000', '\uFFFD').toWellFormed();
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [clean(key, depth), clean(item, depth + 1)]),
    );
  }
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

/** jsonb input recurses; a few kilobytes of `[` must not hit its stack limit. Counts brackets, ignoring strings roughly. */
function tooDeep(text: string): boolean {
  if (text.length < MAX_DEPTH * 2) return false;
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (quoted) {
      if (code === 92) index++;
      else if (code === 34) quoted = false;
    } else if (code === 34) quoted = true;
    else if (code === 91 || code === 123) {
      depth += 1;
      if (depth > MAX_DEPTH) return true;
    } else if (code === 93 || code === 125) depth -= 1;
  }
  return false;
}
