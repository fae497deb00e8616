import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { holds, permissions, scopes } from '../../domain/permissions.ts';
import { hashKey, looksLikeKey, makeKey, scopeBeyond, scopesToGrant } from './rules.ts';

describe('scopes', () => {
  it('are by default those of the creator, written out', () => {
    assert.deepEqual(scopesToGrant(undefined, ['runs:read', 'jobs:read']), {
      scopes: ['jobs:read', 'runs:read'],
    });
    assert.deepEqual(scopesToGrant([], ['*']), { scopes: ['*'] });
    assert.deepEqual(scopesToGrant([], []), { scopes: [] });
  });

  it('never grow in being passed on', () => {
    const some = fc.subarray<string>([...scopes]);
    fc.assert(
      fc.property(some, some, (asked, held) => {
        const decision = scopesToGrant(asked, held);
        if ('refused' in decision) {
          assert.equal(decision.refused, 'scope_not_held');
          assert.equal(held.includes(decision.scope) || held.includes('*'), false);
          return;
        }
        for (const permission of permissions) {
          if (holds(decision.scopes, permission)) assert.ok(holds(held, permission));
        }
        assert.equal(scopeBeyond(decision.scopes, held), undefined);
      }),
    );
  });

  it('refuse what does not exist or belongs to the internal secret', () => {
    for (const scope of ['jobs:*', '', 'projects:manage', 'toString']) {
      assert.deepEqual(scopesToGrant([scope], ['*']), { refused: 'unknown_scope', scope });
    }
    assert.equal(holds(['*'], 'projects:manage'), false);
    assert.equal(holds([], 'jobs:read'), false);
  });
});

describe('keys', () => {
  it('are 32 random bytes behind strait_, kept as SHA-256 of the whole', () => {
    const made = makeKey();
    assert.match(made.key, /^strait_[0-9a-f]{64}$/);
    assert.equal(made.key_prefix, made.key.slice(0, 12));
    assert.equal(made.key_hash, hashKey(made.key));
    assert.match(made.key_hash, /^[0-9a-f]{64}$/);
    assert.notEqual(makeKey().key, made.key);
    assert.equal(looksLikeKey(made.key.toUpperCase()), false);
    assert.equal(looksLikeKey(`${made.key}0`), false);
  });
});
