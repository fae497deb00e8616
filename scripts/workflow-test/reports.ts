// What a run of workflow tests looks like: for people, for programs, for build servers.

export interface TestResult {
  readonly name: string;
  readonly workflow: string;
  readonly passed: boolean;
  readonly failures: readonly string[];
  readonly workflow_status?: string;
  readonly error?: string;
  readonly duration_ms?: number;
}

export interface SuiteResult {
  readonly passed: boolean;
  readonly total: number;
  readonly failed: number;
  readonly results: readonly TestResult[];
}

export const FORMATS = ['text', 'json', 'junit'] as const;
export type Format = (typeof FORMATS)[number];

export function report(format: Format, file: string, result: SuiteResult): string {
  switch (format) {
    case 'json':
      return JSON.stringify({ file, ...result }, null, 2);
    case 'junit':
      return asJunit(file, result);
    case 'text':
      return asText(result);
  }
}

function asText({ results, total, failed }: SuiteResult): string {
  const lines = results.flatMap(({ name, passed, failures, duration_ms }) => [
    `${passed ? 'ok  ' : 'FAIL'} ${name}${duration_ms === undefined ? '' : ` (${duration_ms} ms)`}`,
    ...failures.map((failure) => `       ${failure}`),
  ]);
  return [...lines, `${total - failed} of ${total} passed`].join('\n');
}

/** One test suite per file; times are virtual. */
function asJunit(file: string, { results, total, failed }: SuiteResult): string {
  const seconds = (ms = 0) => (ms / 1000).toFixed(3);
  const all = results.reduce((sum, { duration_ms = 0 }) => sum + duration_ms, 0);
  const cases = results.map(({ name, workflow, failures, duration_ms }) => {
    const open = `    <testcase name="${xml(name)}" classname="${xml(workflow)}" time="${seconds(duration_ms)}"`;
    if (failures.length === 0) return `${open}/>`;
    const why = failures.map(
      (failure) => `      <failure message="${xml(failure)}">${xml(failure)}</failure>`,
    );
    return [`${open}>`, ...why, '    </testcase>'].join('\n');
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite name="${xml(file)}" tests="${total}" failures="${failed}" errors="0" skipped="0" time="${seconds(all)}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
  ].join('\n');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
  '\t': '&#9;',
};

/** XML has no way at all to write other control characters. */
export const xml = (text: string): string =>
  text
    .toWellFormed()
    // oxlint-disable-next-line no-control-regex
    .replace(/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"\n\t]/g, (one) => ENTITIES[one] ?? one);
