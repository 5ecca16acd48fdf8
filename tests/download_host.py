"""A real download host on the loopback whose faults can be set."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Host(ThreadingHTTPServer):
    """Serves one content at every address, and notes the ranges it is asked for."""

    cut_after: int | None = None
    stall_after: int | None = None
    knows_ranges = True
    sends_part_from: int | None = None
    declares_length = True
    missing = False

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.closing = threading.Event()
        self.paths: list[str] = []
        self.ranges: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Be quiet: clients that leave are what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.paths.append(self.path)
        self.server.ranges.append(asked)
        if self.server.missing:
            self.send_error(404)
        elif asked and self.server.knows_ranges:
            self._send_part(int(asked.removeprefix("bytes=").removesuffix("-")))
        else:
            self._send(200, self.server.content)

    def _send_part(self, start: int) -> None:
        total = len(self.server.content)
        if start >= total:
            self.send_error(416)
            return
        if self.server.sends_part_from is not None:
            start = self.server.sends_part_from
        self._send(206, self.server.content[start:], f"bytes {start}-{total - 1}/{total}")

    def _send(self, status: int, body: bytes, content_range: str = "") -> None:
        self.send_response(status)
        if self.server.declares_length:
            self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if self.server.stall_after is not None:
            self.wfile.write(body[: self.server.stall_after])
            self.server.closing.wait(30)
            return
        self.wfile.write(body[: self.server.cut_after])
        if self.server.cut_after is not None:
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@contextmanager
def serving(content: bytes) -> Iterator[Host]:
    """A host on a free port of the loopback."""
    server = Host(content)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
