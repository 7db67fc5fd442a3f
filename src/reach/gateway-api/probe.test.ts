import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { expect, test, vi } from "vitest";
import { systemClock as clock } from "../../platform/clock.ts";
import { Probes } from "./probe.ts";

const BOUNDS = { connectMs: 200, firstPauseMs: 10, mostPauseMs: 20, most: 2 };

test("a port is tried until it is open, and then no more", async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  let changes = 0;
  using probes = new Probes({ changed: () => (changes += 1), clock, bounds: BOUNDS });
  expect(probes.ask("127.0.0.1", port)).toBe("unknown");
  await vi.waitFor(() =>
    expect(probes.ask("127.0.0.1", port)).toMatchObject({ failure: expect.stringContaining("ECONNREFUSED") as string }),
  );
  let connections = 0;
  const again = createServer((socket) => {
    connections += 1;
    socket.destroy();
  }).listen(port, "127.0.0.1");
  await once(again, "listening");
  await vi.waitFor(() => expect(probes.ask("127.0.0.1", port)).toBe("open"));
  expect(changes).toBe(2);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(connections).toBe(1);
  again.close();
});

test("what is asked for no more is forgotten, and what waits has its turn", async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  using probes = new Probes({ changed: () => undefined, clock, bounds: BOUNDS });
  // Nobody answers there (RFC 5737), or says that it cannot be reached.
  for (let at = 1; at <= 5; at += 1) probes.ask(`192.0.2.${String(at)}`, 9);
  expect(probes.ask("127.0.0.1", port)).toBe("unknown");
  await vi.waitFor(() => expect(probes.ask("127.0.0.1", port)).toBe("open"), { timeout: 5000 });
  probes.keepOnly(new Set());
  expect(probes.ask("127.0.0.1", port)).toBe("unknown");
  server.close();
});

test("a port that ends connections at once is open, but for who wants them to last", async () => {
  let isLasting = false;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    if (!isLasting) socket.end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  using probes = new Probes({ changed: () => undefined, clock, bounds: { ...BOUNDS, lastMs: 50 } });
  const ask = (mustLast: boolean) => probes.ask("127.0.0.1", port, { mustLast });
  await vi.waitFor(() => expect(ask(false)).toBe("open"));
  await vi.waitFor(() => expect(ask(true)).toMatchObject({ failure: "it ends connections at once" }));
  await vi.waitFor(() => expect(ask(false)).toBe("open"));
  isLasting = true;
  await vi.waitFor(() => expect(ask(true)).toBe("open"));
  expect(ask(false)).toBe("open");
  server.close();
});

test("a port that speaks first has shown that it leads to somebody", async () => {
  const server = createServer((socket) => socket.on("error", () => undefined).end("hello\n")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  using probes = new Probes({ changed: () => undefined, clock, bounds: BOUNDS });
  await vi.waitFor(() => expect(probes.ask("127.0.0.1", port, { mustLast: true })).toBe("open"));
  server.close();
});
