import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { benchBody } from "./body.ts";
import { benchClaims } from "./claims.ts";
import { benchConnections } from "./connections.ts";
import { benchEnvoyLogin } from "./envoy-login.ts";
import { benchGateway } from "./gateway.ts";
import { benchGrpc } from "./grpc.ts";
import { benchH2 } from "./h2.ts";
import { benchHttp } from "./http.ts";
import { benchKubernetes } from "./kubernetes.ts";
import { benchLogin } from "./login.ts";
import { stopAll } from "./machine.ts";
import { benchMessages } from "./messages.ts";
import { PEERS } from "./peers/peers.ts";
import { benchPlan } from "./plan.ts";
import { benchStart } from "./start.ts";
import type { Row, Suite, SuiteOptions } from "./suite.ts";
import { benchTable } from "./table.ts";
import { benchTcp } from "./tcp.ts";
import { benchWs } from "./ws.ts";
import { benchXds } from "./xds.ts";

const SUITES: Readonly<Record<string, Suite>> = {
  ...{ http: benchHttp, login: benchLogin, h2: benchH2, ws: benchWs, grpc: benchGrpc, tcp: benchTcp, body: benchBody },
  ...{ connections: benchConnections, "envoy-login": benchEnvoyLogin },
  ...{ start: benchStart, table: benchTable, xds: benchXds, messages: benchMessages },
  ...{ kubernetes: benchKubernetes, claims: benchClaims, gateway: benchGateway, plan: benchPlan },
};

const USAGE = `Usage: npm run bench -- SUITE [--json FILE] [--rounds 1-100] [--seconds 1-60] [--only NAME,NAME] [--with-traefik]
Suites: ${Object.keys(SUITES).join(", ")}. Names: ${PEERS.map(({ name }) => name).join(", ")}.
`;

async function main(): Promise<number> {
  const asked = readArguments();
  if (asked === null) {
    process.stderr.write(USAGE);
    return 2;
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      stopAll();
      process.exit(130);
    });
  }
  try {
    const rows = await asked.suite((line) => process.stderr.write(`${line}\n`), asked.options);
    process.stdout.write(asText(rows));
    if (asked.json !== null) {
      writeFileSync(asked.json, `${JSON.stringify({ suite: asked.name, rows }, null, 2)}\n`);
    }
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    stopAll();
  }
}

interface Asked {
  readonly name: string;
  readonly suite: Suite;
  readonly options: SuiteOptions;
  readonly json: string | null;
}

/** null: they are not to be understood. */
function readArguments(): Asked | null {
  try {
    const { values, positionals } = parseArgs({
      options: {
        json: { type: "string" },
        rounds: { type: "string" },
        seconds: { type: "string" },
        only: { type: "string" },
        "with-traefik": { type: "boolean" },
      },
      allowPositionals: true,
    });
    const [name = ""] = positionals;
    const suite = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined;
    if (suite === undefined || positionals.length > 1) return null;
    const options = {
      ...(values.rounds === undefined ? {} : { rounds: wholeNumber(values.rounds, 100) }),
      ...(values.seconds === undefined ? {} : { seconds: wholeNumber(values.seconds, 60) }),
      ...(values.only === undefined ? {} : { only: peerNames(values.only) }),
      build: values["with-traefik"] ?? false,
    };
    return { name, suite, options, json: values.json ?? null };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return null;
  }
}

function wholeNumber(text: string, most: number): number {
  const number = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > most) throw new Error(`${text} is no whole number from 1 to ${most}`);
  return number;
}

function peerNames(text: string): readonly string[] {
  const names = text.split(",");
  const unknown = names.find((name) => !PEERS.some((peer) => peer.name === name));
  if (unknown !== undefined) throw new Error(`nobody is called "${unknown}"`);
  return names;
}

function asText(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.name,
    row.value.toPrecision(3),
    row.unit,
    row.ratio === null ? "" : `× ${row.ratio.toFixed(2)}`,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map(([first = "", ...rest]) =>
    [first.padEnd(widths[0] ?? 0), ...rest.map((cell, index) => cell.padStart(widths[index + 1] ?? 0))]
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

process.exitCode = await main();
