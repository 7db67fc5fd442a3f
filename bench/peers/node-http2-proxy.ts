// A peer, run as a process of its own: PORT BACKEND_PORT
import { connect, createServer, type OutgoingHttpHeaders } from "node:http2";

const [port, backend] = process.argv.slice(2).map(Number);
const session = connect(`http://127.0.0.1:${backend ?? 0}`);
createServer()
  .on("stream", (stream, headers, _flags, raw) => {
    const upstream = session.request(raw, { waitForTrailers: true });
    let trailers: OutgoingHttpHeaders = {};
    upstream.on("wantTrailers", () => upstream.sendTrailers({}));
    upstream.on("response", (_answer, _answerFlags, rawAnswer: string[]) => {
      if (stream.destroyed) return; // the load ended meanwhile
      stream.on("wantTrailers", () => stream.sendTrailers(trailers));
      stream.respond(rawAnswer, { waitForTrailers: true });
      upstream.pipe(stream);
    });
    upstream.on("trailers", (came: OutgoingHttpHeaders) => (trailers = came));
    stream.on("error", () => upstream.destroy());
    upstream.on("error", () => stream.destroy());
    if (headers[":method"] === "GET") upstream.end();
    else stream.pipe(upstream);
  })
  .listen(port, "127.0.0.1");
