// Bytes that never became a request: the same envelope and headers as everywhere, written by hand, because there
// is no reply to put them into.

import { maxHeaderSize, STATUS_CODES } from 'node:http';
import { Failure } from '../failure.ts';

/** What the parser's complaint means to the client. */
export function failureOfUnreadable(error: Error & { readonly code?: string }): Failure {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Failure('headers_too_large', {
        message: `the URL and the headers together are larger than ${maxHeaderSize} bytes`,
      });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Failure('request_timeout', { message: 'the request did not arrive in time' });
    default:
      return new Failure('invalid_request', { message: 'the request is not valid HTTP' });
  }
}

export function rawResponse(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): string {
  const lines = Object.entries({
    ...headers,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}
