"""A small reverse proxy: what it is asked below a prefix it hands on without it, as most do."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

OURS = ("connection", "transfer-encoding", "keep-alive")


@contextmanager
def proxy_to(url: str, prefix: str) -> Iterator[str]:
    """Yields the address of the service behind it; what is not below the prefix is 404."""
    upstream = urlsplit(url).netloc

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404, "not below the prefix")
                return
            length = int(self.headers.get("Content-Length", 0))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in OURS}
            headers |= {"X-Forwarded-Prefix": prefix, "X-Forwarded-For": self.client_address[0]}
            asked = HTTPConnection(upstream, timeout=60)
            path = self.path.removeprefix(prefix)
            asked.request(self.command, path, self.rfile.read(length), headers)
            answer = asked.getresponse()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in OURS:
                    self.send_header(name, value)
            self.end_headers()
            try:
                while piece := answer.read1(1 << 16):
                    self.wfile.write(piece)
            except ConnectionError:
                self.close_connection = True  # a browser has heard enough
            asked.close()

        do_POST = do_HEAD = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *words: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}"
    finally:
        server.shutdown()
        server.server_close()
