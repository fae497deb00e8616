import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseQueryFile, QueryFileError } from './query-file.ts';

const parse = (body: string, header = '-- name: doThing :many') => {
  const [statement] = parseQueryFile(`${header}\n${body}\n`);
  assert.ok(statement);
  return statement;
};
const text = (body: string) => parse(body).text;

describe('query file', () => {
  it('numbers parameters by first appearance, the same name once', () => {
    const { text: sent, parameters } = parse('select :b, :a, :b::text where x = :c?');
    assert.equal(sent, 'select $1, $2, $1::text where x = $3');
    assert.deepEqual(parameters, [
      { name: 'b', nullable: false },
      { name: 'a', nullable: false },
      { name: 'c', nullable: true },
    ]);
  });

  it('is nullable when one of several appearances says so', () => {
    assert.deepEqual(parse('select :a, :a?').parameters, [{ name: 'a', nullable: true }]);
  });

  it('leaves casts, assignments, slices and strings alone', () => {
    const untouched = [
      'select a::text, f(b := 1), c[low:high], c[1:2], d[f(x):n]',
      `select ':a', 'it''s :b', E'\\':c', $$ :d $$, $x$ :e $$ $x$`,
      'select ":a" from t',
      `select a -> 'b' ? 'c'`,
    ];
    for (const sql of untouched) assert.equal(text(sql), sql);
  });

  it('sees parameters next to operators and brackets', () => {
    assert.equal(text('select a=:b, f(:c), d[:e], x->:f'), 'select a=$1, f($2), d[$3], x->$4');
  });

  it('sends no comments, and no parameters inside them', () => {
    assert.equal(
      text('select 1 -- :a\n  /* :b /* :c */ */ + 2 -- end\n\n , 3;'),
      'select 1\n    + 2\n , 3',
    );
  });

  it('keeps strings that span lines as they are', () => {
    assert.equal(text(`select 'a  \n\n b'`), `select 'a  \n\n b'`);
  });

  it('takes the mark off an alias for sending, keeps it for describing', () => {
    const statement = parse('select 1 as "count!", x as "y?", z as "plain"');
    assert.equal(statement.text, 'select 1 as "count", x as "y", z as "plain"');
    assert.match(statement.describedText, /"count!".*"y\?"/);
  });

  it('reads header, documentation and the reason for crossing projects', () => {
    const source = `-- The module.

-- name: findThing :maybe prepared
-- First line.
-- across projects: the reaper looks everywhere.
select 1
-- Heading of the next one, -- across projects: not this.

-- name: listThings :many
select 2`;
    const [first, second] = parseQueryFile(source);
    assert.ok(first && second);
    assert.deepEqual(
      [first.name, first.shape, first.prepared, first.line],
      ['findThing', 'maybe', true, 3],
    );
    assert.deepEqual(first.documentation, [
      'First line.',
      'across projects: the reaper looks everywhere.',
    ]);
    assert.equal(first.acrossProjects, 'the reaper looks everywhere.');
    assert.deepEqual([second.prepared, second.acrossProjects, second.line], [false, undefined, 9]);
  });

  it('says in which line what is wrong', () => {
    const wrong: [string, number, RegExp][] = [
      ['select 1', 1, /before the first/],
      ['-- name: x :many\nselect 1', 1, /verbNoun/],
      ['-- name: doThing many\nselect 1', 1, /expected/],
      ['-- name: doThing :many\n-- only words', 1, /no statement/],
      ['-- name: doThing :many\nselect\n $1', 3, /named/],
      ['-- name: doThing :many\nselect 1;\n\nselect 2', 4, /one statement/],
      [`-- name: doThing :many\nselect\n 'x`, 3, /quote/],
      ['-- name: doThing :many\nselect /* x', 2, /comment/],
      ['-- name: doThing :many\nselect 1\n-- name: doThing :many\nselect 2', 3, /twice/],
    ];
    for (const [source, line, message] of wrong) {
      assert.throws(
        () => parseQueryFile(source),
        (error) =>
          error instanceof QueryFileError && error.line === line && message.test(error.message),
        source,
      );
    }
  });
});
