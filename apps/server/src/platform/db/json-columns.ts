// Types of json columns, by `table.column`. The query generator uses them for result rows; a column
// that is not listed is `unknown`. What is stored is the writer's promise: nothing checks it on reading.

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };
export type StringMap = Readonly<Record<string, string>>;

export interface JsonColumns {
  'jobs.tags': StringMap;
  'jobs.default_run_metadata': StringMap;
  'job_versions.tags': StringMap;
  'job_versions.default_run_metadata': StringMap;
  'job_runs.tags': StringMap;
  'job_runs.metadata': StringMap;
  'workflows.tags': StringMap;
  'workflow_versions.tags': StringMap;
  'workflow_steps.condition': JsonValue;
  'workflow_steps.payload': JsonValue;
  'workflow_steps.map_items': JsonValue;
  'workflow_version_steps.condition': JsonValue;
  'workflow_version_steps.payload': JsonValue;
  'workflow_version_steps.map_items': JsonValue;
  'workflow_runs.payload': JsonValue;
  'workflow_runs.tags': StringMap;
  'workflow_runs.trace_context': StringMap;
  'workflow_runs.step_overrides': readonly {
    readonly step_ref: string;
    readonly enabled: boolean;
  }[];
  'workflow_step_runs.output': JsonValue;
  'workflow_step_runs.map': {
    readonly total: number;
    readonly started: number;
    readonly completed: number;
    readonly failed: number;
  };
  'workflow_step_decisions.details': JsonValue;
  'early_events.payload': JsonValue;
  'event_emits.payload': JsonValue;
  'workflow_map_children.item': JsonValue;
  'workflow_map_children.output': JsonValue;
}
