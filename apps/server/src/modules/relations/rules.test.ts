import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TERMINAL_STATES } from '../queue/index.ts';
import { chainKey, chainKind, failurePayload, mapPayload } from './rules.ts';

describe('what follows the end of a run', () => {
  it('is the complete target after success, the failure target after every failure, nothing after the rest', () => {
    const kinds = Object.fromEntries(TERMINAL_STATES.map((state) => [state, chainKind(state)]));
    assert.deepEqual(kinds, {
      completed: 'completion',
      failed: 'failure',
      timed_out: 'failure',
      crashed: 'failure',
      system_failed: 'failure',
      dead_letter: 'failure',
      canceled: undefined,
      expired: undefined,
    });
    for (const live of ['queued', 'executing', 'waiting']) assert.equal(chainKind(live), undefined);
    assert.notEqual(chainKey('a', 'completion'), chainKey('a', 'failure'));
  });

  it('is told the whole result without a mapping, and the members of the mapping with one', () => {
    const result = { order: { id: 7, lines: [{ sku: 'x' }] }, note: null };
    assert.equal(mapPayload(result, null), result);
    assert.deepEqual(
      mapPayload(result, { id: 'order.id', first: 'order.lines.0.sku', note: 'note' }),
      { id: 7, first: 'x', note: null },
    );
    assert.deepEqual(mapPayload(result, { id: 'order.id', gone: 'order.nothing.id' }), { id: 7 });
  });

  it('gets what is no object, and what a broken mapping would take apart, whole', () => {
    for (const result of [5, 'text', null, true, [1, 2]])
      assert.equal(mapPayload(result, { a: 'b' }), result);
    const result = { a: 1 };
    for (const mapping of [[], 'a', 5, {}, { a: 5 }, { a: { b: 'c' } }])
      assert.equal(mapPayload(result, mapping), result, JSON.stringify(mapping));
  });

  it('never reads what an object only inherits', () => {
    for (const path of ['constructor', '__proto__', 'a.constructor.name', 'toString'])
      assert.deepEqual(mapPayload({ a: {} }, { out: path }), {});
    assert.deepEqual(Object.keys(mapPayload({ a: 1 }, { ['__proto__']: 'a' }) as object), [
      '__proto__',
    ]);
  });

  it('is the whole story after a failure', () => {
    const facts = {
      job_id: 'j',
      run_id: 'r',
      error: 'it broke',
      error_class: 'server',
      status: 'dead_letter',
      attempt: 3,
      payload: { a: 1 },
    };
    assert.deepEqual(failurePayload(facts), {
      source_job_id: 'j',
      source_run_id: 'r',
      error: 'it broke',
      error_class: 'server',
      status: 'dead_letter',
      attempt: 3,
      original_input: { a: 1 },
    });
    assert.deepEqual(failurePayload({ ...facts, payload: null }).original_input, {});
  });
});
