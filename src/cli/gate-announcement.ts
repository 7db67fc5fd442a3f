import type { LinkView } from "../api/wire.ts";
import type { GateFile, Home } from "../config/home.ts";
import { dialAddress } from "./running-gate.ts";
import { colorsFor, print, printJson, type Terminal } from "./terminal.ts";

export interface Announcement {
  readonly gate: GateFile;
  readonly home: Home;
  readonly link: LinkView;
  /** What became of it: it was started, in the background or here, or it was there already. */
  readonly how: "foreground" | "background" | "already";
  /** What people are told to type for this program. */
  readonly command?: string;
}

const HEADS = {
  foreground: "The gate is up at",
  background: "The gate is up, in the background, at",
  already: "A gate is already up at",
} as const;

/** What `up` says, once the gate answers. The link is a secret that works once: it is printed, and never logged. */
export function announceGate(terminal: Terminal, said: Announcement, json: boolean): void {
  const { gate, home, link, how, command = "taskgate" } = said;
  if (json) {
    const { url, pid, port, version } = gate;
    const login = { loginUrl: link.url, loginExpiresAt: link.expiresAt };
    printJson(terminal, {
      state: how === "already" ? "running" : "started",
      url,
      pid,
      address: dialAddress(gate),
      port,
      version,
      home: home.directory,
      ...login,
    });
    return;
  }
  const colors = colorsFor(terminal, "stdout");
  const minutes = Math.max(1, Math.round((link.expiresAt - Date.now()) / 60_000));
  print(terminal, `${HEADS[how]} ${colors.bold(gate.url)}`);
  print(terminal, `Log in (this link works once, for ${minutes} min; another one: ${command} open):`);
  print(terminal, `  ${colors.cyan(link.url)}`);
  if (gate.certificateFile?.startsWith(home.authority) === true) sayTrust(terminal, gate.certificateFile, gate.domain);
  print(terminal, `Start something:  ${command} run -- COMMAND`);
  if (how === "foreground")
    print(terminal, `Ctrl-C stops the gate. Tasks go on, and the next gate takes them in again.`);
  else print(terminal, `Stop it:  ${command} stop --gate   (its tasks go on; its log: ${home.gateLog})`);
}

/** How others come to believe the gate's own authority: nobody's trust is changed without being asked. */
function sayTrust(terminal: Terminal, file: string, domain: string): void {
  print(
    terminal,
    `Its certificates are by an authority of its own. It is good for ${domain} and this machine alone; trust it once:`,
  );
  print(terminal, `  browsers         import ${file} as an authority in their settings`);
  if (process.platform === "darwin") {
    print(
      terminal,
      `  this machine     sudo security add-trusted-cert -d -k /Library/Keychains/System.keychain ${file}`,
    );
  } else {
    print(
      terminal,
      `  this machine     sudo cp ${file} /usr/local/share/ca-certificates/taskgate.crt && sudo update-ca-certificates`,
    );
  }
  print(terminal, `  curl and Node    curl --cacert ${file} …, NODE_EXTRA_CA_CERTS=${file}`);
}
