// The API a run calls while it executes, with the token it was dispatched with. Promise: nothing is written by a
// token whose run, attempt or claim has passed.

export { createInRun, type InRun, type InRunDependencies } from './service.ts';
export { inRunRoutes } from './routes.ts';
