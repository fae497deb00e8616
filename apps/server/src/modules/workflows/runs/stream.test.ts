import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  await on.job('a');
  await on.workflow('watched', [
    { step_ref: 'ok', step_type: 'wait_for_event', event_key: '{{payload.key}}' },
    { step_ref: 'work', job_slug: 'a', depends_on: ['ok'] },
  ]);
});
after(() => on.close());

interface Received {
  readonly id: number;
  readonly event: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into events of every shape
  readonly data: any;
}

async function open(id: string, headers: Record<string, string> = {}) {
  const left = new AbortController();
  const response = await fetch(`${on.app.composition.http.url}/v1/workflow-runs/${id}/stream`, {
    headers: { authorization: `Bearer ${on.project.api_key}`, ...headers },
    signal: left.signal,
  });
  assert.equal(response.status, 200);
  const events: Received[] = [];
  let over = false;
  const read = async () => {
    let text = '';
    for await (const part of response.body ?? []) {
      text += Buffer.from(part).toString();
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const field = (name: string) =>
          block
            .split('\n')
            .find((line) => line.startsWith(`${name}: `))
            ?.slice(name.length + 2);
        const data = field('data');
        if (data !== undefined)
          events.push({
            id: Number(field('id')),
            event: field('event') ?? '',
            data: JSON.parse(data),
          });
      }
    }
    over = true;
  };
  read().catch(() => {});
  return { events, over: () => over, leave: () => left.abort() };
}

const told = (events: readonly Received[]) =>
  events.map(({ data }) => `${data.step_ref ?? 'run'} ${data.from}>${data.to}`);
const ids = (events: readonly Received[]) => events.map(({ id }) => id);

let made = 0;
async function waitingRun() {
  const key = `watched-${(made += 1)}`;
  const id = await on.trigger('watched', { payload: { key } });
  await on.stepReaches(id, 'ok', 'event');
  return { id, go: () => on.internal('POST', `/v1/workflow-runs/${id}/resume`) };
}
const pause = (id: string) => on.internal('POST', `/v1/workflow-runs/${id}/pause`);
const cancel = (id: string) => on.internal('DELETE', `/v1/workflow-runs/${id}`);

describe('the stream of a workflow run', () => {
  it('begins with the run as it is, brings every change at once, and ends with the run', async () => {
    const { id, go } = await waitingRun();
    const stream = await open(id);
    await until('the snapshot', () => stream.events.length === 1);
    const [snapshot] = stream.events;
    assert.deepEqual(
      [snapshot?.event, snapshot?.data.type, snapshot?.data.workflow_run.status],
      ['snapshot', 'snapshot', 'running'],
    );
    assert.deepEqual(snapshot?.data.steps, [
      { step_ref: 'ok', status: 'waiting', wait_reason: 'event', attempt: 1 },
      { step_ref: 'work', status: 'waiting', wait_reason: 'dependencies', attempt: 1 },
    ]);
    // Without notifications each of them would come with a look of its own, 5 s after the last.
    const began = performance.now();
    await pause(id);
    await until('the pause', () => stream.events.length === 2);
    await go();
    await until('the resume', () => stream.events.length === 3);
    await cancel(id);
    await until('the end', stream.over);
    assert.ok(performance.now() - began < 9_000, 'notifications are faster than the backstop');
    assert.deepEqual(told(stream.events.slice(1)), [
      'run running>paused',
      'run paused>running',
      'ok waiting>canceled',
      'work waiting>canceled',
      'run running>canceled',
    ]);
    const last = stream.events.at(-1);
    const { workflow_id } = await on.read(id);
    assert.equal(last?.event, 'workflow_status_change');
    assert.equal(typeof last?.data.timestamp, 'string');
    assert.deepEqual(
      { ...last?.data, timestamp: '' },
      {
        type: 'workflow_status_change',
        workflow_run_id: id,
        workflow_id,
        project_id: on.project.project_id,
        from: 'running',
        to: 'canceled',
        reason: 'canceled by user',
        timestamp: '',
      },
    );
    const step = stream.events.find(({ data }) => data.step_ref === 'work');
    assert.deepEqual(
      [step?.event, step?.data.type, step?.data.attempt],
      ['workflow_step_status_change', 'workflow_step_status_change', 1],
    );
  });

  it('replays what came after an event, in the order of the ids, and everything after 0', async () => {
    const { id, go } = await waitingRun();
    await pause(id);
    await go();
    await cancel(id);
    const all = await open(id, { 'last-event-id': '0' });
    await until('the replay', all.over);
    assert.deepEqual(told(all.events)[0], 'ok pending>waiting');
    assert.equal(all.events[0]?.data.reason, 'event');
    assert.deepEqual(told(all.events).slice(-1), ['run running>canceled']);
    assert.deepEqual(
      ids(all.events),
      ids(all.events).toSorted((a, b) => a - b),
    );
    const middle = all.events[1]?.id;
    const rest = await open(id, { 'last-event-id': String(middle) });
    await until('the rest', rest.over);
    assert.deepEqual(ids(rest.events), ids(all.events).slice(2));
    const ended = await open(id);
    await until('a run that has ended to be one snapshot', ended.over);
    assert.deepEqual(
      ended.events.map(({ event, id: event_id }) => [event, event_id]),
      [['snapshot', all.events.at(-1)?.id]],
    );
    const unreadable = await open(id, { 'last-event-id': 'x' });
    await until('a replay of all', unreadable.over);
    assert.deepEqual(ids(unreadable.events), ids(all.events));
  });

  it('misses nothing when it comes back in the middle of many changes', async () => {
    const { id, go } = await waitingRun();
    const seen: Received[] = [];
    let stream = await open(id);
    const changes = (async () => {
      for (let round = 0; round < 12; round += 1) {
        await pause(id);
        await go();
      }
      await cancel(id);
    })();
    for (let cut = 0; cut < 4; cut += 1) {
      const enough = 2 + 2 * cut;
      await until(
        'some changes',
        () => stream.events.length >= Math.min(enough, 4) || stream.over(),
      );
      stream.leave();
      seen.push(...stream.events);
      stream = await open(id, { 'last-event-id': String(seen.at(-1)?.id ?? 0) });
    }
    await changes;
    await until('the end', stream.over);
    seen.push(...stream.events);
    const all = await open(id, { 'last-event-id': String(seen[0]?.id) });
    await until('the replay', all.over);
    assert.deepEqual(ids(seen.slice(1)), ids(all.events));
    assert.equal(all.events.length, 12 * 2 + 3);
  });

  it('is not there for runs of others', async () => {
    const { id } = await waitingRun();
    const other = await on.app.project();
    const path = `/v1/workflow-runs/${id}/stream`;
    const { status } = await on.app.call('GET', path, { key: other.api_key });
    assert.equal(status, 404);
    await cancel(id);
  });
});
