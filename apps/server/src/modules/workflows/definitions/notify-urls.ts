// Whether the URLs that waits notify may be saved. Whoever delivers asks again at connect time.
import type { AddressPolicy } from '../../../platform/outbound/address-rules.ts';
import { urlProblem, type ResolveName } from '../../jobs/index.ts';
import type { StepDefinition } from '../engine/definition.ts';
import { invalid, type Problem } from './problems.ts';

/** Every one of them is looked up by name while the caller waits. */
const MAX_URLS = 50;

export interface UrlCheck {
  readonly policy: AddressPolicy;
  readonly resolve: ResolveName;
}

export async function notifyUrlProblems(
  steps: readonly StepDefinition[],
  { policy, resolve }: UrlCheck,
): Promise<Problem[]> {
  const first = new Map<string, number>();
  for (const [index, { event_notify_url: url }] of steps.entries())
    if (url !== '' && !first.has(url)) first.set(url, index);
  if (first.size > MAX_URLS)
    return [invalid('steps', `have at most ${MAX_URLS} different event_notify_url`)];
  const found = await Promise.all(
    [...first].map(async ([url, index]): Promise<Problem | undefined> => {
      const message = await urlProblem(url, policy, resolve);
      const field = `steps[${index}].event_notify_url`;
      return message === undefined ? undefined : { code: 'invalid_url', field, message };
    }),
  );
  return found.filter((problem) => problem !== undefined);
}
