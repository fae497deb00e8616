// When to claim, and how much: at once after a wake-up, again while claims come back full, in useful portions
// while the process is nearly full, never faster than it can execute.

import type { Attempts } from './attempts.ts';
import type { ClaimedRun } from '../queue/index.ts';

export interface ClaimingDeps {
  readonly attempts: Attempts;
  readonly settings: {
    readonly concurrency: number;
    readonly claim_batch: number;
    readonly claimers: number;
  };
  readonly claim: (limit: number, cursor: string) => Promise<readonly ClaimedRun[]>;
  /** Whether anything is in the queue, also what others are claiming just now. */
  readonly anyReady: () => Promise<boolean>;
  /** Whether what is claimed now could be sent. While it could not, nothing is claimed; who knows better wakes. */
  readonly mayStart: () => boolean;
  readonly begin: (run: ClaimedRun) => void;
  /** Gives back, or ends, what may not start. Never rejects. */
  readonly refuse: (runs: readonly ClaimedRun[]) => Promise<void>;
  /** Gives back what came after the stop. Never rejects. */
  readonly giveBack: (runs: readonly ClaimedRun[]) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** While nearly full, wait this long for more room, so that claims stay batches. */
const GATHER_MS = 4;
/** Others were claiming all that this process looked at: again after this long, doubled each time up to the longest. */
const CROWDED_MS = 4;
const CROWDED_MAX_MS = 256;
/** Payloads that one claim should bring at most. */
const CLAIM_BYTES = 16 * 1024 * 1024;

const averagePayload = (runs: readonly ClaimedRun[]): number =>
  runs.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0) / runs.length;

export function createClaiming(deps: ClaimingDeps) {
  const { attempts, settings } = deps;
  const portion = Math.max(1, Math.min(settings.claim_batch, Math.floor(settings.concurrency / 4)));
  let cursor = '';
  let inFlight = 0;
  let hungry = false;
  let full = false;
  let wakes = 0;
  let stopped = false;
  let gathering: NodeJS.Timeout | undefined;
  /** Waiting for others to be through with what they claim. */
  let crowded: NodeJS.Timeout | undefined;
  let crowded_ms = CROWDED_MS;
  let idle: (() => void)[] = [];
  /** Average bytes of the payloads of late: large ones come in smaller portions. */
  let payload_bytes = 0;

  const batch = (): number =>
    Math.max(1, Math.min(settings.claim_batch, Math.floor(CLAIM_BYTES / (payload_bytes + 1))));

  const pump = (): void => {
    while (mayClaim() && inFlight < (full ? settings.claimers : 1)) {
      if (attempts.free() < portion && attempts.size() > 0) {
        if (attempts.free() > 0) gathering ??= setTimeout(gathered, GATHER_MS);
        return;
      }
      if (crowded) return;
      const limit = attempts.reserve(batch());
      if (limit === 0) return;
      void claimOnce(limit);
    }
  };

  const mayClaim = (): boolean => !stopped && hungry && deps.mayStart();

  /** Less room than a portion: claim what there is after a moment, unless more room comes first. */
  const gathered = (): void => {
    gathering = undefined;
    if (!crowded) claimWhatFits();
  };

  const claimWhatFits = (): void => {
    if (!mayClaim() || inFlight >= settings.claimers) return;
    const limit = attempts.reserve(batch());
    if (limit > 0) void claimOnce(limit);
  };

  /** Too many others: again after a moment, unless there is news. */
  const waitForOthers = (): void => {
    crowded = setTimeout(() => {
      crowded = undefined;
      claimWhatFits();
    }, crowded_ms);
    crowded_ms = Math.min(2 * crowded_ms, CROWDED_MAX_MS);
  };

  const waitNoLonger = (): void => {
    clearTimeout(crowded);
    crowded = undefined;
  };

  /**
   * An empty claim is the end of the work, unless all it came by was being claimed by others: with few runs in each of many
   * projects, claims that start at the same project lock each other's whole choice. News that came meanwhile is looked at
   * at once.
   */
  const nothingFound = async (): Promise<void> => {
    const seen = wakes;
    const some = await deps.anyReady();
    if (!some) crowded_ms = CROWDED_MS;
    if (stopped || wakes !== seen) return;
    if (some) {
      waitNoLonger();
      waitForOthers();
    } else hungry = false;
  };

  const claimOnce = async (limit: number): Promise<void> => {
    inFlight += 1;
    const seen = wakes;
    try {
      const runs = await deps.claim(limit, cursor);
      full = runs.length >= limit;
      if (runs.length > 0) crowded_ms = CROWDED_MS;
      else if (wakes === seen) await nothingFound();
      cursor = runs[0]?.last_project_id ?? '';
      if (runs.length > 0) payload_bytes = averagePayload(runs);
      // Leases are durable, but nobody here will work on them any more.
      if (stopped) return await deps.giveBack(runs);
      const refused: ClaimedRun[] = [];
      for (const run of runs) {
        if (run.verdict === 'go') deps.begin(run);
        else refused.push(run);
      }
      if (refused.length > 0) await deps.refuse(refused);
    } catch (error) {
      if (wakes === seen) hungry = false; // the next poll tries again
      deps.onError(error);
    } finally {
      attempts.unreserve(limit);
      inFlight -= 1;
      if (inFlight === 0) {
        for (const wake of idle) wake();
        idle = [];
      }
      pump();
    }
  };

  return {
    /** There may be work. */
    wake: (): void => {
      wakes += 1;
      hungry = true;
      waitNoLonger();
      pump();
    },
    /** An attempt ended. */
    room: (): void => pump(),
    /** Resolves when no claim is under way any more and all that came too late has been given back. */
    stop: (): Promise<void> => {
      stopped = true;
      clearTimeout(gathering);
      waitNoLonger();
      return inFlight === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve));
    },
  };
}
