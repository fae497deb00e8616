// Limits shared by all processes through PostgreSQL: the API's rate limits.

export { createRateWindows } from './rate-windows.ts';
export type { RateWindows } from './rate-windows.ts';
