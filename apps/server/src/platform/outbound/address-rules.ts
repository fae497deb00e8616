// Which URLs and addresses we may talk to on behalf of a user (SSRF rules). Pure; the client asks again at connect time.
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Opens private targets: `loopback` for the local development server, `all` skips the address list. */
export type AllowPrivate = 'none' | 'loopback' | 'all';

export interface AddressPolicy {
  readonly allow_private: AllowPrivate;
  readonly require_tls: boolean;
  /** Refused on every host, also on allowed private ones. */
  readonly forbidden_ports: readonly number[];
}

export type UrlCheck =
  | { readonly ok: true; readonly url: URL }
  | {
      readonly ok: false;
      readonly reason: string;
      /** Refused only because it is private: `allow_private: 'all'` would let it pass. */
      readonly is_private: boolean;
    };

/** Ports where something other than an HTTP endpoint answers, and answering could do harm. */
export const INFRASTRUCTURE_PORTS: readonly number[] = [
  // 22 ssh, 23 telnet, 25/465/587 mail, 53 dns, 69 tftp, 110/143/993/995 mailboxes, 111/135/139/445 rpc and file shares
  21,
  22, 23, 25, 53, 69, 110, 111, 119, 135, 137, 138, 139, 143, 161, 162, 179, 389, 445, 465, 512,
  513, 514, 515, 587, 636, 873, 993, 995,
  // databases, caches, queues, cluster control planes
  1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5432, 5433, 5672, 5900, 5984,
  6000, 6379, 6380, 6432, 6443, 7000, 7001, 8086, 8500, 9042, 9092, 9160, 9200, 9300, 10250, 10255,
  11211, 15672, 27017, 27018, 27019, 28017,
];

const MAX_URL_LENGTH = 2048;
const METADATA_NAMES = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
]);

/** Everything about a URL that can be judged without resolving its name. `reason` is fit for the caller's eyes. */
export function checkUrl(text: string, policy: AddressPolicy): UrlCheck {
  if (text.length > MAX_URL_LENGTH)
    return refuse(`URL is longer than ${MAX_URL_LENGTH} characters`);
  // Parsers disagree about these; the standard one silently drops or rewrites them.
  if (hasUnsafeCharacter(text))
    return refuse('URL contains white space, control characters or a backslash');
  if (!URL.canParse(text)) return refuse('not a valid URL');
  const url = new URL(text);

  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return refuse('URL scheme must be http or https');
  if (policy.require_tls && url.protocol !== 'https:') return refuse('URL scheme must be https');

  const authority = /^[a-z]+:\/\/([^/?#]*)/i.exec(text)?.[1];
  if (!authority) return refuse('URL must have a host after "//"');
  if (authority.includes('@')) return refuse('URL must not contain credentials');

  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  if (port < 1 || policy.forbidden_ports.includes(port))
    return refuse(`port ${port} is not allowed`);

  const written = authority.replace(/:\d*$/, '');
  const reason = checkHost(written, url.hostname, policy.allow_private);
  if (reason === undefined) return { ok: true, url };
  return { ...refuse(reason), is_private: checkHost(written, url.hostname, 'all') === undefined };
}

/** `written` is the host as the user spelled it, `parsed` what the URL parser made of it. */
function checkHost(written: string, parsed: string, allow: AllowPrivate): string | undefined {
  const address = parsed.startsWith('[') ? parsed.slice(1, -1) : parsed;
  if (isIP(address) !== 0) {
    // The parser turns 0x7f.1, 017700000001, 2130706433 and 127.1 into dotted form; nobody needs those.
    if (isIP(address) === 4 && written !== parsed)
      return 'IP address must be written in plain dotted decimal form';
    return isForbiddenAddress(address, allow) ? 'address is not allowed' : undefined;
  }
  const name = parsed.replace(/\.$/, '');
  if (name === '' || METADATA_NAMES.has(name)) return 'host name is not allowed';
  if (isUnder(name, 'localhost')) return allow === 'none' ? 'host name is not allowed' : undefined;
  const isPrivateName =
    isUnder(name, 'local') || isUnder(name, 'internal') || isUnder(name, 'localdomain');
  return isPrivateName && allow !== 'all' ? 'host name is not allowed' : undefined;
}

const isUnder = (name: string, domain: string) => name === domain || name.endsWith(`.${domain}`);

const refuse = (reason: string) => ({ ok: false, reason, is_private: false }) as const;

function hasUnsafeCharacter(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= 0x20 || code === 0x5c || (code >= 0x7f && code <= 0xa0)) return true;
  }
  return false;
}

