import type { App } from "../../../testing/apps.ts";
import { startRig, type Rig, type StartPlane } from "../../../testing/rig.ts";
import { byHost } from "../../../testing/table-builder.ts";

export const HOST = "nb.localhost";
export const KEY = "local/nb/web";

export const SAYS_ITSELF = "says it in the gate's words without asking the gate why";

/** A rig with one service at `HOST`. */
export async function serving(
  start: StartPlane,
  app: Pick<App, "address">,
  options: Parameters<typeof startRig>[1] = {},
): Promise<Rig> {
  const rig = await startRig(start, options);
  rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
  return rig;
}
