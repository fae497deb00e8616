// Where an implementation leaves its reference contract, one line per difference. Types are compared
// once per pair of names, so a member that differs is one line however many operations carry it.

import type { CompactContract, CompactOperation, Member, Node } from './compact.ts';

/** `subject: what` – the subject is an operation, or a named type with the path of a member. */
export function compareContracts(ours: CompactContract, reference: CompactContract): string[] {
  const lines = new Set<string>();
  const seen = new Set<string>();
  const known = new Map(reference.operations.map((operation) => [operation.id, operation]));
  const say = (subject: string, what: string) => void lines.add(`${subject}: ${what}`);

  const type = (contract: CompactContract, node: Node): Node =>
    node.ref === undefined ? node : (contract.types[node.ref] ?? { type: 'any' });

  function compareOperation(mine: CompactOperation, theirs: CompactOperation): void {
    const { id } = mine;
    if (mine.method !== theirs.method) say(id, `method ${theirs.method} → ${mine.method}`);
    if (mine.path !== theirs.path) say(id, `path ${theirs.path} → ${mine.path}`);
    if (mine.scope !== theirs.scope) say(id, `permission ${theirs.scope} → ${mine.scope}`);
    compareMembers(id, mine.parameters, theirs.parameters, false);
    if (!mine.body !== !theirs.body) say(id, theirs.body ? 'takes no body' : 'takes a body');
    if (mine.body && theirs.body) {
      if (!mine.body.required !== !theirs.body.required) {
        say(id, theirs.body.required ? 'body may be missing' : 'body must be there');
      }
      compareNodes(`${id} body`, mine.body, theirs.body, false);
    }
    const statuses = new Set([...Object.keys(mine.replies), ...Object.keys(theirs.replies)]);
    for (const status of statuses) compareReplies(id, status, mine, theirs);
  }

  function compareReplies(
    id: string,
    status: string,
    mine: CompactOperation,
    theirs: CompactOperation,
  ): void {
    const a = mine.replies[status];
    const b = theirs.replies[status];
    if (a === undefined || b === undefined) {
      return say(id, a === undefined ? `never answers ${status}` : `also answers ${status}`);
    }
    if (a !== null && b !== null && typeof a === 'object' && typeof b === 'object') {
      return compareNodes(`${id} reply ${status}`, a, b, true);
    }
    const show = (reply: Node | string | null) =>
      typeof reply === 'object' && reply !== null ? 'JSON' : (reply ?? 'no body');
    if (show(a) !== show(b)) say(id, `reply ${status} ${show(b)} → ${show(a)}`);
  }

  function compareNodes(subject: string, mine: Node, theirs: Node, reply: boolean): void {
    const pair = `${mine.ref ?? subject} ${theirs.ref ?? subject} ${reply}`;
    if (mine.ref !== undefined || theirs.ref !== undefined) {
      if (seen.has(pair)) return;
      seen.add(pair);
    }
    const a = type(ours, mine);
    const b = type(reference, theirs);
    // What a shared type says is said once, under its name; a type met in place of another is said where.
    const shared = mine.ref === theirs.ref || (a.members !== undefined && b.members !== undefined);
    const name = shared ? (theirs.ref ?? subject) : subject;
    if (a.type !== b.type) {
      return say(name, `type ${b.type ?? 'any'} → ${a.type ?? 'any'}`);
    }
    if (!reply) {
      if (!a.nullable !== !b.nullable) say(name, b.nullable ? 'not nullable' : 'nullable');
      compareLimits(name, a, b);
    }
    compareEnums(name, a, b);
    if (a.items && b.items) compareNodes(`${name}[]`, a.items, b.items, reply);
    if (a.values && b.values) compareNodes(`${name}{}`, a.values, b.values, reply);
    if (a.members || b.members) compareMembers(name, a.members ?? {}, b.members ?? {}, reply);
    if (a.options && b.options) compareOptions(name, a.options, b.options, reply);
  }

  /** Alternatives have no names: compared in order, and only when there are as many of them. */
  function compareOptions(
    name: string,
    mine: readonly Node[],
    theirs: readonly Node[],
    reply: boolean,
  ): void {
    if (mine.length !== theirs.length) {
      return say(name, `${theirs.length} alternatives → ${mine.length}`);
    }
    for (const [index, option] of theirs.entries()) {
      compareNodes(`${name}|${index + 1}`, mine[index] ?? {}, option, reply);
    }
  }

  function compareMembers(
    subject: string,
    mine: Readonly<Record<string, Member>>,
    theirs: Readonly<Record<string, Member>>,
    reply: boolean,
  ): void {
    for (const name of new Set([...Object.keys(theirs), ...Object.keys(mine)])) {
      const a = mine[name];
      const b = theirs[name];
      const path = `${subject}.${name}`;
      if (!a) say(path, 'missing');
      else if (!b) say(path, `added${a.required && !reply ? ', required' : ''}`);
      else {
        if (presence(a, reply) !== presence(b, reply)) {
          say(path, `${presence(b, reply)} → ${presence(a, reply)}`);
        }
        compareNodes(path, a, b, reply);
      }
    }
  }

  function compareLimits(name: string, mine: Node, theirs: Node): void {
    const limits = new Set([
      ...Object.keys(mine.limits ?? {}),
      ...Object.keys(theirs.limits ?? {}),
    ]);
    for (const limit of limits) {
      const a = mine.limits?.[limit];
      const b = theirs.limits?.[limit];
      if (a !== b) say(name, `${limit} ${b ?? 'none'} → ${a ?? 'none'}`);
    }
  }

  function compareEnums(name: string, mine: Node, theirs: Node): void {
    const a = JSON.stringify(mine.enum ?? 'any');
    const b = JSON.stringify(theirs.enum ?? 'any');
    if (a !== b) say(name, `values ${b} → ${a}`);
  }

  for (const operation of ours.operations) {
    const counterpart = known.get(operation.id);
    if (counterpart) compareOperation(operation, counterpart);
  }
  return [...lines].sort();
}

function presence(member: Member, reply: boolean): string {
  if (reply && member.omit_empty) return 'omitted when empty';
  return member.required ? (reply ? 'always there' : 'required') : 'optional';
}
