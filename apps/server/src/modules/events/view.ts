// A row of event_triggers as the API shows it.

import type { EventTrigger } from './contract.ts';
import type { FindTriggerRow } from './store.sql.ts';

export type TriggerRow = FindTriggerRow;

export function triggerView(row: TriggerRow): EventTrigger {
  const { request_payload, response_payload, ...rest } = row;
  const view = {
    ...rest,
    request_payload: request_payload ?? undefined,
    response_payload: response_payload ?? undefined,
  };
  // Statuses are what the writers promise; what the schema does not name, the reply leaves out.
  return view as unknown as EventTrigger;
}
