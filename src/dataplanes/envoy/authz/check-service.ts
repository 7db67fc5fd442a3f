import { type sendUnaryData, type ServerUnaryCall, status } from "@grpc/grpc-js";
import type { Gatekeeper } from "../../../model/index.ts";
import type { Logger } from "../../../platform/logger.ts";
import { NOTICES } from "../../notices.ts";
import type { CheckRequest, CheckResponse } from "../proto/tables/ext-authz.ts";
import { type Asked, readCheck } from "./check-head.ts";
import { type Allowed, decide, type DecideDeps, type Outcome, refusedUse } from "./decide.ts";
import { frameMetadata, KEY, serviceMetadata, type ServiceMetadataDeps } from "./service-metadata.ts";
import { answering, answerOf, passing } from "./verdict.ts";
import type { RecentlyDecided } from "./recently-decided.ts";

export interface CheckDeps extends DecideDeps, ServiceMetadataDeps {
  readonly gatekeeper: Pick<Gatekeeper, "check" | "admit" | "refused">;
  readonly decided: Pick<RecentlyDecided, "add">;
  readonly ownSecret: string;
  readonly frontHops: number;
  readonly logger: Logger;
}

type Check = (call: ServerUnaryCall<CheckRequest, CheckResponse>, answer: sendUnaryData<CheckResponse>) => void;

/** What Envoys ask of requests that do not say enough by themselves. A question that is given up is no longer worked on. */
export function createCheck(deps: CheckDeps): Check {
  return (call, answer) => {
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort());
    void judge(deps, call.request, gone.signal).then(
      (response) => answer(null, response),
      () => answer({ code: status.CANCELLED, details: "nobody waits for this" }),
    );
  };
}

/** Throws only the signal's reason: what fails here is answered as such, and lets nobody in. */
async function judge(deps: CheckDeps, request: CheckRequest, signal: AbortSignal): Promise<CheckResponse> {
  const asked = readCheck(request, { secure: deps.site.secure, frontHops: deps.frontHops });
  try {
    return respond(deps, asked, await decide(deps, asked, signal));
  } catch (error) {
    if (signal.aborted) throw error;
    deps.logger.error({ err: error }, "request failed in the gate");
    return respond(deps, asked, { kind: "answer", notice: NOTICES.internal, route: null, session: null });
  }
}

function respond(deps: CheckDeps, asked: Asked, outcome: Outcome): CheckResponse {
  const secret = deps.ownSecret;
  switch (outcome.kind) {
    case "pass":
      return passing(outcome.allowed, asked.head, metadataOf(deps, outcome.allowed));
    case "fields":
      return answering({ ...outcome, body: "" }, { code: null, secret });
    case "answer": {
      const { notice, route } = outcome;
      deps.gatekeeper.refused(refusedUse(asked, outcome), route);
      const { requestId } = asked;
      const told = requestId === undefined ? notice : { ...notice, requestId };
      return answering(answerOf(told, asked.head, asked.version), { code: notice.code, secret });
    }
  }
}

/** Who may frame is said where it is other than what the service's own metadata say. */
function metadataOf(deps: CheckDeps, { route, decision }: Allowed): Readonly<Record<string, string>> {
  const known = serviceMetadata(deps, route);
  const frame = frameMetadata(decision.frame);
  const isKnown = Object.entries(frame).every(([key, value]) => known[key] === value);
  return {
    use: deps.decided.add({ route, session: decision.session }),
    // Of tunnels the cluster says nothing: it is that of all.
    route: route.id,
    ...(known[KEY.unheld] === undefined ? {} : { [KEY.unheld]: known[KEY.unheld] }),
    ...(isKnown ? {} : frame),
  };
}
