import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createKeyring, parseEncryptionKey, UnsealError } from './keyring.ts';
import { signRunToken, verifyRunToken } from './run-token.ts';
import { matchesAnySecret, secretsEqual } from './secret-compare.ts';
import { signBody, verifyBody } from './signature.ts';

const KEY = 'k'.repeat(32);
const OTHER = 'o'.repeat(32);
const claims = { run_id: '0199-run', attempt: 2, claim_seq: 7, expires_at_secs: 2_000 };

test('a body is signed as the published vector says', () => {
  assert.equal(
    signBody('s', 1_700_000_000, '{}'),
    'v1=e9232c9945da8456c2dea6b39da7786c07b00bca7a64d5dd1283674713a7b72a',
  );
});

test('a signature is valid for its secret, body and five minutes only', () => {
  const given = { signature: signBody('s', 1_000, 'body'), timestamp_secs: 1_000, now_secs: 1_300 };
  assert.equal(verifyBody('s', given, 'body'), true);
  assert.equal(verifyBody('s', given, Buffer.from('body')), true);
  assert.equal(verifyBody('t', given, 'body'), false);
  assert.equal(verifyBody('s', given, 'other'), false);
  assert.equal(verifyBody('s', { ...given, now_secs: 1_301 }, 'body'), false);
  assert.equal(verifyBody('s', { ...given, now_secs: NaN }, 'body'), false);
  assert.equal(verifyBody('s', { ...given, signature: '' }, 'body'), false);
});

test('a run token gives its claims back until it expires', () => {
  const token = signRunToken(claims, KEY);
  const expected = { run_id: '0199-run', attempt: 2, claim_seq: 7 };
  assert.deepEqual(verifyRunToken(token, [KEY], 1_999), expected);
  assert.deepEqual(verifyRunToken(token, [OTHER, KEY], 1_999), expected);
  assert.equal(verifyRunToken(token, [KEY], 2_000), undefined);
  assert.equal(verifyRunToken(token, [OTHER], 1_999), undefined);
  assert.equal(verifyRunToken(token, [], 1_999), undefined);
  const first = signRunToken({ ...claims, claim_seq: null }, KEY);
  assert.equal(verifyRunToken(first, [KEY], 0)?.claim_seq, null);
});

test('a run token is a standard HS256 JWT', () => {
  const [header, payload, signature] = signRunToken({ ...claims, issued_at_secs: 5 }, KEY).split(
    '.',
  );
  assert.deepEqual(JSON.parse(Buffer.from(String(header), 'base64url').toString()), {
    alg: 'HS256',
    typ: 'JWT',
  });
  assert.deepEqual(JSON.parse(Buffer.from(String(payload), 'base64url').toString()), {
    iss: 'strait',
    sub: '0199-run',
    attempt: 2,
    claim: 7,
    iat: 5,
    exp: 2_000,
  });
  assert.equal(
    signature,
    createHmac('sha256', KEY).update(`${header}.${payload}`).digest('base64url'),
  );
});

test('a changed, foreign or malformed run token is refused', () => {
  const forge = (header: object, payload: unknown, key = KEY) => {
    const signed = [header, payload]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
  };
  const good = { iss: 'strait', sub: 'r', attempt: 1, claim: 1, iat: 0, exp: 2_000 };
  const header = { alg: 'HS256', typ: 'JWT' };
  assert.ok(verifyRunToken(forge(header, good), [KEY], 0));
  const refused = [
    forge({ alg: 'none', typ: 'JWT' }, good),
    forge({ alg: 'HS512', typ: 'JWT' }, good),
    forge({ ...header, kid: 'x' }, good),
    forge(header, { ...good, iss: 'other' }),
    forge(header, { ...good, exp: '2000' }),
    forge(header, { ...good, sub: 3 }),
    forge(header, { ...good, attempt: 1.5 }),
    forge(header, { ...good, claim: undefined }),
    forge(header, null),
    forge(header, 'text'),
    `${forge(header, good)}=`,
    forge(header, good).slice(0, -1),
    '',
    '.',
    '..',
    'a.b.c',
    'x'.repeat(5_000),
  ];
  for (const token of refused)
    assert.equal(verifyRunToken(token, [KEY], 0), undefined, token.slice(0, 80));

  const token = signRunToken(claims, KEY);
  fc.assert(
    fc.property(
      fc.nat(token.length - 1),
      fc.constantFrom('A', 'z', '_', '.', '='),
      (at, letter) => {
        const changed = token.slice(0, at) + letter + token.slice(at + 1);
        return changed === token || verifyRunToken(changed, [KEY], 0) === undefined;
      },
    ),
  );
});

const context = {
  table: 'job_secrets',
  column: 'encrypted_value',
  project_id: 'p1',
  logical_key: 'j1/production/TOKEN',
};

test('what is sealed opens in its own place only', () => {
  const keyring = createKeyring({ primary: KEY });
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      (plain) => keyring.open(keyring.seal(plain, context), context) === plain,
    ),
  );
  const sealed = keyring.seal('secret', context);
  for (const part of ['table', 'column', 'project_id', 'logical_key'] as const) {
    assert.throws(() => keyring.open(sealed, { ...context, [part]: 'other' }), UnsealError);
  }
  // Parts that only together spell the same text are still different places.
  assert.throws(
    () =>
      keyring.open(sealed, { ...context, project_id: 'p', logical_key: `1${context.logical_key}` }),
    UnsealError,
  );
});

test('every damaged byte of a sealed record is noticed', () => {
  const keyring = createKeyring({ primary: KEY });
  const sealed = keyring.seal('secret', context);
  for (let at = 0; at < sealed.length; at += 1) {
    const damaged = Buffer.from(sealed);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    assert.throws(() => keyring.open(damaged, context), UnsealError);
    assert.throws(() => keyring.open(sealed.subarray(0, at), context), UnsealError);
  }
});

test('an old key still opens, and what it sealed asks to be sealed again', () => {
  const before = createKeyring({ primary: OTHER });
  const after = createKeyring({ primary: KEY, old: [OTHER] });
  const sealed = before.seal('secret', context);
  assert.equal(after.open(sealed, context), 'secret');
  assert.equal(after.needsReseal(sealed), true);
  assert.equal(after.needsReseal(after.seal('secret', context)), false);
  assert.throws(() => before.open(after.seal('secret', context), context), UnsealError);
});

test('an encryption key is read from hex, base64 or raw characters and never repeated in an error', () => {
  const key = randomBytes(32);
  for (const text of [key.toString('hex'), key.toString('base64'), key.toString('base64url')]) {
    assert.deepEqual(parseEncryptionKey(text), key);
  }
  assert.deepEqual(parseEncryptionKey(KEY), Buffer.from(KEY));
  for (const text of ['', 'tooshort', 'x'.repeat(33), 'x'.repeat(64)]) {
    assert.throws(
      () => parseEncryptionKey(text),
      (error) => error instanceof Error && (text === '' || !error.message.includes(text)),
    );
  }
});

test('secrets are compared whole', () => {
  assert.equal(secretsEqual('abc', 'abc'), true);
  assert.equal(secretsEqual('abc', 'abcd'), false);
  assert.equal(secretsEqual('', 'a'), false);
  assert.equal(matchesAnySecret('b', ['a', 'b']), true);
  assert.equal(matchesAnySecret('c', ['a', 'b']), false);
  assert.equal(matchesAnySecret('c', []), false);
});
