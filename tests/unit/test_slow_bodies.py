"""Bodies that come slowly, endlessly or from strangers, sent to the web server as it is started."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from apps.ops.management.commands.serve import web_server
from tests import servers
from tests.databases import copy_migrated
from tests.service import ROOT

MANAGE = [sys.executable, "manage.py"]
DEADLINE_S = 3
MADE = """
from django.contrib.auth import get_user_model
from apps.access.tokens import issue_token
user = get_user_model().objects.create_user("ada", password="right")
print(issue_token(user=user, name="test"))
"""


class Web:
    """The address of a web server, a token, and its folder of uploads."""

    def __init__(self, port: int, token: str, uploads: Path) -> None:
        self.port, self.token, self.uploads = port, token, uploads

    def send(
        self, path: str, length: int | None, body: bytes = b"", **headers: str
    ) -> socket.socket:
        """Begin a POST of so many bytes; None sends it in chunks without end."""
        told = {"Host": "localhost", "Content-Type": "multipart/form-data; boundary=b", **headers}
        told["Cookie"] = "csrftoken=" + "a" * 32  # with one, Django looks for its twin in the body
        if length is None:
            told["Transfer-Encoding"] = "chunked"
        else:
            told["Content-Length"] = str(length)
        lines = [f"POST {path} HTTP/1.1", *(f"{k.replace('_', '-')}: {v}" for k, v in told.items())]
        peer = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        peer.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return peer

    def ask(self, path: str) -> int:
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        asked.request("GET", path)
        status = asked.getresponse().status
        asked.close()
        return status


def said_until(peer: socket.socket, words: bytes, said: bytes = b"") -> bytes:
    """What the server says, with `said` before it, in however many pieces, up to these words."""
    while words not in said:
        some = peer.recv(1 << 16)
        assert some, (words, said)
        said += some
    return said


def answer(peer: socket.socket) -> tuple[int, bytes]:
    """The status and all else that comes until the server closes."""
    said = b""
    while some := peer.recv(1 << 16):
        said += some
    peer.close()
    found = re.match(rb"HTTP/1.1 (\d+)", said)
    assert found, said
    return int(found[1]), said


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    data = tmp_path_factory.mktemp("web")
    environment = {
        **os.environ,
        **{"DJANGO_SETTINGS_MODULE": "audiosearch.settings", "PYTHONPATH": str(ROOT)},
        **{"WARM_UP": "0", "DATABASE_URL": f"sqlite:///{data}/audiosearch.sqlite3"},
        **{"DATA_DIR": str(data), "BODY_WITHIN_S": str(DEADLINE_S), "MAX_FILE_MB": "8"},
        **{"MAX_WAITING_BODIES": "64", "MAX_CONCURRENT_REQUESTS": "4"},
        **{"SLOWEST_KB_PER_S": "64", "MAX_CONCURRENT_UPLOADS": "8"},
    }

    def manage(*words: str) -> str:
        command = [*MANAGE, *words]
        return subprocess.check_output(command, cwd=ROOT, env=environment, text=True)

    copy_migrated(data / "audiosearch.sqlite3")
    token = manage("shell", "--no-imports", "-c", MADE).strip()
    port = servers.free_port()
    server = servers.Server(
        f"http://127.0.0.1:{port}",
        web_server("127.0.0.1", port),
        data / "web.log",
        lambda: servers.listens(port),
        wait_s=60,
        environment=environment,
    )
    server.start()
    try:
        yield Web(port, token, data / "uploads")
    finally:
        server.stop()


@pytest.mark.parametrize("path", ["/login/", "/add/", "/admin/login/", "/api/v1/tracks/"])
def test_a_crowd_that_trickles_keeps_nobody_waiting(web: Web, path: str) -> None:
    """More of them than there are turns, threads, or places to wait in."""
    with ExitStack() as crowd:
        slow = [crowd.enter_context(web.send(path, 1000, b"--b")) for _ in range(80)]
        for page, told in [("/library/", 302), ("/api/v1/live/", 200), ("/api/v1/tracks/", 401)]:
            assert web.ask(page) == told, page
        quick = web.send(
            "/api/v1/search/", 2, b"{}", Content_Type="application/json", Connection="close"
        )
        assert answer(quick)[0] == 401, "a body that comes at once still has a place"
        assert {answer(peer)[0] for peer in slow} == {408}
    assert not list(web.uploads.iterdir())


def test_strangers_cannot_have_anything_written(web: Web) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
    for path, told in [("/login/", 413), ("/admin/login/", 413), ("/add/", 302), ("/", 302)]:
        peer = web.send(path, 2 << 20, head + b"x" * 200_000)
        said = said_until(peer, b"\r\n")
        assert said.startswith(f"HTTP/1.1 {told} ".encode()), (path, said)
        assert not list(web.uploads.iterdir()), path
        peer.close()
    for path in ("/api/v1/tracks/", "/api/v1/search/", "/api/v1/speakers/identify/"):
        for more in ({}, {"Authorization": "Token made-up"}):
            peer = web.send(path, 2 << 20, head, Accept="application/json", **more)
            assert said_until(peer, b"\r\n").startswith(b"HTTP/1.1 401 "), path
            peer.close()
    assert not list(web.uploads.iterdir())


def test_what_is_too_large_is_refused_before_it_is_sent(web: Web) -> None:
    peer = web.send("/api/v1/tracks/", 9 << 20, Authorization=f"Token {web.token}")
    said = said_until(peer, b"the limit is 8 MB")
    assert said.startswith(b"HTTP/1.1 413 ")
    peer.sendall(b"x" * (9 << 20))  # who sends it all the same gets through, and reads the answer
    whole = said_until(peer, b"0\r\n\r\n", said)
    assert whole.endswith(b"0\r\n\r\n"), "the answer is whole, and nothing was reset"
    peer.close()


def test_a_body_of_no_length_is_short_or_refused(web: Web) -> None:
    def chunk(size: int) -> bytes:
        return f"{size:x}\r\n".encode() + b"x" * size + b"\r\n"

    token = {"Authorization": f"Token {web.token}", "Connection": "close"}
    long = web.send("/api/v1/tracks/", None, chunk(50_000) + chunk(50_000) + b"0\r\n\r\n", **token)
    assert answer(long)[0] == 411
    form = b'{"track": 1}'
    told = f"{len(form):x}\r\n".encode() + form + b"\r\n0\r\n\r\n"
    json_body = token | {"Content_Type": "application/json"}
    status, said = answer(web.send("/api/v1/search/", None, told, **json_body))
    assert (status, b"There is no track 1" in said) == (404, True)


def test_an_upload_has_to_keep_its_pace(web: Web) -> None:
    token = {"Authorization": f"Token {web.token}"}
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    began = time.monotonic()
    with web.send("/api/v1/tracks/", 4 << 20, head, **token) as peer:
        said = b""
        peer.settimeout(0.2)
        while not said and time.monotonic() < began + 60:
            try:
                peer.sendall(b"x" * 1000)  # some 5 kB a second
                said = peer.recv(1 << 16)
            except TimeoutError:
                continue
        peer.settimeout(30)
        said = said_until(peer, b"}}", said)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_slow"
    assert not list(web.uploads.iterdir()), "what was there of it is gone"


def test_one_address_leaves_places_to_others(web: Web) -> None:
    token = {"Authorization": f"Token {web.token}"}
    with ExitStack() as many:
        held = [many.enter_context(web.send("/api/v1/tracks/", 1 << 20, **token)) for _ in range(5)]
        refused = [peer for peer in held if _says_503(peer)]
        assert len(refused) == 1
        assert web.ask("/api/v1/live/") == 200


def _says_503(peer: socket.socket) -> bool:
    peer.settimeout(1)
    try:
        return peer.recv(1 << 16).startswith(b"HTTP/1.1 503 ")
    except TimeoutError:
        return False


def test_a_form_that_is_sent_at_once_is_answered(web: Web) -> None:
    size = 3 << 20
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = head + b"x" * size + b"\r\n--b--\r\n"
    token = {"Authorization": f"Token {web.token}", "Connection": "close"}
    status, said = answer(web.send("/api/v1/tracks/", len(body), body, **token))
    assert (status, b"unsupported_audio" in said) == (415, True), said
