// Entry of the thread that `isolated.ts` starts.
import { parentPort, workerData } from 'node:worker_threads';
import { perform, type Task } from './tasks.ts';

parentPort?.postMessage(perform(workerData as Task));
