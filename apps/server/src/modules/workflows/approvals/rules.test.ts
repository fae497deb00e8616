import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { entriesOf, isSelf, mayDecide } from './rules.ts';

const approval = (...approvers: string[]) => ({ kind: 'approval', approvers });

describe('who may decide an approval', () => {
  it('is named by id, e-mail or role, in any case, or everybody is', () => {
    const ann = entriesOf({ actor_id: 'Ann', email: 'ann@Example.com', role: 'Operator' });
    for (const name of ['ANN', 'Ann@example.COM', 'role:operator', 'Role:OPERATOR', '*'])
      assert.ok(mayDecide(approval('nobody', name), ann), name);
    for (const name of ['an', 'ann@example.org', 'operator', 'role:admin', 'role:', ''])
      assert.ok(!mayDecide(approval(name), ann), name);
  });

  it('is nobody by a name that reads like a role or like everybody', () => {
    for (const name of ['role:admin', '*']) {
      const entries = entriesOf({ actor_id: name, email: 'role:operator' });
      assert.deepEqual(entries, ['*']);
    }
  });

  it('is anybody at a cost gate without approvers, nobody at an approval without', () => {
    const ann = entriesOf({ actor_id: 'ann' });
    assert.ok(mayDecide({ kind: 'cost_gate', approvers: [] }, ann));
    assert.ok(!mayDecide(approval(), ann));
    assert.ok(!mayDecide({ kind: 'cost_gate', approvers: ['bob'] }, ann));
  });

  it('names itself only', () => {
    const ann = { actor_id: 'ann', email: 'ann@example.com' };
    assert.ok(isSelf(ann, 'ANN') && isSelf(ann, 'Ann@Example.com'));
    assert.ok(!isSelf(ann, 'bob') && !isSelf({ actor_id: 'ann' }, 'undefined'));
  });
});
