import type { RouteTable } from "../../../model/index.ts";
import type { ChangeList } from "./change-list.ts";
import type { Fleets } from "./fleets.ts";
import type { ProblemList } from "./problem-list.ts";
import type { TranslateSettings } from "./settings.ts";
import type { UsableRules } from "./usable-endpoints.ts";

/** One call of `translate`. */
export interface Turn {
  readonly table: RouteTable;
  readonly changes: ChangeList;
  readonly rules: UsableRules;
  /** Whose assignments are to be made anew. */
  readonly upstreams: Set<string>;
}

/** What all books need. */
export interface BookDeps {
  readonly settings: TranslateSettings;
  readonly fleets: Fleets;
  readonly problems: ProblemList;
}
