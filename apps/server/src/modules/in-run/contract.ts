// What every operation of the in-run API shares, and the bodies that need explaining.

import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { FailureCode } from '../../domain/failures.ts';
import { sdkHeaders } from './handshake.ts';

/** Every answer to a token whose run, attempt or claim has passed. */
export const tokenFailures = [
  'run_token_mismatch',
  'run_not_found',
  'run_not_active',
  'run_attempt_superseded',
] as const satisfies readonly FailureCode[];

export const shared = {
  tags: ['SDK'],
  permission: 'run_token',
  params: z.object({ runID: z.string() }),
  headers: z.object({ 'x-sdk-version': z.string().max(200).optional() }),
  reply_headers: (request: IncomingHttpHeaders) => sdkHeaders(request['x-sdk-version']),
} as const;

export const limits = {
  message_bytes: 8_192,
  data_bytes: 65_536,
  events: 10_000,
  annotations_per_call: 50,
  annotations: 200,
  state_value_bytes: 65_536,
  checkpoint_bytes: 1_048_576,
  chunk_chars: 262_144,
  wait_secs: 30 * 86_400,
  default_wait_secs: 3_600,
  lineage_depth: 10,
} as const;

/** Bytes of the value as JSON. */
export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? '');

/** Any JSON, null included, but not absent; at most `bytes` as JSON text. */
export const jsonUpTo = (bytes: number) =>
  z
    .unknown()
    .refine((value) => value !== undefined, { message: 'is required' })
    .refine((value) => value === undefined || jsonBytes(value) <= bytes, {
      message: `is larger than ${bytes} bytes`,
    });

export const message = z
  .string()
  .min(1)
  .refine((text) => Buffer.byteLength(text) <= limits.message_bytes, {
    message: `is larger than ${limits.message_bytes} bytes`,
  });

export const StatusOK = z.object({ status: z.literal('ok') }).meta({ id: 'StatusOK' });

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
