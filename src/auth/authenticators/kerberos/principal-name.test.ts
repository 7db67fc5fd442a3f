import { expect, test } from "vitest";
import { principalName } from "./principal-name.ts";

const CONFIG = {
  realms: ["EXAMPLE.COM", "PARTNER.EXAMPLE"],
  names: [{ principal: "host/ci.example.com@ELSEWHERE.EXAMPLE", name: "ci" }],
};

test.each([
  ["alice@EXAMPLE.COM", "alice"],
  ["alice/admin@EXAMPLE.COM", "alice/admin"],
  ["alice@PARTNER.EXAMPLE", "alice@PARTNER.EXAMPLE"],
  ["host/ci.example.com@ELSEWHERE.EXAMPLE", "ci"],
])("%s is %s", (client, name) => {
  expect(principalName(client, CONFIG)).toBe(name);
});

test.each([
  ["of a realm that is not listed", "alice@ELSEWHERE.EXAMPLE"],
  ["of a realm in other letters", "alice@example.com"],
  ["without a realm", "alice"],
  ["without a name", "@EXAMPLE.COM"],
  ["anonymous", "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS"],
  ["of a domain of NTLM", "EXAMPLE.COM\\alice"],
  ["whose name quotes a realm", "alice\\@EXAMPLE.COM@ELSEWHERE.EXAMPLE"],
  ["whose name holds a realm", "alice@ELSEWHERE.EXAMPLE@EXAMPLE.COM"],
  ["with what nobody sees", "alice\u0000@EXAMPLE.COM"],
])("nobody comes in who is %s", (_, client) => {
  expect(() => principalName(client, CONFIG)).toThrow(expect.objectContaining({ code: "unauthenticated" }));
});
