/** Where a run's metadata keeps the priority of its trigger, once a retry has raised it. SQL spells it out. */
export const GIVEN_PRIORITY = '_priority';

/** What its trigger asked for, whatever retries made of it: what a run starts over with. */
export function givenPriority(run: {
  readonly priority: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}): number {
  const given = run.metadata[GIVEN_PRIORITY];
  return typeof given === 'string' && /^(?:\d|10)$/.test(given) ? Number(given) : run.priority;
}
