// Values that programs trip over, and a random source that can be repeated.

export interface Random {
  /** 0 ≤ n < below. */
  below(below: number): number;
  pick<T>(from: readonly T[]): T;
}

/** mulberry32: the same seed gives the same choices on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    pick: (from) => {
      const picked = from[below(from.length)];
      if (picked === undefined && from.length === 0) throw new Error('nothing to pick from');
      return picked as (typeof from)[number];
    },
  };
}

/** JSON text that no value stands for: replaced after the body was made into text. */
export const raw = (text: string) => `@raw ${text} raw@`;

export const toText = (value: unknown): string =>
  (JSON.stringify(value) ?? '').replaceAll(/"@raw (.*?) raw@"/g, '$1');

const times = [
  '2026-13-45T00:00:00Z',
  '2026-02-30T00:00:00Z',
  '99999-01-01T00:00:00Z',
  '+099999-01-01T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999999999Z',
  '2026-06-30T23:59:60Z',
  '2026-11-24T24:00:00Z',
  '2026-11-24T02:00:00+99:99',
  '2026-11-24T02:00:00',
  '2026-11-24',
  '1900-01-01T00:00:00Z',
  'infinity',
  '-infinity',
  'now',
  'epoch',
  'tomorrow',
];

const names = [
  'Mars/Olympus_Mons',
  'UTC\n',
  'Europe/Berlin; drop table jobs',
  'GMT+99',
  '* * * * * * *',
  '99 99 99 99 99',
  '@reboot',
  '*/0 * * * *',
  '0 0 31 2 *',
  '0-59/0 * * * *',
  'http://',
  'http://169.254.169.254/latest/meta-data',
  'http://[::1]:1/',
  'http://user:password@example.com/',
  'http://exa mple.com/',
  'javascript:alert(1)',
  'file:///etc/passwd',
  `http://example.com/${'a'.repeat(3000)}`,
  'ftp://example.com',
];

const ids = [
  '00000000-0000-0000-0000-000000000000',
  '00000000-0000-7000-8000-000000000000',
  'ffffffff-ffff-7fff-bfff-ffffffffffff',
  '01A20B4E-D2DE-7949-A377-878F079DA077',
  '9f1c2b4e-2f0a-4c8e-9d55-0123456789ab',
  '{01a20b4e-d2de-7949-a377-878f079da077}',
  '01a20b4ed2de7949a377878f079da077',
  'ver_',
  'spawn-await:x',
];

const words = [
  '',
  ' ',
  '\t\r\n',
  'a'.repeat(257),
  'a'.repeat(10_000),
  '\0',
  'a\0b',
  '\ud800',
  'x\udfff',
  '\udc00\ud800',
  '😀'.repeat(300),
  'e\u0301\u202e\u200b\ufeff',
  '\u{10ffff}\ufffe',
  "' or 1=1 --",
  "'; drop table job_runs; --",
  '$1',
  '%',
  '_',
  '%_\\%',
  '\\',
  '"',
  '${7*7}',
  '{{7*7}}',
  '../../etc/passwd',
  'null',
  'undefined',
  'NaN',
  'true',
  '-1',
  '0',
  '1.5',
  '1e309',
  '0x10',
  '9'.repeat(400),
  '{}',
  '[]',
  '{"a":',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '(a+)+$',
  '[',
  'strait_',
  'Bearer x',
  '_trace_parent',
];

export const nastyTexts: readonly string[] = [...times, ...names, ...ids, ...words];

const nested = (depth: number, open: string, close: string) =>
  raw(`${open.repeat(depth)}1${close.repeat(depth)}`);

const schemas: readonly unknown[] = [
  { type: 'string', pattern: '^(a+)+$' },
  { type: 'object', properties: { a: { type: 'string', pattern: '(a|a)*b(a|a)*c(a|aa)+$' } } },
  { pattern: '[' },
  { $ref: '#' },
  { $ref: '#/definitions/none' },
  { $ref: 'http://169.254.169.254/schema' },
  { allOf: [{ $ref: '#' }] },
  { type: 'nothing' },
  { type: ['string', 5] },
  { required: 'a' },
  { properties: [] },
  { items: { items: { items: {} } }, minItems: -1, uniqueItems: 'yes' },
  { $id: 'http://a', $schema: 'http://b', format: 'date-time', 'x-extra': 1 },
  { enum: [] },
  { multipleOf: 0 },
  { patternProperties: { '(a+)+$': {} } },
];

