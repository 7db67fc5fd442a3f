import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { getPage, greetPort } from "./ask-port.ts";

const never = new AbortController().signal;

async function listen(server: Server): Promise<{ ip: string; port: number }> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  });
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { ip: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

/** A TCP server, and all that it was sent. */
async function listenRaw(serve: (socket: Socket, text: string) => void) {
  const received: string[] = [];
  const server = createServer((socket) => {
    serve(socket, "");
    socket.on("data", (chunk) => {
      received.push(chunk.toString("latin1"));
      serve(socket, chunk.toString("latin1"));
    });
  });
  return { ...(await listen(server)), received };
}

describe("greetPort", () => {
  test("tells HTTP/1 by its refusal of the preface", async () => {
    const at = await listen(createHttpServer((_request, response) => response.end("hello")));
    expect(await greetPort(at, never)).toMatchObject({ speaks: "http", silent: false });
  });

  test("tells HTTP/2 without TLS, which is gRPC's, by its settings", async () => {
    const at = await listen(createHttp2Server());
    expect(await greetPort(at, never)).toMatchObject({ speaks: "grpc" });
  });

  test("tells a gRPC server", async () => {
    const server = new GrpcServer();
    onTestFinished(() => server.forceShutdown());
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    expect(await greetPort({ ip: "127.0.0.1", port }, never)).toMatchObject({ speaks: "grpc" });
  });

  test("takes a server of both HTTP/1 and HTTP/2 for HTTP, which browsers can use", async () => {
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const at = await listenRaw((socket, text) => {
      if (text.startsWith("PRI")) socket.write(settings);
      if (text.startsWith("GET")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    expect(await greetPort(at, never)).toMatchObject({ speaks: "http" });
  });

  test("takes a gRPC server that refuses HTTP/1 in HTTP/1 for gRPC", async () => {
    const at = await listenRaw((socket, text) => {
      if (text.startsWith("PRI")) socket.write(Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]));
      if (text.startsWith("GET")) socket.end("HTTP/1.1 426 Upgrade Required\r\n\r\n");
    });
    expect(await greetPort(at, never)).toMatchObject({ speaks: "grpc" });
  });

  test("tells TLS by the alert of a server that refuses every certificate-less handshake", async () => {
    const at = await listen(createTlsServer({}));
    expect(await greetPort(at, never)).toMatchObject({ speaks: "tls" });
  });

  test("tells TLS by its answer to a ClientHello where plain text is met with silence", async () => {
    const at = await listenRaw((socket, text) => {
      if (text.startsWith("\x16")) socket.write(Buffer.from([0x16, 3, 3, 0, 4, 2, 0, 0, 0]));
    });
    expect(await greetPort(at, never)).toMatchObject({ speaks: "tls" });
  });

  test("tells HTTP that hangs up on the preface by a plain GET", async () => {
    const at = await listenRaw((socket, text) => {
      if (text.startsWith("PRI")) socket.destroy();
      if (text.startsWith("GET")) socket.end("HTTP/1.0 200 OK\r\n\r\nhello");
    });
    expect(await greetPort(at, never)).toMatchObject({ speaks: "http" });
  });

  test("tells HTTP that refuses the preface in HTTP/0.9, as Python does", async () => {
    const at = await listenRaw((socket, text) => {
      if (text.startsWith("PRI")) socket.end("<!DOCTYPE HTML>\n<html>Invalid version</html>");
      if (text.startsWith("GET")) socket.end("HTTP/1.0 200 OK\r\n\r\nhello");
    });
    expect(await greetPort(at, never)).toMatchObject({ speaks: "http" });
  });

  test("leaves a server that speaks first alone after its first words", async () => {
    const at = await listenRaw((socket, text) => {
      if (text === "") socket.write("SSH-2.0-OpenSSH_9.2\r\n");
    });
    expect(await greetPort(at, never)).toEqual({ speaks: "tcp", banner: "SSH-2.0-OpenSSH_9.2\r\n", silent: false });
    expect(at.received.join("")).not.toContain("GET");
  });

  test("takes an echo for TCP", async () => {
    const at = await listenRaw((socket, text) => socket.write(text));
    expect(await greetPort(at, never)).toMatchObject({ speaks: "tcp", silent: false });
  });

  test("takes silence for TCP, and says that it was silence", async () => {
    const at = await listenRaw(() => undefined);
    expect(await greetPort(at, never)).toEqual({ speaks: "tcp", banner: "", silent: true });
  });

  test("takes a server that only hangs up for TCP", async () => {
    const at = await listenRaw((socket) => socket.destroy());
    expect(await greetPort(at, never)).toEqual({ speaks: "tcp", banner: "", silent: false });
  });

  test("keeps no more of a flood than a banner's worth", async () => {
    const at = await listenRaw((socket, text) => {
      if (text === "") socket.write("x".repeat(4_000_000));
    });
    const greeting = await greetPort(at, never);
    expect(greeting?.speaks).toBe("tcp");
    expect(greeting?.banner.length).toBeLessThanOrEqual(256);
  });

  test("has nothing to say where nothing listens", async () => {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(await greetPort({ ip: "127.0.0.1", port }, never)).toBeNull();
  });

  test("throws the reason of the signal that ends it", async () => {
    const at = await listenRaw(() => undefined);
    const stop = new AbortController();
    const greeting = greetPort(at, stop.signal);
    stop.abort(new Error("called off"));
    await expect(greeting).rejects.toThrow("called off");
  });
});

describe("getPage", () => {
  test("gives status, headers and body, and follows no redirect", async () => {
    const at = await listen(
      createHttpServer((request, response) => {
        if (request.url === "/") response.writeHead(302, { location: "/lab", server: "Test" }).end();
        else response.end(`${String(request.headers.host)} ${String(request.headers["user-agent"])}`);
      }),
    );
    expect(await getPage(at, "/", never)).toMatchObject({
      status: 302,
      headers: { location: "/lab", server: "Test" },
      body: "",
    });
    expect(await getPage(at, "/lab", never)).toMatchObject({ status: 200, body: `127.0.0.1:${at.port} taskgate` });
  });

  test("stops reading at 64 KiB of a page without end", async () => {
    const at = await listen(
      createHttpServer((_request, response) => {
        const more = () => {
          if (!response.destroyed) response.write("x".repeat(16_384), more);
        };
        more();
      }),
    );
    const page = await getPage(at, "/", never);
    expect(page?.status).toBe(200);
    expect(page?.body.length).toBe(64 * 1024);
  });

  test("takes what came of a stream that never ends", async () => {
    const at = await listen(createHttpServer((_request, response) => response.write("data: 1\n\n")));
    expect(await getPage(at, "/", never)).toMatchObject({ status: 200, body: "data: 1\n\n" });
  });

  test("has no page where the answer breaks the protocol, or none comes", async () => {
    const nonsense = await listenRaw((socket, text) => text !== "" && socket.end("nonsense"));
    expect(await getPage(nonsense, "/", never)).toBeNull();
    const silent = await listenRaw(() => undefined);
    expect(await getPage(silent, "/", never)).toBeNull();
  });

  test("throws the reason of the signal that ends it", async () => {
    const at = await listenRaw(() => undefined);
    const stop = new AbortController();
    const page = getPage(at, "/", stop.signal);
    stop.abort(new Error("called off"));
    await expect(page).rejects.toThrow("called off");
  });
});
