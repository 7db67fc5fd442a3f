import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { silentLogger } from "../../../platform/logger.ts";
import { createDiscover, type FoundPort } from "./discover.ts";

const WAIT = { timeout: 15_000, interval: 50 };
const never = new AbortController().signal;

/** Listens where its arguments say (`HOST`, or `HOST:only` for IPv6 alone), and prints its pid and ports as JSON. */
const LISTENER = `
const { createServer } = require("node:net");
const servers = process.argv.slice(1).map((at) => new Promise((resolve) => {
  const [host, only] = at.split("/");
  const server = createServer((socket) => socket.on("error", () => {}).end("hello"));
  server.listen({ host, port: Number(process.env.FIXED ?? 0), ipv6Only: only === "only" }, () => resolve(server.address().port));
}));
Promise.all(servers).then((ports) => console.log(JSON.stringify({ pid: process.pid, ports })));
setTimeout(() => process.exit(), 60_000);
`;

/** Starts a listener in a process group of its own, by way of a parent where \`script\` makes one. */
async function start(command: readonly string[], environment: Record<string, string> = {}) {
  const [program = "", ...args] = command;
  const child: ChildProcess = spawn(program, args, {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
    env: { ...process.env, LISTENER, ...environment },
  });
  const ended = once(child, "exit");
  onTestFinished(async () => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // it ended by itself
    }
    await ended;
  });
  const [line] = (await once(createInterface(child.stdout!), "line")) as [string];
  const { pid, ports } = JSON.parse(line) as { pid: number; ports: number[] };
  return { root: child.pid!, pid, ports };
}

const listener = (...hosts: string[]) => [process.execPath, "-e", LISTENER, ...hosts];
const discover = () => createDiscover({ logger: silentLogger });

async function portsOf(root: number): Promise<readonly FoundPort[]> {
  return (await discover().listening([root])).get(root) ?? [];
}

