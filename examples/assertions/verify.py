"""Answers with who asks, as the gate asserts it: pip install 'pyjwt[crypto]'."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import jwt

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
KEYS = jwt.PyJWKClient(
    os.environ.get("KEYS_AT", ISSUER) + "/.taskgate/jwks.json",
    headers={"Host": urlsplit(ISSUER).netloc},
    lifespan=300,
)


def verify(assertion: str) -> dict:
    """Its claims. Raises jwt.PyJWTError for anything but an assertion of this gate for this service."""
    if jwt.get_unverified_header(assertion).get("typ") != "taskgate-assertion+jwt":
        raise jwt.InvalidTokenError("not an assertion")
    key = KEYS.get_signing_key_from_jwt(assertion)
    return jwt.decode(
        assertion,
        key,
        algorithms=["ES256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        leeway=60,
        options={"require": ["exp", "iat", "sub", "aud", "iss"]},
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        try:
            status, answer = 200, verify(self.headers.get("X-Taskgate-Assertion", ""))
        except jwt.PyJWTError as error:
            status, answer = 401, {"error": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
