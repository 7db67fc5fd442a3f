import { describe, expect, test } from "vitest";
import { makeHead } from "../testing/browser.ts";
import { type CredentialForm, isForOnce, recognisedBy } from "./credential-forms.ts";

const FORM: CredentialForm = { form: "ticket", gateHost: "gate.example.com", principalHost: "gate.example.com" };

/** What stands around a service's name in a ticket: any bytes will do. */
function ticketFor(host: string): string {
  const name = Buffer.concat([Buffer.from([0x1b, 4]), Buffer.from("HTTP"), Buffer.from([0x1b, host.length])]);
  return Buffer.concat([Buffer.from([0x60, 0x82, 3, 1]), name, Buffer.from(host), Buffer.from([0xa3, 0])]).toString("base64"); // prettier-ignore
}

const OURS = `Negotiate ${ticketFor("gate.example.com")}`;
const APPS = `Negotiate ${ticketFor("nb.example.com")}`;

function recognised(authorization: string, host = "nb.example.com:443"): readonly string[] {
  return recognisedBy([FORM], makeHead({ host, headers: { authorization } }));
}

describe("a Kerberos ticket on an app's host", () => {
  test.each([
    ["for the gate", OURS],
    ["for the gate, in capitals", `NEGOTIATE ${ticketFor("GATE.EXAMPLE.COM")}`],
    ["for the gate, behind one for the app", `${APPS}, ${OURS}`],
    ["for the gate, before one for the app", `${OURS}, ${APPS}`],
    ["for the gate, behind another scheme", `Basic eDp5, ${OURS}`],
  ])("is the gate's %s", (_, authorization) => {
    expect(recognised(authorization)).toEqual(["authorization"]);
  });

  test.each([
    ["for the app", APPS],
    ["for a host whose name ends like the gate's", `Negotiate ${ticketFor("my.gate.example.com")}`],
    ["for a host whose name begins like the gate's", `Negotiate ${ticketFor("gate.example.community")}`],
    ["without a name", "Negotiate AAAA"],
    ["of NTLM", "Negotiate TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAKAF1YAAAADw=="],
    ["that is none", "Negotiate"],
    ["of another scheme", `Bearer ${ticketFor("gate.example.com")}`],
  ])("is the app's %s", (_, authorization) => {
    expect(recognised(authorization)).toEqual([]);
  });
});

test("on the gate's own host every ticket is the gate's, and so is what comes in its own field", () => {
  for (const authorization of [OURS, APPS, "Negotiate", "negotiate AAAA"]) {
    expect(recognised(authorization, "gate.example.com:443")).toEqual(["authorization"]);
    const head = makeHead({ host: "nb.example.com", headers: { "x-taskgate-authorization": authorization } });
    expect(recognisedBy([FORM], head)).toEqual(["x-taskgate-authorization"]);
  }
});

test("a ticket, and nothing else, is good for one request", () => {
  const forms: CredentialForm[] = [{ form: "token" }, FORM];
  const once = (authorization: string) =>
    isForOnce(forms, makeHead({ host: "nb.example.com", headers: { authorization } }));
  expect([once(OURS), once(APPS), once("Bearer tg_abcdefghijkl_x")]).toEqual([true, false, false]);
});
