// Whether a URL may be saved. The dispatcher asks again at connect time; this one is for the person who
// types it in, and for names that point inside from the start.
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import {
  checkUrl,
  isForbiddenAddress,
  type AddressPolicy,
} from '../../platform/outbound/address-rules.ts';
import type { Problem } from './rules.ts';

export type ResolveName = (name: string) => Promise<readonly { readonly address: string }[]>;

export interface EndpointCheck {
  readonly policy: AddressPolicy;
  readonly resolve: ResolveName;
}

const lookupTimeoutMs = 2_000;

const privateHint = 'it is private or reserved, and ALLOW_PRIVATE_ENDPOINTS is not set';

export const resolveName: ResolveName = (name) => lookup(name, { all: true });

const urlFields = ['endpoint_url', 'fallback_endpoint_url', 'webhook_url'] as const;

/** Looks at the URLs among `changes`; names are resolved unless the policy opens private targets. */
export async function urlProblems(
  { policy, resolve }: EndpointCheck,
  changes: { readonly [Field in (typeof urlFields)[number]]?: string | null },
): Promise<Problem[]> {
  const found = await Promise.all(
    urlFields.map(async (field): Promise<Problem | undefined> => {
      const text = changes[field];
      if (text === undefined || text === null) return undefined;
      const message = await urlProblem(text, policy, resolve);
      return message === undefined ? undefined : { code: 'invalid_url', field, message };
    }),
  );
  return found.filter((problem) => problem !== undefined);
}

/** What is wrong with one URL; undefined when it may be saved. */
export async function urlProblem(
  text: string,
  policy: AddressPolicy,
  resolve: ResolveName,
): Promise<string | undefined> {
  const checked = checkUrl(text, policy);
  if (!checked.ok) return checked.is_private ? `${checked.reason}: ${privateHint}` : checked.reason;
  const host = checked.url.hostname;
  if (policy.allow_private !== 'none' || isIP(host.replace(/^\[|\]$/g, '')) !== 0) return undefined;

  const addresses = await within(lookupTimeoutMs, resolve(host)).catch(() => []);
  if (addresses.length === 0) return 'host name cannot be resolved';
  return addresses.some(({ address }) => isForbiddenAddress(address, policy.allow_private))
    ? `host name resolves to an address that is not allowed: ${privateHint}`
    : undefined;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('timed out')), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
