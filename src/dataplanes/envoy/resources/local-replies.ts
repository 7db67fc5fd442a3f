import type { LocalReplyConfig } from "../proto/tables/connection-manager.ts";
import type { TranslateSettings } from "./settings.ts";

/** What Envoy itself answers, in the gate's form. */
export function localReplies(_settings: TranslateSettings): LocalReplyConfig {
  return {};
}
