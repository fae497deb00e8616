// Limits shared by all processes through PostgreSQL: rate limits of the API and of jobs.

export { createRateWindows } from './rate-windows.ts';
export type { RateWindows } from './rate-windows.ts';
export { bucketsOf, jobRates, type RatedJob, type Reserved } from './job-rates.ts';
