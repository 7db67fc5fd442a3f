import { expect, test } from "vitest";
import { KubernetesProviderConfig } from "../../config/provider-config.ts";
import { checkNotebooks } from "./determined-checks.ts";

test("providers of Determined's tasks without its master's certificates are told", () => {
  const providers = [
    { name: "none", kinds: ["ray"] },
    { name: "sure", kinds: ["determined"], determinedTls: { authority: "/ca.pem" } },
    { name: "west", kinds: ["ray", "determined"] },
  ].map((each) => KubernetesProviderConfig.parse({ type: "kubernetes", ...each }));
  expect(checkNotebooks({ providers })).toEqual([
    {
      name: "determined",
      level: "warn",
      message: "notebooks of west are spoken to by TLS whoever answers: any certificate will do",
      remedy: "determined.tls: certificates of Determined's master, see docs/determined.md",
    },
  ]);
});
