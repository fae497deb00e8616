// What can become of a trigger.

import { Failure } from '../../../platform/failure.ts';
import type { FailureCode } from '../../../domain/failures.ts';
import type { Enqueued, NewRun, RunStatus } from '../../queue/index.ts';

export interface AskedRun extends NewRun {
  readonly payload_hash: string;
}

/** What of the request is no part of the run. */
export interface BufferKeys {
  readonly debounce_key: string;
  readonly batch_key: string;
}

export interface Asked {
  readonly run: AskedRun;
  readonly keys: BufferKeys;
}

export type Admitted =
  | Enqueued
  /** The same payload came within the dedup window. */
  | { readonly outcome: 'duplicate'; readonly id: string; readonly status: RunStatus }
  | { readonly outcome: 'debounced'; readonly fire_at: string }
  | { readonly outcome: 'buffered' }
  | { readonly outcome: 'batch'; readonly id: string; readonly status: RunStatus };

/** Ends a transaction that turned out to create nothing: what it took is taken from nobody. */
export class TakenBack extends Error {
  readonly answer: Admitted;
  constructor(answer: Admitted) {
    super('nothing was created');
    this.answer = answer;
  }
}

export const queueFull = (): Failure<FailureCode> =>
  new Failure<FailureCode>('queue_quota_exceeded');

export const rateLimited = (wait_secs: number): Failure<FailureCode> =>
  new Failure<FailureCode>('job_rate_limited', { retry_after_secs: wait_secs });
