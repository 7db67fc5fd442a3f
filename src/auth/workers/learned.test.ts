import { expect, test } from "vitest";
import { createManualClock } from "../../store/testing/manual-clock.ts";
import { makeHead } from "../testing/browser.ts";
import { createLearnedCredentials } from "./learned.ts";

const SHOWN = {
  id: "abcdefghijkl",
  proof: "tokens",
  principal: { realm: "local", name: "alice", groups: [], admin: false },
  expiresAt: Number.MAX_SAFE_INTEGER,
  respond: [],
};

function headWith(token: string) {
  return makeHead({ host: "nb.localhost", path: "/", headers: { authorization: `Bearer ${token}` } });
}

test("knows a token for a second after the gate let it in, no other one, and none once something was revoked", () => {
  const clock = createManualClock(1_000_000);
  const credentials = createLearnedCredentials(
    [{ form: "token" }],
    { programs: "", programsAtGate: "", browsers: "" },
    clock,
  );
  const head = headWith("tg_abcdefghijkl_x");
  expect(credentials.peek(head)).toBe("ask");
  credentials.learn(head, SHOWN);
  expect(credentials.peek(head)).toBe(SHOWN);
  expect(credentials.peek(headWith("tg_abcdefghijkl_y"))).toBe("ask");
  expect(credentials.peek(makeHead({ host: "nb.localhost", path: "/" }))).toBeNull();
  clock.advance(1000);
  expect(credentials.peek(head)).toBe("ask");
  credentials.learn(head, SHOWN);
  credentials.forget();
  expect(credentials.peek(head)).toBe("ask");
});
