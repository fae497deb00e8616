import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Service } from './service.ts';
import { createSupervisor, serviceOf, type SupervisorEvent } from './supervisor.ts';

function recorder() {
  const steps: string[] = [];
  const service = (name: string, parts: Partial<Service> = {}): Service => ({
    name,
    async start() {
      steps.push(`start ${name}`);
    },
    async stop() {
      steps.push(`stop ${name}`);
    },
    health: () => ({ status: 'up' }),
    ...parts,
  });
  return { steps, service };
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });

test('services start in order and stop in reverse, once', async () => {
  const { steps, service } = recorder();
  const supervisor = createSupervisor({
    services: [service('database'), service('worker'), service('http')],
  });
  assert.equal(supervisor.health().get('http')?.status, 'down');
  await supervisor.start();
  assert.equal(supervisor.health().get('http')?.status, 'up');
  await Promise.all([supervisor.stop(), supervisor.stop()]);
  await supervisor.stop();
  assert.deepEqual(steps, [
    'start database',
    'start worker',
    'start http',
    'stop http',
    'stop worker',
    'stop database',
  ]);
  assert.equal(supervisor.health().get('database')?.status, 'down');
});

test('a service that does not start takes those before it down and reports its own failure', async () => {
  const { steps, service } = recorder();
  const broken = service('broken', {
    start: () => Promise.reject(new Error('port taken')),
  });
  const supervisor = createSupervisor({ services: [service('database'), broken, service('http')] });
  await assert.rejects(supervisor.start(), /port taken/);
  assert.deepEqual(steps, ['start database', 'stop broken', 'stop database']);
  await supervisor.stop();
});

test('stopping during the start waits for the service that is starting and goes no further', async () => {
  const { steps, service } = recorder();
  const started = Promise.withResolvers<void>();
  const slow = service('slow', { start: () => started.promise });
  const supervisor = createSupervisor({ services: [slow, service('next')] });
  const starting = supervisor.start();
  const stopping = supervisor.stop();
  started.resolve();
  await Promise.all([starting, stopping]);
  assert.deepEqual(steps, ['stop slow']);
});

test('stopping before the start does nothing', async () => {
  const { steps, service } = recorder();
  const supervisor = createSupervisor({ services: [service('a')] });
  await supervisor.stop();
  await supervisor.start();
  assert.deepEqual(steps, []);
});

test('each service has its own deadline', async () => {
  const { service } = recorder();
  const waits = service('waits', { stop: untilAborted, stop_timeout_ms: 20 });
  const supervisor = createSupervisor({ services: [waits] });
  await supervisor.start();
  await supervisor.stop();
});

test('hurrying ends the wait of the service whose turn it is and of those after it', async () => {
  const { service } = recorder();
  const patient = { stop: untilAborted, stop_timeout_ms: 60_000 };
  const supervisor = createSupervisor({
    services: [service('first', patient), service('second', patient)],
  });
  await supervisor.start();
  const stopping = supervisor.stop();
  supervisor.hurry();
  await stopping;
});

test('a service that never stops or fails to stop does not keep the others from stopping', async () => {
  const { steps, service } = recorder();
  const events: SupervisorEvent[] = [];
  const supervisor = createSupervisor({
    services: [
      service('database'),
      service('stuck', { stop: () => new Promise(() => {}), stop_timeout_ms: 5 }),
      service('failing', { stop: () => Promise.reject(new Error('no')) }),
    ],
    abandon_after_ms: 5,
    on_event: (event) => events.push(event),
  });
  await supervisor.start();
  await assert.rejects(
    supervisor.stop(),
    (error) => error instanceof AggregateError && error.errors.length === 2,
  );
  assert.deepEqual(
    steps,
    ['start database', 'start stuck', 'start failing', 'stop database'].filter((step) =>
      steps.includes(step),
    ),
  );
  assert.deepEqual(
    events.slice(3).map(({ service: name, step }) => `${name} ${step}`),
    ['failing stop_failed', 'stuck abandoned', 'database stopped'],
  );
});

test('a service made of functions stops only what was started', async () => {
  let stops = 0;
  const pool = serviceOf('pool', {
    stop: async () => {
      stops += 1;
    },
  });
  await pool.stop(AbortSignal.abort());
  assert.equal(stops, 0);
  await pool.start();
  await pool.stop(AbortSignal.abort());
  await pool.stop(AbortSignal.abort());
  assert.equal(stops, 1);
});
