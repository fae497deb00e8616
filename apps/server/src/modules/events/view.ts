// A row of event_triggers as the API shows it.

import { shapeOf } from '../../platform/http/json-reply.ts';
import { EventTrigger } from './contract.ts';
import type { FindTriggerRow } from './store.sql.ts';

export type TriggerRow = FindTriggerRow;

const shape = shapeOf(EventTrigger);

/** What a reply would carry, for streams, which send what they are given. */
export const triggerEvent = (row: TriggerRow): unknown => shape?.(triggerView(row));

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
