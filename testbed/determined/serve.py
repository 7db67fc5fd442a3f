"""Stands in for what runs in an allocation: SERVE names its ports, as JSON: [{"port": 2600, "tls": false}].

Each answers HTTP with who it is, and echoes WebSocket messages. With tls it shows the notebook's certificate, and lets nobody in who has
none by the master's authority.
"""

import base64
import hashlib
import json
import os
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER = "/run/determined/jupyter"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.echo()
        peer = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        names = [value for part in (peer or {}).get("subject", ()) for key, value in part if key == "organizationName"]
        said = {
            "task": os.environ.get("DET_TASK_ID"),
            "allocation": os.environ.get("DET_ALLOCATION_ID"),
            "pod": os.environ.get("HOSTNAME"),
            "port": self.server.server_port,
            "path": self.path,
            "peer": names[0] if names else None,
        }
        body = (json.dumps(said) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def echo(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            length = head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self.rfile.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self.rfile.read(8))
            mask = self.rfile.read(4)
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(length)))
            size = bytes([length]) if length < 126 else b"\x7e" + struct.pack("!H", length)
            self.wfile.write(bytes([head[0]]) + size + payload)
            if head[0] & 0x0F == 8:
                return

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        print(client_address, sys.exc_info()[1], file=sys.stderr)


def serve(port, tls):
    server = Server(("0.0.0.0", port), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{FOLDER}/jupyterCert.pem", f"{FOLDER}/jupyterKey.key")
        context.load_verify_locations(f"{FOLDER}/masterCa.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        # The handshake is the thread's, so that nobody waits for a visitor who says nothing.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever).start()


for each in json.loads(os.environ["SERVE"]):
    serve(each["port"], each.get("tls", False))
