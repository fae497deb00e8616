import { drive } from './apps/server/test/workflows/driver.ts';
import { defineStep } from './apps/server/src/modules/workflows/engine/definition.ts';
const steps = (JSON.parse(process.argv[2]) as any[]).map(defineStep);
process.env.TRACE='1';
drive({ steps, max_parallel_steps: Number(process.argv[4]??0), small: 50, script: JSON.parse(process.argv[3]) });
