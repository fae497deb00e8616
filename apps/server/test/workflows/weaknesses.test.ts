// What went wrong in the original (workflow-semantics §27), row by row: the test that would notice if it were so here, or the
// reason why there is none. A row that a test names in its own text needs no line below.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';

const server = path.join(import.meta.dirname, '../..');
const wf = 'src/modules/workflows';
const events = 'src/modules/events';

type Guard = readonly [file: string, title: string] | { readonly because: string };

const guards: Readonly<Record<string, Guard>> = {
  S5: [
    'test/scenarios/workflow-crash.scenario.test.ts',
    'workflows end while processes are killed in turn, and no step starts twice',
  ],
  S16: [
    'src/modules/scheduler/workflows/workflow-schedules.test.ts',
    'an edit writes the schedule with the workflow',
  ],
  S17: [
    'test/scenarios/workflow-crash.scenario.test.ts',
    'workflows end while processes are killed in turn, and no step starts twice',
  ],
  S18: [`${events}/waits.test.ts`, 'a run waits without a slot, goes on when its event comes'],
  X2: [`${wf}/progression/races.test.ts`, 'two siblings that end together start their join once'],
  X3: [`${wf}/progression/races.test.ts`, 'fifty triggers of a workflow that may have three runs'],
  X7: [
    'src/modules/scheduler/workflows/workflow-schedules.test.ts',
    'an instant makes one run, whatever number of schedulers there are',
  ],
  X12: [`${events}/races.test.ts`, 'send, cancel and deadline'],
  X13: [
    'test/scenarios/workflow-store.scenario.test.ts',
    'I1 to I10 hold on the database and every state is the model',
  ],
  X14: [
    'test/scenarios/workflow-store.scenario.test.ts',
    'I1 to I10 hold on the database and every state is the model',
  ],
  V2: [`${wf}/definitions/definitions.test.ts`, 'are kept as one document per version'],
  V3: [
    `${wf}/definitions/versions.test.ts`,
    'say which runs an update leaves on the version before',
  ],
  V4: [`${wf}/runs/retry-run.test.ts`, 'is another run of the same version, with all it was given'],
  V5: [`${events}/notifications/notifications.test.ts`, 'are told once that a step waits'],
  V10: [`${wf}/definitions/versions.test.ts`, 'wait for active runs, and leave ended ones'],
  V11: {
    because:
      'Webhooks to subscribers do not exist yet. Every change of a run is one row of workflow_run_events, which live streams send (stream.test.ts) and deliveries will be made of.',
  },
  V12: [`${wf}/canary/canary.test.ts`, 'share out the triggers that name no version'],
  V14: [`${events}/sending.test.ts`, 'can be sent to one key again and again'],
  Y1: [`${wf}/approvals/approvals.test.ts`, 'are decided by those who are named, as themselves'],
  Y2: [`${wf}/approvals/approvals.test.ts`, 'wait for ever, and no event decides them'],
  Y3: [`${events}/sending.test.ts`, 'need the permission of whoever waits'],
  Y4: [`${events}/emits/emits.test.ts`, 'reach nobody in another project'],
  Y5: [`${events}/sending.test.ts`, 'belong to a project: two of them wait for one key'],
  Y6: ['test/contract/tenancy.test.ts', "with another project's key, answers 403 or 404"],
  Y7: [
    `${wf}/definitions/definitions.test.ts`,
    'that are wrong are refused with the field that is wrong',
  ],
  Y8: ['test/contract/tenancy.test.ts', 'with a key that lacks the permission, answers 403'],
  Y9: [
    `${wf}/definitions/definitions.test.ts`,
    'that are wrong are refused with the field that is wrong',
  ],
  Y10: [`${events}/notifications/notifications.test.ts`, 'those that point inside by nobody'],
  Y11: [
    `${wf}/definitions/definitions.test.ts`,
    'that are wrong are refused with the field that is wrong',
  ],
  Y12: ['test/contract/malformed.test.ts', 'are refused, all of them, without harm'],
};

const rows = [
  ...numbered('S', 18),
  ...numbered('X', 16),
  ...numbered('V', 14),
  ...numbered('Y', 12),
];

it('every known weakness has its test, or a reason', () => {
  const texts = globSync('{src,test}/**/*.test.ts', { cwd: server })
    .filter((file) => !file.endsWith('weaknesses.test.ts'))
    .map((file) => readFileSync(path.join(server, file), 'utf8'))
    .join('\n');
  for (const row of rows) {
    const guard = guards[row];
    if (guard === undefined)
      assert.match(texts, new RegExp(`\\b${row}\\b`), `nothing guards ${row}`);
    else if ('because' in guard) assert.ok(guard.because.length > 40);
    else {
      const [file, title] = guard;
      assert.ok(
        readFileSync(path.join(server, file), 'utf8').includes(title),
        `${row}: ${file} has no test "${title}"`,
      );
    }
  }
});

function numbered(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);
}