describe.runIf(process.platform === "linux")("discover", () => {
  test("finds the ports of a process, of its children, and of whoever kept its session", async () => {
    const shell = 'node="$1"; "$node" -e "$LISTENER" 127.0.0.1 & wait';
    const child = await start(["sh", "-c", shell, "sh", process.execPath]);
    expect(await portsOf(child.root)).toMatchObject([{ port: child.ports[0], pid: child.pid, ip: "127.0.0.1" }]);
    expect(child.pid).not.toBe(child.root);

    const orphaning = '( "$1" -e "$LISTENER" 127.0.0.1 & ) ; exec sleep 60';
    const orphan = await start(["sh", "-c", orphaning, "sh", process.execPath]);
    expect(await portsOf(orphan.root)).toMatchObject([{ port: orphan.ports[0], pid: orphan.pid }]);
  });

  test("keeps tasks apart in one scan, and leaves out what belongs to none", async () => {
    const [one, two, other] = [await start(listener("127.0.0.1")), await start(listener("127.0.0.1", "127.0.0.1")), await start(listener("127.0.0.1"))]; // prettier-ignore
    const found = await discover().listening([one.root, two.root]);
    expect([...found.keys()]).toEqual([one.root, two.root]);
    expect(found.get(one.root)!.map(({ port }) => port)).toEqual(one.ports);
    expect(found.get(two.root)!.map(({ port }) => port)).toEqual(two.ports.toSorted((a, b) => a - b));
    const all = [...found.values()].flat().map(({ port }) => port);
    expect(all).not.toContain(other.ports[0]);
  });

  test("says the command line of whoever listens", async () => {
    const { root, pid } = await start(listener("127.0.0.1"));
    expect(await portsOf(root)).toMatchObject([{ pid, command: listener("127.0.0.1") }]);
  });

  test.each([
    [["0.0.0.0"], "127.0.0.1"],
    [["127.0.0.1"], "127.0.0.1"],
    [["127.0.0.7"], "127.0.0.7"],
    [["::"], "127.0.0.1"],
    [["::/only"], "::1"],
    [["::1"], "::1"],
  ])("gives for what listens at %j the address to dial, %s", async (hosts, ip) => {
    const { root, ports } = await start(listener(...hosts));
    expect(await portsOf(root)).toMatchObject([{ port: ports[0], ip }]);
  });

  test("gives a port that is open for both versions of IP once", async () => {
    // Another port each time that one is free for IPv4 only: somebody else may have it for IPv6.
    const both = `
      const { createServer } = require("node:net");
      const attempt = () => {
        const four = createServer().listen(0, "127.0.0.1", () => {
          const { port } = four.address();
          const six = createServer().listen(port, "::1", () => console.log(JSON.stringify({ pid: process.pid, ports: [port] })));
          six.once("error", () => four.close(attempt));
        });
      };
      attempt();`;
    const { root, ports } = await start([process.execPath, "-e", both]);
    expect(await portsOf(root)).toMatchObject([{ port: ports[0], ip: "127.0.0.1" }]);
  });

  test("leads to the task that has the IPv6 side of a port, not to the other that has the IPv4 side", async () => {
    const four = await start(listener("127.0.0.1"));
    const six = await start(listener("::/only"), { FIXED: String(four.ports[0]) });
    expect(await portsOf(four.root)).toMatchObject([{ ip: "127.0.0.1", pid: four.pid }]);
    expect(await portsOf(six.root)).toMatchObject([{ ip: "::1", pid: six.pid }]);
  });

  test("gives the oldest of several processes that share a socket", async () => {
    const sharing = `
      const server = require("node:net").createServer().listen(0, "127.0.0.1", () => {
        const idle = ["-e", "console.log(JSON.stringify({ pid: process.ppid, ports: [" + server.address().port + "] })); setTimeout(() => {}, 60000)"];
        require("node:child_process").spawn(process.execPath, idle, { stdio: ["ignore", "inherit", "inherit", server._handle.fd] });
      });`;
    const shared = await start([process.execPath, "-e", sharing]);
    expect(await portsOf(shared.root)).toMatchObject([{ port: shared.ports[0], pid: shared.pid }]);
  });

  test("sees ports open and close, and roots end, from one scan to the next", async () => {
    const kept = discover();
    const { root, ports } = await start(listener("127.0.0.1"));
    expect((await kept.listening([root])).get(root)).toMatchObject([{ port: ports[0] }]);
    expect((await kept.listening([root])).get(root)).toMatchObject([{ port: ports[0] }]);
    const second = await start(listener("127.0.0.1"));
    const both = await kept.listening([root, second.root]);
    expect([...both.values()].flat().map(({ port }) => port)).toEqual([...ports, ...second.ports]);
    process.kill(root, "SIGKILL");
    await vi.waitFor(async () => expect((await kept.listening([root])).get(root)).toEqual([]), WAIT);
  });

  test("finds nothing of a pid that is nobody's, and needs no roots", async () => {
    expect(await discover().listening([4_194_303])).toEqual(new Map([[4_194_303, []]]));
    expect(await discover().listening([])).toEqual(new Map());
  });

  test("says who listens on a port, and null where nobody does", async () => {
    const { pid, ports } = await start(listener("0.0.0.0"));
    expect(await discover().whoListens(ports[0]!)).toEqual({ ip: "127.0.0.1", pid, command: listener("0.0.0.0") });
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(await discover().whoListens(port)).toBeNull();
  });

  test("recognises by asking, and waits for what does not answer", async () => {
    const { root, ports } = await start(listener("127.0.0.1"));
    const [found] = await portsOf(root);
    expect(await discover().recognise(found!, never)).toEqual({
      service: `port-${ports[0]!}`,
      kind: null,
      protocol: "tcp",
      policy: {},
      hidden: false,
    });
    process.kill(root, "SIGKILL");
    await vi.waitFor(async () => expect(await discover().recognise(found!, never)).toBeNull(), WAIT);
  });
});
