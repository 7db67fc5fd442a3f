import { createServer, type IncomingMessage } from "node:http";

/** The demo task of `npm start`: a page that says hello, and shows what of a request reaches a job. It is told where the gate's page is. */

const gatePage = process.argv[2] ?? "/";
const port = Number(process.env.PORT ?? "0");

const server = createServer((request, response) => {
  response.setHeader("cache-control", "no-store");
  if (request.url === "/ticks") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const tick = setInterval(() => response.write(`data: ${new Date().toISOString()}\n\n`), 1000);
    response.on("close", () => clearInterval(tick));
    return;
  }
  response.writeHead(200, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy":
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
  });
  response.end(page(request));
});

server.listen(port, "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));

function page(request: IncomingMessage): string {
  const rows: string[] = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    rows.push(`<tr><th>${escape(request.rawHeaders[at] ?? "")}<td>${escape(request.rawHeaders[at + 1] ?? "")}`);
  }
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>A job behind taskgate</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}
table{border-collapse:collapse;font:13px/1.5 ui-monospace,monospace}th{text-align:left;vertical-align:top;padding:0 1rem 0 0;white-space:nowrap}
td{overflow-wrap:anywhere}pre{padding:.8rem;border:1px solid #8886;border-radius:6px;overflow:auto}</style>
<h1>Hello from a job</h1>
<p>This page is served by a small program that listens on a port of 127.0.0.1. You came to it by its name, and nobody comes without login.
The time over there, live: <output id="now">…</output></p>
<h2>What reached it</h2>
<p>Your login is not among it: the gate took it out.</p>
<table><tr><th>${escape(request.method ?? "")}<td>${escape(request.url ?? "")}${rows.join("")}</table>
<h2>Now yours</h2>
<pre>bin/taskgate run --name files -- sh -c 'python3 -m http.server $PORT'
bin/taskgate open files
bin/taskgate ps</pre>
<p><a href="${escape(gatePage)}">Everything behind this gate</a></p>
<script>new EventSource("ticks").onmessage = (event) => { document.getElementById("now").textContent = event.data; };</script>
</html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
