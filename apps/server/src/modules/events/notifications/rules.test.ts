import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_TIMINGS } from '../../../platform/outbound/exchange.ts';
import type { OutboundReply } from '../../../platform/outbound/client.ts';
import { judge, requestOf } from './rules.ts';

const answered = (status: number): OutboundReply => ({
  ok: true,
  status,
  headers: {},
  body: Buffer.alloc(0),
  truncated: false,
  timings: NO_TIMINGS,
});
const lost = (kind: 'timeout' | 'connection' | 'forbidden' | 'aborted'): OutboundReply => ({
  ok: false,
  kind,
  message: 'm',
  timings: NO_TIMINGS,
});

test('what the other side answers decides whether it was told, or is asked again', () => {
  const later = (secs: number) => ({ kind: 'later', secs, uncounted: false });
  for (const status of [200, 204, 302]) assert.equal(judge(answered(status), 1).kind, 'sent');
  for (const status of [400, 401, 404, 409, 410, 422])
    assert.equal(judge(answered(status), 1).kind, 'failed');
  for (const status of [408, 425, 429, 500, 503])
    assert.deepEqual(judge(answered(status), 1), later(5));
  for (const kind of ['timeout', 'connection'] as const)
    assert.deepEqual(judge(lost(kind), 1), later(5));
  assert.equal(judge(lost('forbidden'), 1).kind, 'failed');
  assert.deepEqual(judge(lost('aborted'), 5), { kind: 'later', secs: 0, uncounted: true });
});

test('five attempts, after 5, 25, 125 and 625 seconds', () => {
  const pauses = [1, 2, 3, 4].map((attempt) => judge(answered(500), attempt));
  assert.deepEqual(
    pauses.map((verdict) => verdict.kind === 'later' && verdict.secs),
    [5, 25, 125, 625],
  );
  assert.equal(judge(answered(500), 5).kind, 'failed');
});

test('where to send the event is a path that can be called as it is', () => {
  const { body } = requestOf({
    id: 'd',
    attempts: 2,
    trigger_id: 't',
    project_id: 'p',
    event_key: 'a/b ü%',
    expires_at: '2030-01-01T00:00:00Z',
    job_run_id: null,
    job_id: null,
  });
  assert.equal(JSON.parse(body).callback_url, '/v1/events/a%2Fb%20%C3%BC%25/send');
});
