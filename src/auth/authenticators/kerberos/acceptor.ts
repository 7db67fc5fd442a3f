import { createRequire } from "node:module";
import { GatewayError } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import { ProcessLink } from "../../../platform/process-link.ts";
import { type Gssapi, judgeTicket } from "./judge-ticket.ts";
import { ACCEPT } from "./messages.ts";

/** Of the npm package `kerberos`, where it is installed. By `require`, so that NODE_PATH may say where it is. */
const requireInstalled = createRequire(import.meta.url);

const REMEDY =
  "login method kerberos needs the npm package kerberos, which is not installed. Where taskgate is installed, run: " +
  "apt-get install libkrb5-dev && npm install kerberos@7";

/** Throws `bad_request`, which says what to do, where the npm package `kerberos` is not there. */
export function checkKerberosInstalled(): void {
  try {
    requireInstalled.resolve("kerberos");
  } catch (cause) {
    throw new GatewayError("bad_request", REMEDY, { cause });
  }
}

/**
 * What a process of its own runs, started by `AcceptorProcess`: it judges tickets until the gate is gone. What strangers send is read by C
 * code there, which may fail, hang in a look-up of a name, or take its keytab from the environment alone.
 */
export function runAcceptor(clock: Clock): void {
  const gssapi = requireInstalled("kerberos") as Gssapi;
  const link = new ProcessLink(
    {
      send: (message) => void process.send?.(message, undefined, {}, () => undefined),
      receive: (take) => void process.on("message", take),
    },
    clock,
  );
  link.answer(ACCEPT, ({ service, ticket }) => judgeTicket(gssapi, service, ticket));
  process.once("disconnect", () => process.exit());
}
