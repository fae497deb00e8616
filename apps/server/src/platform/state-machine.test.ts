import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidTransition, stateMachine } from './state-machine.ts';

const doors = stateMachine('door', {
  open: ['closed', 'broken'],
  closed: ['open', 'locked'],
  locked: ['closed'],
  broken: [],
});

test('a state machine answers in both directions', () => {
  assert.deepEqual(doors.states, ['open', 'closed', 'locked', 'broken']);
  assert.deepEqual(doors.into('closed'), ['open', 'locked']);
  assert.deepEqual(doors.outOf('open'), ['closed', 'broken']);
  assert.deepEqual(doors.terminal, ['broken']);
  assert.equal(doors.isTerminal('broken'), true);
  assert.equal(doors.isTerminal('open'), false);
  assert.equal(doors.isState('ajar'), false);
});

test('a step that is not in the table is refused with both names', () => {
  doors.assert('open', 'closed');
  assert.throws(
    () => doors.assert('locked', 'open'),
    (error) =>
      error instanceof InvalidTransition &&
      error.from === 'locked' &&
      error.to === 'open' &&
      error.message === "a door cannot go from 'locked' to 'open'",
  );
});

test('a table that names an unknown or a repeated state is refused when it is built', () => {
  const unknown: Record<string, readonly string[]> = { a: ['b'] };
  const repeated: Record<string, readonly string[]> = { a: ['b', 'b'], b: [] };
  assert.throws(() => stateMachine('thing', unknown), /has no row/);
  assert.throws(() => stateMachine('thing', repeated), /twice/);
  assert.throws(() => stateMachine('thing', {}), /no states/);
});
