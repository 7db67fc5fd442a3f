import { spawn } from "node:child_process";
import { z } from "zod";
import { GatewayError } from "../../model/index.ts";
import type { Clock } from "../clock.ts";
import { Secret } from "../secret.ts";
import type { Credential, Credentials } from "./credentials.ts";

/** Longest time that a plugin may take: some ask a service far away. */
const MOST_MS = 60_000;
const MOST_OUTPUT_BYTES = 1024 * 1024;
/** What ends so soon is asked for anew. */
const SOON_MS = 10_000;

export interface ExecPlugin {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Beside the environment of this process. */
  readonly env: Readonly<Record<string, string>>;
  /** What the plugin is told of the cluster, where the kubeconfig wants that. */
  readonly cluster?: Readonly<Record<string, unknown>>;
}

/** ExecCredential of client.authentication.k8s.io, v1 and v1beta1. */
const Answer = z.object({
  kind: z.literal("ExecCredential"),
  apiVersion: z.string(),
  status: z
    .object({
      token: z.string().min(1).optional(),
      clientCertificateData: z.string().min(1).optional(),
      clientKeyData: z.string().min(1).optional(),
      expirationTimestamp: z.iso.datetime({ offset: true }).optional(),
    })
    .refine((status) => (status.clientCertificateData === undefined) === (status.clientKeyData === undefined))
    .refine((status) => status.token !== undefined || status.clientCertificateData !== undefined),
});

interface Kept {
  readonly credential: Credential;
  /** Epoch ms. */
  readonly endsAt: number;
}

/**
 * Credentials that a program gives (`users[].user.exec` of a kubeconfig): asked for once, kept until they end or the server refuses them.
 * What the program says when it fails is not repeated: it may hold secrets.
 */
export function execCredentials(plugin: ExecPlugin, clock: Clock): Credentials {
  let kept: Kept | null = null;
  let asking: Promise<Kept> | null = null;
  return {
    async get(signal) {
      signal.throwIfAborted();
      if (kept !== null && kept.endsAt - SOON_MS > clock.now()) return kept.credential;
      // One run for all that wait for it; it is bounded by itself, so nobody's signal ends it for the others.
      asking ??= askPlugin(plugin).finally(() => (asking = null));
      try {
        kept = await asking;
      } catch (error) {
        if (kept === null || kept.endsAt <= clock.now()) throw error;
      }
      return kept.credential;
    },
    refused(credential) {
      if (kept?.credential === credential) kept = null;
    },
  };
}

async function askPlugin(plugin: ExecPlugin): Promise<Kept> {
  const answer = parseAnswer(plugin, await runPlugin(plugin));
  const { token, clientCertificateData: chain, clientKeyData: key, expirationTimestamp } = answer.status;
  return {
    credential: {
      ...(token === undefined ? {} : { authorization: new Secret(`Bearer ${token}`) }),
      ...(chain === undefined || key === undefined ? {} : { certificate: { chain, key: new Secret(key) } }),
    },
    endsAt: expirationTimestamp === undefined ? Infinity : Date.parse(expirationTimestamp),
  };
}

function parseAnswer(plugin: ExecPlugin, output: string): z.output<typeof Answer> {
  const parsed = Answer.safeParse(jsonOrNull(output));
  if (!parsed.success) throw failure(plugin, "gave no ExecCredential with a token or a certificate and its key");
  if (parsed.data.apiVersion !== plugin.apiVersion) throw failure(plugin, `did not answer in ${plugin.apiVersion}`);
  return parsed.data;
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function runPlugin(plugin: ExecPlugin): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const info = {
    apiVersion: plugin.apiVersion,
    kind: "ExecCredential",
    spec: { interactive: false, ...(plugin.cluster === undefined ? {} : { cluster: plugin.cluster }) },
  };
  const child = spawn(plugin.command, plugin.args, {
    env: { ...process.env, ...plugin.env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const pieces: Buffer[] = [];
  let bytes = 0;
  const fail = (what: string): void => {
    child.kill("SIGKILL");
    // A child of its own may hold the pipe open.
    child.stdout.destroy();
    reject(failure(plugin, what));
  };
  const timer = setTimeout(() => fail(`did not answer within ${String(MOST_MS / 1000)} s`), MOST_MS);
  child.stdout.on("data", (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > MOST_OUTPUT_BYTES) fail(`said more than ${String(MOST_OUTPUT_BYTES)} bytes`);
    else pieces.push(piece);
  });
  child.on("error", (error) => {
    const code = "code" in error ? String(error.code) : "unknown";
    fail(code === "ENOENT" ? "is not there" : `cannot be started (${code})`);
  });
  child.on("close", (code, signal) => {
    if (code === 0) resolve(Buffer.concat(pieces).toString("utf8"));
    else fail(`ended with ${signal ?? `code ${String(code)}`}; run it by hand to see why`);
  });
  return promise.finally(() => clearTimeout(timer));
}

function failure({ command }: ExecPlugin, what: string): GatewayError {
  return new GatewayError("unavailable", `the credential plugin ${command} ${what}`);
}
