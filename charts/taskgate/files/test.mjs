// What `helm test` asks the gate, by its Service, from a pod that is itself a task: it has one annotation.
import { readFileSync } from "node:fs";
import { createServer, request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";

const { SERVICE, PORT, DOMAIN, SECURE, TASK } = process.env;
const GATE = `taskgate.${DOMAIN}`;
const OWN = "this is the pod of helm test";
const GIVE_UP = Date.now() + 60_000;

function get(name, path, headers = {}) {
  const ask = SECURE === "true" ? secureRequest : plainRequest;
  // The Service's name is in no certificate of visitors': who answers is not what is tested.
  const options = { host: SERVICE, port: PORT, path, servername: name, rejectUnauthorized: false, timeout: 5000 };
  return new Promise((resolve, reject) => {
    const request = ask({ ...options, headers: { ...headers, host: `${name}:${PORT}` } }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    request.on("timeout", () => request.destroy(new Error("no answer for 5 s"))).on("error", reject);
    request.end();
  });
}

async function expects(what, call, isRight) {
  for (;;) {
    const found = await call().catch((error) => error);
    if (isRight(found)) return console.log(`ok: ${what}`);
    if (Date.now() > GIVE_UP) {
      console.error(
        `failed: ${what}; the last answer was ${found.status ?? found.message}: ${(found.body ?? "").slice(0, 300)}`,
      );
      process.exit(1);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

function readToken() {
  try {
    return readFileSync("/etc/test/token", "utf8").trim();
  } catch {
    return null;
  }
}

const server = createServer((_request, response) => response.end(OWN)).listen(8080);
const page = () => get(GATE, "/.taskgate/login");
await expects(`the gate answers at ${SERVICE}:${PORT}`, page, ({ status }) => status === 200);
const tasks = () => get(GATE, "/.taskgate/api/v1/tasks");
await expects("it shows nobody anything without a login", tasks, ({ status }) => status === 401);
if (TASK !== "") {
  const own = `${TASK}.${DOMAIN}`;
  const closed = ({ status, body }) => status === 401 && !body.includes(OWN);
  await expects("this pod is published, and closed", () => get(own, "/"), closed);
  const token = readToken();
  const open = () => get(own, "/", { authorization: `Bearer ${token}` });
  const passed = ({ status, body }) => status === 200 && body === OWN;
  if (token !== null) await expects("whoever has a token is let in to it", open, passed);
  else console.log("There is no Secret with a token, so nobody went in: see test.tokenSecret.");
}
server.close();
