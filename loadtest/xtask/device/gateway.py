"""A gateway's endpoints for one wall display, over TLS: for measurements of the display alone.

Usage: gateway.py CERTIFICATE KEY. Prints its port. Approves every code at once, and answers the
content with an entity tag that never changes.
"""

import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CODE = {
    "device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://gw.example/d",
    "verification_uri_complete": "https://gw.example/d/WDJB-MJHT", "expires_in": 900, "interval": 1,
}
GRANT = {"access_token": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "token_type": "Bearer"}
QUOTE = {
    "text": "It is not because things are difficult that we do not dare; it is because we do not "
            "dare that they are difficult.",
    "author": "Seneca",
}
TAG = '"one"'
FOREVER = threading.Event()
# As often as the display asks for.
HEARTBEAT_SECONDS = 600


class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(200, CODE if self.path.endswith("/device/code") else GRANT)

    def do_GET(self):
        if self.path.startswith("/auth/events"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            while True:
                self.wfile.write(b": here\n\n")
                self.wfile.flush()
                FOREVER.wait(HEARTBEAT_SECONDS)
        elif self.headers.get("If-None-Match") == TAG:
            self.reply(304, None)
        else:
            self.reply(200, QUOTE if self.path.startswith("/api/") else {"audiences": []})

    def reply(self, status, value):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", TAG)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing: the measurement's log is the display's."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
