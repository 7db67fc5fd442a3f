import { accessSync, constants, statSync } from "node:fs";
import { dotted } from "./config-keys.ts";
import type { Finding } from "./describe-issue.ts";
import { errnoOf } from "./read-layers.ts";
import type { LoginMethod } from "./login-methods.ts";
import type { DeterminedTls } from "./provider-config.ts";
import type { Config } from "./schema.ts";

/** What is wrong with the files that a configuration names, as they are now. */
export function checkFiles({ listen, login, envoy, admin, providers, determined }: Partial<Config>): Finding[] {
  return [
    ...checkCertificates(listen),
    ...checkSecrets(login),
    ...checkEnvoyFiles(envoy),
    ...checkSecret(admin?.tokenFile, ["admin", "tokenFile"]),
    ...checkDeterminedTls(determined?.tls, ["determined", "tls"]),
    ...(providers ?? []).flatMap((each, index) => {
      // What comes of `determined` is told there.
      return each.determinedTls === determined?.tls
        ? []
        : checkDeterminedTls(each.determinedTls, ["providers", index, "determinedTls"]);
    }),
  ];
}

function checkDeterminedTls(tls: DeterminedTls | undefined, at: readonly PropertyKey[]): Finding[] {
  if (tls === undefined) return [];
  const { authority, certificate, key } = tls;
  const pair = certificate === undefined || key === undefined ? [] : checkPair({ certificate, key }, at);
  return [...checkReadable(authority, [...at, "authority"]), ...pair];
}

function checkEnvoyFiles(envoy: Config["envoy"] | undefined): Finding[] {
  const tls = envoy?.xds.tls;
  if (tls === undefined) return [];
  const at = ["envoy", "xds", "tls"];
  return [...checkPair(tls, at), ...checkReadable(tls.clientAuthority, [...at, "clientAuthority"])];
}

function checkSecrets(login: Config["login"] | undefined): Finding[] {
  return (login?.methods ?? []).flatMap((method, index) => {
    const at = ["login", "methods", index];
    const files = secretFiles(method).map(([key, file]) => ({ path: [...at, ...key], file }));
    return files.flatMap(({ path, file }) => checkSecret(file, path));
  });
}

function checkSecret(file: string | undefined, path: readonly PropertyKey[]): Finding[] {
  if (file === undefined) return [];
  return [...checkReadable(file, path, "a file that holds it"), ...checkPrivate(file, path)];
}

/** By key. */
function secretFiles(method: LoginMethod): (readonly [key: readonly string[], file: string | undefined])[] {
  switch (method.type) {
    case "oidc":
    case "jupyterhub":
      return [[["clientSecretFile"], method.clientSecretFile]];
    case "basic":
      return [
        [["passwordFile"], method.passwordFile],
        [["sharedPasswordFile"], method.sharedPasswordFile],
      ];
    case "trusted-header":
      return [[["secret", "file"], method.secret?.file]];
    case "kerberos":
      return [[["keytab"], method.keytab]];
  }
}

function checkCertificates(listen: Config["listen"] | undefined): Finding[] {
  if (listen?.tls === undefined) return [];
  const { certificate, key, certificates } = listen.tls;
  const at = ["listen", "tls"];
  const first = certificate === undefined || key === undefined ? [] : checkPair({ certificate, key }, at);
  return [...first, ...certificates.flatMap((pair, index) => checkPair(pair, [...at, "certificates", index]))];
}

function checkPair(
  pair: { readonly certificate: string; readonly key: string },
  at: readonly PropertyKey[],
): Finding[] {
  return [
    ...checkReadable(pair.certificate, [...at, "certificate"]),
    ...checkReadable(pair.key, [...at, "key"]),
    ...checkPrivate(pair.key, [...at, "key"]),
  ];
}

function checkReadable(file: string, path: readonly PropertyKey[], expected = "a file in PEM"): Finding[] {
  const about = { path, key: dotted(path) };
  try {
    accessSync(file, constants.R_OK);
    return statSync(file).isFile() ? [] : [{ ...about, message: `is no file; expected ${expected}` }];
  } catch (error) {
    return [{ ...about, message: `the file cannot be read (${errnoOf(error)})` }];
  }
}

/** A warning. What root gives our own group to read is how a cluster mounts its Secrets: nobody else is in that group. */
function checkPrivate(file: string, path: readonly PropertyKey[]): Finding[] {
  const { mode = 0, uid, gid } = statSync(file, { throwIfNoEntry: false }) ?? {};
  const isOurs = uid === 0 && process.getuid?.() !== 0 && gid === process.getgid?.();
  if ((mode & (isOurs ? 0o037 : 0o077)) === 0) return [];
  const message = `others can read the file (mode ${(mode & 0o777).toString(8)}); run chmod 600 on it`;
  return [{ path, key: dotted(path), message, severity: "warning" }];
}
