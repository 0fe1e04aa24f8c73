"""A shop's service: it reads its greeting once, takes three seconds to start, and says so to systemd."""

import http.server
import os
import socket
import time
from pathlib import Path

GREETING = Path("/etc/shop/greeting").read_bytes()


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(GREETING)

    def log_message(self, *_):
        """Nothing: it is asked twice a second."""


time.sleep(3)
server = http.server.ThreadingHTTPServer(("", 8080), Shop)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
server.serve_forever()
