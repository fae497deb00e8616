// An endpoint that measures: every dispatch it got, when, for which claim, and how it ended.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Dispatch {
  readonly run_id: string;
  readonly attempt: number;
  /** The claim generation in the Idempotency-Key: larger for each later claim. */
  readonly claim: number;
  readonly headers: IncomingHttpHeaders;
  readonly payload: unknown;
  /** ms since the epoch. */
  readonly started_at: number;
  ended_at?: number;
  outcome: 'open' | 'replied' | 'aborted';
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly delay_ms?: number;
  /** Cut the connection instead of answering. */
  readonly hang_up?: boolean;
  /** Held until this settles. */
  readonly until?: Promise<unknown>;
}

export interface Endpoint {
  readonly url: string;
  /** In order of arrival. */
  readonly dispatches: readonly Dispatch[];
  /** Requests that did not follow the contract. */
  readonly malformed: readonly string[];
  open(): number;
  ofRun(run_id: string): Dispatch[];
  close(): Promise<void>;
}

/** Answers 200 with the dispatch's attempt and claim unless `answer` says otherwise. */
export async function startEndpoint(
  answer: (dispatch: Dispatch) => Answer = () => ({}),
): Promise<Endpoint> {
  const dispatches: Dispatch[] = [];
  const malformed: string[] = [];
  let open = 0;
  const server = createServer((request, response) => {
    const started_at = Date.now();
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      const [run_id = '', attempt, claim] = String(request.headers['idempotency-key']).split(':');
      const dispatch: Dispatch = {
        run_id,
        attempt: Number(attempt),
        claim: Number(claim),
        headers: request.headers,
        payload: text === '' ? undefined : JSON.parse(text),
        started_at,
        outcome: 'open',
      };
      if (
        request.headers['x-run-id'] !== run_id ||
        request.headers['x-attempt'] !== attempt ||
        !(dispatch.claim > 0)
      ) {
        malformed.push(JSON.stringify(request.headers));
      }
      dispatches.push(dispatch);
      open += 1;
      response.once('close', () => {
        open -= 1;
        dispatch.ended_at = Date.now();
        dispatch.outcome = response.writableFinished ? 'replied' : 'aborted';
      });
      void reply(dispatch);
    });
    const reply = async (dispatch: Dispatch): Promise<void> => {
      const {
        status = 200,
        headers = {},
        body = { attempt: dispatch.attempt, claim: dispatch.claim },
        delay_ms = 0,
        until,
        hang_up,
      } = answer(dispatch);
      if (until) await until;
      if (delay_ms > 0) await sleep(delay_ms);
      if (hang_up) return void response.destroy();
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    };
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/run`,
    dispatches,
    malformed,
    open: () => open,
    ofRun: (run_id) => dispatches.filter((dispatch) => dispatch.run_id === run_id),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