const FORBIDDEN_V4 = ranges([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]);
const FORBIDDEN_V6 = ranges([
  '::/128',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  '2001:db8::/32',
  '2001:2::/48',
  '2001:10::/28',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '2002::/16',
]);

/**
 * Whether we must not connect to this IP address (text form, no brackets). What is not an address is forbidden too.
 * IPv6 forms that carry an IPv4 address are judged by that address as well.
 */
export function isForbiddenAddress(ip: string, allow: AllowPrivate = 'none'): boolean {
  const plain = ip.replace(/%.*$/, '');
  const family = isIP(plain);
  if (family === 0) return true;
  if (allow === 'all') return false;
  if (family === 4) return isForbiddenV4(ipaddr.IPv4.parse(plain), allow);

  const address = ipaddr.IPv6.parse(withoutDots(plain));
  if (allow === 'loopback' && plainLoopback(address)) return false;
  return (
    FORBIDDEN_V6.some(([base, bits]) => address.match(base as ipaddr.IPv6, bits)) ||
    embeddedV4(address.parts).some((embedded) => isForbiddenV4(embedded, 'none'))
  );
}

function isForbiddenV4(address: ipaddr.IPv4, allow: AllowPrivate): boolean {
  if (allow === 'loopback' && address.octets[0] === 127) return false;
  return FORBIDDEN_V4.some(([base, bits]) => address.match(base as ipaddr.IPv4, bits));
}

/** The parser takes ::1.2.3.4 for the mapped form; in groups of digits it has only one reading. */
function withoutDots(ip: string): string {
  return ip.replace(/[\d.]+\.\d+$/, (tail) => {
    const { octets } = ipaddr.IPv4.parse(tail);
    const [a = 0, b = 0, c = 0, d = 0] = octets;
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
}

// Only ::1 and the mapped form, which the operating system itself treats as IPv4.
function plainLoopback(address: ipaddr.IPv6): boolean {
  if (address.isIPv4MappedAddress()) return address.toIPv4Address().octets[0] === 127;
  return address.toNormalizedString() === '0:0:0:0:0:0:0:1';
}

/** The IPv4 addresses that an IPv6 address may be delivered to, by the known embeddings. */
function embeddedV4(parts: readonly number[]): ipaddr.IPv4[] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = parts;
  const found: ipaddr.IPv4[] = [];
  const leadingZeros = (a | b | c | d) === 0;
  const isCompatible = leadingZeros && e === 0 && f === 0;
  const isMapped = leadingZeros && e === 0 && f === 0xffff;
  const isTranslated = leadingZeros && e === 0xffff && f === 0;
  const isNat64 = a === 0x64 && b === 0xff9b;
  const isIsatap = (e & 0xfdff) === 0 && f === 0x5efe;
  if (isCompatible || isMapped || isTranslated || isNat64 || isIsatap) found.push(toV4(g, h));
  if (a === 0x2002) found.push(toV4(b, c)); // 6to4
  if (a === 0x2001 && b === 0) found.push(toV4(c, d), toV4(g ^ 0xffff, h ^ 0xffff)); // Teredo server, client
  return found;
}

const toV4 = (high: number, low: number) =>
  new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff]);

function ranges(list: readonly string[]) {
  return list.map((range) => ipaddr.parseCIDR(range));
}
