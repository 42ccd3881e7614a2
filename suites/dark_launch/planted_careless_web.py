"""Planted: a web v2 that places an order for each request, real or mirrored. A program of one's own runs like this one:
the port comes as an argument, and calls leave through `http_proxy`, as with a sidecar."""

import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        order = urllib.request.Request("http://orders/", data=b"one more", method="POST")
        with urllib.request.urlopen(order) as answer:
            self.send_response(answer.status)
        self.send_header("content-length", "0")
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Web).serve_forever()
