import type { TestApp } from './app.ts';

/** Promotes every tree until nothing moves, as the promoter of a worker does. */
export async function promoteAll(app: TestApp): Promise<void> {
  const { limits } = app.composition.modules.engineNeeds;
  const roots = await app.sql<{ root_lane_id: number }>(
    'select distinct root_lane_id from run_parked where root_lane_id <> 0',
  );
  for (const { root_lane_id } of roots) while ((await limits.promote(root_lane_id)).more);
}
