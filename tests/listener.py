#!/usr/bin/env python3
"""Stands in for a vendor while one tries things out: prints what arrives, answers 204.

usage: listener.py PORT        on 127.0.0.1, until Ctrl-C
"""
import http.server
import sys


class Listener(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.body()
        print(self.command, self.path)
        for name, value in self.headers.items():
            print(f"  {name}: {value}")
        print(f"  {body.decode()}\n", flush=True)
        self.send_response(204)
        self.end_headers()

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Listener).serve_forever()
