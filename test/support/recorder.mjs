// A hostile job: writes down all that reaches it, and answers /raw/BASE64URL with those very bytes.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const server = createServer((request, response) => {
  const body = [];
  request.on("data", (chunk) => body.push(chunk));
  request.on("end", () => {
    const { method, url, rawHeaders, rawTrailers } = request;
    const text = Buffer.concat(body).toString("latin1");
    const task = process.env.TASKGATE_TASK;
    appendFileSync(process.env.SEEN, `${JSON.stringify({ task, method, url, rawHeaders, rawTrailers, body: text })}\n`);
    if (url.startsWith("/raw/")) request.socket.end(Buffer.from(url.slice("/raw/".length), "base64url"));
    else if (url === "/environment") response.end(JSON.stringify(process.env));
    else response.end("reached");
  });
});
server.listen(Number(process.env.PORT), "127.0.0.1");
