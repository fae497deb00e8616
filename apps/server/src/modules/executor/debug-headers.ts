// What debug mode writes down of an exchange beside its trace: the headers, without what must stay secret and small
// enough for an event.

import { storableText } from './rules.ts';

const MAX_BYTES = 8_192;
const MAX_VALUE = 1_024;

/** Credentials, tokens and signatures, whoever sends them. */
const SECRET =
  /^(?:(?:proxy-)?authorization|(?:set-)?cookie2?|x-secret-.*|x-run-token|x-internal-secret|.*signature.*|.*api-?key.*)$/i;

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface DebugHeaders {
  readonly request_headers: Readonly<Record<string, string>>;
  /** Absent when no reply came. */
  readonly response_headers?: Readonly<Record<string, string>>;
  /** There were more, or longer ones. */
  readonly headers_truncated?: true;
}

/** At most 8 KiB as JSON; values are cut at 1 KiB. */
export function debugHeaders(request: Headers, response: Headers | undefined): DebugHeaders {
  let room = MAX_BYTES - 200;
  let cut = false;
  const keep = (headers: Headers): Record<string, string> => {
    const kept: [string, string][] = [];
    for (const [name, given] of Object.entries(headers)) {
      if (given === undefined || SECRET.test(name)) continue;
      const value = storableText(typeof given === 'string' ? given : given.join(', '));
      const shown = value.slice(0, MAX_VALUE).toWellFormed();
      const bytes = Buffer.byteLength(JSON.stringify({ [name]: shown }));
      cut ||= shown.length < value.length || bytes > room;
      if (bytes > room) continue;
      room -= bytes;
      kept.push([name, shown]);
    }
    return Object.fromEntries(kept);
  };
  return {
    request_headers: keep(request),
    ...(response === undefined ? {} : { response_headers: keep(response) }),
    ...(cut ? { headers_truncated: true } : {}),
  };
}
