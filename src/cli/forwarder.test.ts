import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { startForwarder } from "./forwarder.ts";
import { resetSocket } from "./splice.ts";
import { startFakeGate, temporaryHome, TOKEN, type FakeGate } from "./testing/fake-gate.ts";

/** A gate whose CONNECT leads to a server of ours, and says what it was asked. */
function leadTo(gate: FakeGate, upstream: Server): { readonly asked: string[]; readonly tokens: unknown[] } {
  const seen = { asked: [] as string[], tokens: [] as unknown[] };
  gate.onConnect = (request, socket, head) => {
    seen.asked.push(request.url ?? "");
    seen.tokens.push(request.headers["x-taskgate-authorization"]);
    const target = connect({ port: (upstream.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
    target.on("connect", () => {
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      target.write(head);
      socket.pipe(target).pipe(socket);
    });
    target.on("error", () => resetSocket(socket));
    socket.on("error", () => target.destroy());
    socket.on("close", () => target.destroy());
  };
  return seen;
}

/** Answers with what it got, turned round, once the client has ended its side. */
async function startTurner(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void buffer(socket).then((all) => socket.end(all.reverse()));
    socket.on("error", () => undefined);
  });
  return listening(server);
}

async function startEcho(): Promise<Server> {
  return listening(createServer((socket) => void socket.on("error", () => undefined).pipe(socket)));
}

async function listening(server: Server): Promise<Server> {
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  return server;
}

function dial(port: number): Socket {
  return connect({ port, host: "127.0.0.1", allowHalfOpen: true });
}

interface Setup {
  readonly gate: FakeGate;
  readonly said: string[];
  readonly port: number;
}

async function withForwarder(upstream: Server, work: (setup: Setup) => Promise<void>): Promise<void> {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  const said: string[] = [];
  await using forwarder = await startForwarder(
    { home, environment: {}, host: "db-nb-x.localhost", say: (line) => void said.push(line) },
    0,
  );
  try {
    await work({ gate, said, port: forwarder.port });
  } finally {
    upstream.close();
  }
}

test("carries bytes both ways by CONNECT to the service's host, with the token", async () => {
  const upstream = await startTurner();
  await withForwarder(upstream, async ({ gate, port }) => {
    const seen = leadTo(gate, upstream);
    const socket = dial(port);
    socket.end("abc");
    expect((await buffer(socket)).toString()).toBe("cba");
    expect(seen.asked).toEqual([`db-nb-x.localhost:${gate.file.port}`]);
    expect(seen.tokens).toEqual([`Bearer ${TOKEN}`]);
  });
});

test("keeps a half-close, and a slow reader slows the sender and loses nothing", async () => {
  const upstream = await startTurner();
  await withForwarder(upstream, async ({ gate, port }) => {
    leadTo(gate, upstream);
    const sent = randomBytes(8 * 1024 * 1024);
    const socket = dial(port);
    socket.end(sent);
    socket.pause();
    await once(socket, "finish");
    expect((await buffer(socket)).equals(Buffer.from(sent).reverse())).toBe(true);
  });
});

test("waits for a gate that is down, and goes on with it when it is back, with its new token", async () => {
  const upstream = await startEcho();
  await withForwarder(upstream, async ({ gate, port, said }) => {
    const seen = leadTo(gate, upstream);
    const first = dial(port);
    first.write("one");
    await once(first, "data");
    const ended = once(first, "end"); // a killed process ends its connections by FIN
    await gate.kill();
    await ended;
    first.destroy();

    const second = dial(port);
    second.write("two");
    await vi.waitFor(() => expect(said.join()).toContain("waiting for it"), { timeout: 10_000 });
    writeFileSync(gate.home.token, "tg_new\n");
    await gate.revive();
    expect(String((await once(second, "data"))[0])).toBe("two");
    expect(seen.tokens.at(-1)).toBe("Bearer tg_new");
    second.destroy();
  });
});

test("waits for a service that is starting, as the gate says by Retry-After", async () => {
  const upstream = await startEcho();
  await withForwarder(upstream, async ({ gate, port, said }) => {
    let asked = 0;
    gate.onConnect = (_request, socket) => {
      asked += 1;
      const body = JSON.stringify({ error: { code: "starting", message: "db is starting" } });
      socket.end(`HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      if (asked === 2) leadTo(gate, upstream);
    };
    const socket = dial(port);
    socket.write("there");
    expect(String((await once(socket, "data"))[0])).toBe("there");
    expect(said).toEqual(["the gate refuses db-nb-x.localhost: db is starting (503); waiting for it"]);
    socket.destroy();
  });
});

test("a refusal is said with its reason, and the local connection is reset", async () => {
  const upstream = await startEcho();
  await withForwarder(upstream, async ({ gate, port, said }) => {
    gate.onConnect = (_request, socket) => {
      const body = JSON.stringify({ error: { code: "denied", message: "db is not for you" } });
      socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    };
    const socket = dial(port);
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
    expect(said).toEqual(["the gate refuses db-nb-x.localhost: db is not for you (403)"]);
  });
});

test("a service that breaks off is a reset here, and never a clean end", async () => {
  const upstream = await listening(createServer((socket) => void socket.on("data", () => socket.resetAndDestroy())));
  await withForwarder(upstream, async ({ gate, port }) => {
    leadTo(gate, upstream);
    const socket = dial(port);
    socket.write("x");
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
  });
});

test("a local client that leaves while the gate is waited for is forgotten", async () => {
  const upstream = await startEcho();
  await withForwarder(upstream, async ({ gate, port, said }) => {
    const seen = leadTo(gate, upstream);
    await gate.kill();
    const socket = dial(port);
    await vi.waitFor(() => expect(said.join()).toContain("waiting for it"), { timeout: 10_000 });
    socket.resetAndDestroy();
    await gate.revive();
    const other = dial(port);
    other.write("here");
    await once(other, "data");
    other.destroy();
    expect(seen.asked.length).toBeGreaterThanOrEqual(1);
  });
});

test("a local port that is taken is named", async () => {
  using home = temporaryHome();
  const taken = await startEcho();
  const { port } = taken.address() as AddressInfo;
  const deps = { home, environment: {}, host: "x.localhost", say: () => undefined };
  await expect(startForwarder(deps, port)).rejects.toThrow(`local port ${port} is in use`);
  taken.close();
});
