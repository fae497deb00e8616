// Opens the sockets of the outbound client. The only place where a name becomes an address, and where that is vetted.
import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { isForbiddenAddress, type AllowPrivate } from './address-rules.ts';

/** The address (or one of the addresses) behind a name may not be contacted. */
export class ForbiddenAddress extends Error {
  readonly code = 'STRAIT_FORBIDDEN_ADDRESS';

  constructor(host: string) {
    super(`${host} resolves to an address that is not allowed`);
    this.name = 'ForbiddenAddress';
  }
}

export type ResolveAll = (
  host: string,
  done: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void;

export interface GuardedConnectOptions {
  readonly allow_private: AllowPrivate;
  readonly connect_timeout_ms: number;
  /** The system resolver unless a test brings its own. */
  readonly resolve?: ResolveAll;
}

const systemResolve: ResolveAll = (host, done) => {
  lookup(host, { all: true }, (error, addresses) => done(error, addresses ?? []));
};

/**
 * A connector for undici. The socket connects to the very addresses that were vetted, so a name that changes its
 * answer in between gains nothing; Host and SNI stay the original name. HTTP/1.1, TLS 1.2 or later.
 */
export function guardedConnector(options: GuardedConnectOptions): buildConnector.connector {
  const { allow_private } = options;
  const connect = buildConnector({
    timeout: options.connect_timeout_ms,
    allowH2: false,
    minVersion: 'TLSv1.2',
    lookup: guardedLookup(shareLookups(options.resolve ?? systemResolve), allow_private),
  });
  return (target, callback) => {
    // A literal address is never looked up, so it is checked here.
    if (isIP(target.hostname) !== 0 && isForbiddenAddress(target.hostname, allow_private)) {
      queueMicrotask(() => callback(new ForbiddenAddress(target.hostname), null));
      return;
    }
    connect(target, callback);
  };
}

/** Fails unless *every* answer is allowed: a name with one good and one bad address is an attack or a mistake. */
export function guardedLookup(resolve: ResolveAll, allow: AllowPrivate): LookupFunction {
  return (host, options, done) => {
    resolve(host, (error, addresses) => {
      const wanted = options.family === 4 || options.family === 6 ? options.family : 0;
      const usable = addresses.filter(({ family }) => wanted === 0 || family === wanted);
      const [first] = usable;
      if (error || !first) return done(error ?? new Error(`no address found for ${host}`), []);
      if (addresses.some(({ address }) => isForbiddenAddress(address, allow))) {
        return done(new ForbiddenAddress(host), []);
      }
      if (options.all) return done(null, [...usable]);
      return done(null, first.address, first.family);
    });
  };
}

/** One question per name at a time: two hundred connections opened at once would fill the resolver's four threads. */
function shareLookups(resolve: ResolveAll): ResolveAll {
  const waiting = new Map<string, Parameters<ResolveAll>[1][]>();
  return (host, done) => {
    const others = waiting.get(host);
    if (others) {
      others.push(done);
      return;
    }
    const all = [done];
    waiting.set(host, all);
    resolve(host, (error, addresses) => {
      waiting.delete(host);
      for (const one of all) one(error, addresses);
    });
  };
}
