// Why a run may not start before an instant. Kept with the run while it is delayed; modules/why tells it.

export interface DelayStep {
  readonly kind:
    | 'delayed'
    | 'retry_backoff'
    | 'rate_limit'
    | 'execution_window'
    | 'endpoint_closed'
    | 'database_unavailable';
  /** The run may not start before, as far as this is concerned. */
  readonly until: string;
  /** Of rate limits: which one. */
  readonly limit?: string | undefined;
}