export const nastyValues: readonly unknown[] = [
  ...nastyTexts,
  ...schemas,
  null,
  true,
  false,
  0,
  -0.0,
  -1,
  1.5,
  1e-9,
  11,
  256,
  2_147_483_647,
  2_147_483_648,
  -2_147_483_649,
  9_007_199_254_740_991,
  1e300,
  raw('NaN'),
  raw('Infinity'),
  raw('1e999'),
  raw('-1e999'),
  raw('9007199254740993'),
  raw('123456789012345678901234567890'),
  raw('01'),
  raw('.5'),
  raw('0x1f'),
  raw('"\\x00"'),
  raw("'single'"),
  raw('undefined'),
  raw(''),
  [],
  {},
  [[]],
  [null],
  [''],
  [{}],
  ['a', 1, null],
  Array.from({ length: 600 }, () => 'x'),
  Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`k${index}`, 'v'])),
  Object.fromEntries([['', '']]),
  Object.fromEntries([['a\0b', 'v']]),
  Object.fromEntries([['\ud800', 'v']]),
  Object.fromEntries([['k'.repeat(2000), 'v'.repeat(2000)]]),
  { a: { b: { c: '\0' } } },
  [['\udfff']],
  raw('{"__proto__":{"polluted":true}}'),
  raw('{"constructor":{"prototype":{"polluted":true}}}'),
  raw('{"a":1,"a":2}'),
  nested(60, '[', ']'),
  nested(101, '{"a":', '}'),
  nested(5_000, '[', ']'),
  nested(50_000, '{"a":', '}'),
];

/** As they stand in a URL: already encoded, or on purpose not. */
export const nastyPaths: readonly string[] = [
  ...nastyTexts.filter((text) => text !== '' && text.isWellFormed()).map(encodeURIComponent),
  '%00',
  'a%00b',
  '%',
  '%zz',
  '%c0%80',
  '%ed%a0%80',
  '%ff',
  '%2e%2e',
  '%2F%2F',
  '..%2f..',
  'a+b',
  'a;b=c',
  'a'.repeat(6_000),
];

export const nastyHeaders: readonly (readonly [string, string])[] = [
  ['x-idempotency-key', 'k'.repeat(10_000)],
  ['idempotency-key', 'k'.repeat(257)],
  ['idempotency-key', ''],
  ['x-idempotency-key', '\u00ff\u00fe'],
  ['x-request-id', 'has spaces and "quotes"'],
  ['x-request-id', 'r'.repeat(5_000)],
  ['last-event-id', 'not an id'],
  ['last-event-id', '-1'],
  ['last-event-id', '9'.repeat(500)],
  ['last-event-id', '00000000-0000-0000-0000-000000000000'],
  ['traceparent', 'garbage'],
  ['traceparent', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-00`],
  ['traceparent', 't'.repeat(9_000)],
  ['tracestate', '='.repeat(5_000)],
  ['x-sdk-version', 'v'.repeat(3_000)],
  ['x-sdk-version', '99999999999999999999.1'],
  ['content-type', 'text/xml'],
  ['content-type', 'application/json; charset=utf-16'],
  ['content-type', 'multipart/form-data; boundary=x'],
  ['content-type', ''],
  ['content-encoding', 'gzip'],
  ['content-length', '3'],
  ['accept', 'application/xml;q=banana'],
  ['x-http-method-override', 'DELETE'],
  ['x-forwarded-for', 'not an address, 999.999.1.1'],
  ['origin', 'null'],
  ['range', 'bytes=5-1'],
  ['if-match', '*'],
  ['cookie', '='.repeat(3_000)],
];
