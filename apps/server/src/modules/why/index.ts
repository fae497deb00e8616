// Why a run has not started, and what would start it: read from the facts that promotion and claims decide by, so that
// answer and decision cannot differ.

export { whyRoutes } from './routes.ts';
export { createWhy, type Why } from './service.ts';
