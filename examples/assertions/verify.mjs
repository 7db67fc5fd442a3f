// Answers with who asks, as the gate asserts it: npm install jose.
import { createServer, get } from "node:http";
import { createRemoteJWKSet, customFetch, jwtVerify } from "jose";

const { ISSUER, AUDIENCE, KEYS_AT = ISSUER, PORT } = process.env;
/** Where the gate's name resolves, `createRemoteJWKSet(url)` is all it takes; fetch() lets nobody say another Host. */
const fetchAt = (url) =>
  new Promise((resolve, reject) => {
    get(url, { headers: { host: new URL(ISSUER).host } }, async (answer) => {
      resolve(new Response(Buffer.concat(await answer.toArray()), { status: answer.statusCode }));
    }).on("error", reject);
  });
const at = KEYS_AT === ISSUER ? {} : { [customFetch]: fetchAt };
const keys = createRemoteJWKSet(new URL("/.taskgate/jwks.json", KEYS_AT), at);

/** Its claims. Throws for anything but an assertion of this gate for this service. */
async function verify(assertion) {
  const { payload } = await jwtVerify(assertion, keys, {
    typ: "taskgate-assertion+jwt",
    algorithms: ["ES256"],
    audience: AUDIENCE,
    issuer: ISSUER,
    clockTolerance: 60,
    requiredClaims: ["exp", "iat", "sub"],
  });
  return payload;
}

createServer(async (request, response) => {
  let [status, answer] = [200, {}];
  try {
    answer = await verify(request.headers["x-taskgate-assertion"] ?? "");
  } catch (error) {
    [status, answer] = [401, { error: String(error) }];
  }
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
}).listen(Number(PORT), "127.0.0.1");
