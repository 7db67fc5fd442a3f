// A page that says what reached it: use it to see what the gate lets through, and what it keeps.
import { createServer } from "node:http";

const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

createServer((request, response) => {
  const lines = [`${request.method} ${request.url}`, ...Object.entries(request.headers).map(([k, v]) => `${k}: ${v}`)];
  if ((request.headers.accept ?? "").includes("application/json")) {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }));
    return;
  }
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(`<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hello from a job</title>
<style>body{font:16px/1.5 system-ui;max-width:44rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}pre{overflow:auto;padding:1rem;border:1px solid #8886;border-radius:8px}</style>
<h1>Hello from a job</h1>
<p>This page is served by process ${process.pid}, replica ${escape(process.env.TASKGATE_REPLICA ?? "0")}. You came through the gate, logged in; the job saw only this:</p>
<pre>${escape(lines.join("\n"))}</pre>
<p>Start one of your own: <code>taskgate run --name files -- python3 -m http.server</code></p>`);
}).listen(Number(process.env.PORT), "127.0.0.1");
