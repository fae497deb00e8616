// A transition table as data: guards in SQL take it by `into`, or are held to it by the tests (test/state-guard.ts).

/** A change of state that the table does not allow. It is a bug, never an answer to a caller. */
export class InvalidTransition extends Error {
  readonly machine: string;
  readonly from: string;
  readonly to: string;

  constructor(machine: string, from: string, to: string) {
    super(`a ${machine} cannot go from '${from}' to '${to}'`);
    this.name = 'InvalidTransition';
    this.machine = machine;
    this.from = from;
    this.to = to;
  }
}

export interface StateMachine<State extends string> {
  readonly name: string;
  /** Every state, in the order of the table; a non-empty tuple, so that it can feed an enum schema. */
  readonly states: readonly [State, ...State[]];
  readonly terminal: readonly State[];
  /** The states from which `state` can be reached in one step: the `:from` of a guarded update. */
  into(state: State): readonly State[];
  outOf(state: State): readonly State[];
  isState(value: string): value is State;
  isTerminal(state: State): boolean;
  allows(from: State, to: State): boolean;
  /** @throws InvalidTransition */
  assert(from: State, to: State): void;
}

/** @throws Error when the table is empty or names a state twice in one row. */
export function stateMachine<State extends string>(
  name: string,
  table: { readonly [From in State]: readonly NoInfer<State>[] },
): StateMachine<State> {
  const [first, ...rest] = Object.keys(table) as State[];
  if (first === undefined) throw new Error(`the ${name} has no states`);
  const states = [first, ...rest] as const;
  const targets = new Map<State, ReadonlySet<State>>();
  const sources = new Map<State, State[]>(states.map((state) => [state, []]));

  for (const from of states) {
    const to = new Set(table[from]);
    if (to.size !== table[from].length)
      throw new Error(`the ${name} lists a step from '${from}' twice`);
    for (const state of to) {
      const known = sources.get(state);
      if (!known)
        throw new Error(`the ${name} goes from '${from}' to '${state}', which has no row`);
      known.push(from);
    }
    targets.set(from, to);
  }

  const allows = (from: State, to: State) => targets.get(from)?.has(to) ?? false;
  return {
    name,
    states,
    terminal: states.filter((state) => table[state].length === 0),
    into: (state) => sources.get(state) ?? [],
    outOf: (state) => table[state],
    isState: (value): value is State => targets.has(value as State),
    isTerminal: (state) => table[state].length === 0,
    allows,
    assert(from, to) {
      if (!allows(from, to)) throw new InvalidTransition(name, from, to);
    },
  };
}
