import { run } from "./gate.ts";

const MINT = `
const { initializeClient, GSS_MECH_OID_SPNEGO, GSS_C_MUTUAL_FLAG } = require("kerberos");
const [service, count] = process.argv.slice(1);
(async () => {
  for (let index = 0; index < Number(count); index += 1) {
    const client = await initializeClient(service, { mechOID: GSS_MECH_OID_SPNEGO, flags: GSS_C_MUTUAL_FLAG });
    console.log(await client.step(""));
  }
})();
`;

/** Environment of somebody who has logged in to Kerberos, with NODE_PATH. */
type Environment = Readonly<Record<string, string>>;

/** Values of Authorization, each of which is good once, for `service`: `HTTP@taskgate.localhost`. */
export async function mintTickets(env: Environment, service: string, count: number): Promise<readonly string[]> {
  const ran = await run(process.execPath, ["-e", MINT, service, String(count)], env);
  if (ran.code !== 0) throw new Error(`no tickets for ${service}: ${ran.stderr}`);
  return ran.stdout
    .trim()
    .split("\n")
    .map((ticket) => `Negotiate ${ticket}`);
}

const CHECK = `
const { initializeClient, GSS_MECH_OID_SPNEGO, GSS_C_MUTUAL_FLAG } = require("kerberos");
const [service, port, host, path] = process.argv.slice(1);
(async () => {
  const client = await initializeClient(service, { mechOID: GSS_MECH_OID_SPNEGO, flags: GSS_C_MUTUAL_FLAG });
  const headers = { host: host + ":" + port, authorization: "Negotiate " + (await client.step("")) };
  const asked = require("node:http").get({ host: "127.0.0.1", port, path, headers }, async (answer) => {
    const [, proof = ""] = /^Negotiate (.+)$/.exec(answer.headers["www-authenticate"] ?? "") ?? [];
    await client.step(proof);
    console.log(answer.statusCode, client.contextComplete);
    asked.destroy();
  });
})();
`;

/** What a client finds that asks for proof in return (mutual authentication): the status, and whether the proof was good. */
export async function askMutually(
  env: Environment,
  service: string,
  to: { readonly port: number; readonly host: string; readonly path: string },
): Promise<string> {
  const ran = await run(process.execPath, ["-e", CHECK, service, String(to.port), to.host, to.path], env);
  return ran.code === 0 ? ran.stdout.trim() : ran.stderr;
}
