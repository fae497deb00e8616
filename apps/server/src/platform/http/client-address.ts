// Who is on the other end of a connection, when proxies stand between.

import ipaddr from 'ipaddr.js';

export interface ClientAddress {
  readonly ip: string;
  readonly https: boolean;
}

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

const maxRememberedPeers = 10_000;

/**
 * Forwarding headers count only when the peer is one of `trusted` (addresses or CIDR ranges): of
 * `X-Forwarded-For` the last address that is not a trusted proxy. Throws on a range it cannot read.
 */
export function clientAddresses(trusted: readonly string[]) {
  const ranges: Range[] = trusted.map((text) =>
    text.includes('/')
      ? ipaddr.parseCIDR(text)
      : [ipaddr.process(text), ipaddr.process(text).kind() === 'ipv6' ? 128 : 32],
  );
  const isTrusted = (text: string) => {
    if (!ipaddr.isValid(text)) return false;
    const address = ipaddr.process(text);
    return ranges.some(
      ([base, bits]) => base.kind() === address.kind() && address.match(base, bits),
    );
  };

  // Parsing an address costs as much as routing a request, and peers repeat.
  const answers = new Map<string, boolean>();
  const isTrustedPeer = (peer: string): boolean => {
    if (ranges.length === 0) return false;
    let answer = answers.get(peer);
    if (answer === undefined) {
      if (answers.size >= maxRememberedPeers) answers.clear();
      answers.set(peer, (answer = isTrusted(peer)));
    }
    return answer;
  };

  return (
    peer: string,
    forwarded_for: string | undefined,
    forwarded_proto: string | undefined,
  ): ClientAddress => {
    if (!isTrustedPeer(peer)) return { ip: peer, https: false };
    const https = forwarded_proto?.split(',')[0]?.trim().toLowerCase() === 'https';
    const hops = (forwarded_for ?? '').split(',').map((hop) => hop.trim());
    const client = hops.findLast((hop) => ipaddr.isValid(hop) && !isTrusted(hop));
    return { ip: client ? ipaddr.process(client).toString() : peer, https };
  };
}

/** What a limit per address counts by: one IPv4 address, or the /64 an IPv6 subscriber usually owns. */
export function addressBucket(ip: string): string {
  if (!ipaddr.isValid(ip)) return 'unknown';
  const address = ipaddr.process(ip);
  if (address.kind() === 'ipv4') return address.toString();
  return `${(address as ipaddr.IPv6).parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
