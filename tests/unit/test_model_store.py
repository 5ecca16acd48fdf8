"""Fetching weights from a real server that cuts, lies, ignores ranges, or is not there."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audiosearch.engine.encoders.base import EncoderSpec, WeightFile
from audiosearch.engine.errors import DownloadFailed, ModelUnavailable
from audiosearch.engine.model_store import install_file, pull, unverified_files
from tests.fake_encoder import Fake

CONTENT = bytes(range(256)) * 8192
WEIGHTS = WeightFile("w.bin", "", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "CC BY 4.0")
SPEC = EncoderSpec(**{**Fake.spec.__dict__, "weights": (WEIGHTS,)})


class Host(ThreadingHTTPServer):
    """A download host whose faults can be set; it notes the ranges it is asked for."""

    cut_after: int | None = None
    knows_ranges = True
    content = CONTENT
    missing = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if self.server.missing:
            self.send_error(404)
            return
        start = 0
        if asked and self.server.knows_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut_after])
        if self.server.cut_after is not None:
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@pytest.fixture
def host() -> Iterator[Host]:
    server = Host()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def ignore(what: str, done: int, total: int) -> None:
    """No progress bar."""


def test_a_cut_download_goes_on_where_it_stopped(host: Host, tmp_path: Path) -> None:
    host.cut_after = 1_000_000
    with pytest.raises(DownloadFailed, match="--from"):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    part = tmp_path / "fake" / "w.bin.part"
    have = part.stat().st_size
    assert 0 < have <= 1_000_000
    assert not (tmp_path / "fake" / "w.bin").exists()
    host.cut_after = None
    seen: list[int] = []
    pull(SPEC, tmp_path, lambda what, done, total: seen.append(done), base_url=host.url)
    assert host.ranges == [None, f"bytes={have}-"]
    assert (tmp_path / "fake" / "w.bin").read_bytes() == CONTENT
    assert not part.exists()
    assert seen[-1] == len(CONTENT)
    pull(SPEC, tmp_path, ignore, base_url=host.url)
    assert len(host.ranges) == 2


def test_a_server_without_ranges_begins_anew(host: Host, tmp_path: Path) -> None:
    host.cut_after = 1000
    with pytest.raises(DownloadFailed):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    host.cut_after, host.knows_ranges = None, False
    pull(SPEC, tmp_path, ignore, base_url=host.url)
    assert (tmp_path / "fake" / "w.bin").read_bytes() == CONTENT


def test_wrong_bytes_are_thrown_away(host: Host, tmp_path: Path) -> None:
    for wrong in (CONTENT[:-1] + b"x", CONTENT + b"more"):
        host.content = wrong
        with pytest.raises(ModelUnavailable, match="thrown away"):
            pull(SPEC, tmp_path, ignore, base_url=host.url)
        assert sorted(path.name for path in (tmp_path / "fake").iterdir()) == [".lock"]


def test_no_network_and_no_file_say_what_to_do(host: Host, tmp_path: Path) -> None:
    host.missing = True
    with pytest.raises(DownloadFailed, match="Not Found"):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    with pytest.raises(DownloadFailed, match="without a network here"):
        pull(SPEC, tmp_path, ignore, base_url="http://127.0.0.1:9")


def test_a_file_fetched_by_hand_is_checked(tmp_path: Path) -> None:
    models = tmp_path / "models"
    right = tmp_path / "downloaded (1).bin"
    right.write_bytes(CONTENT)
    install_file(SPEC, models, right)
    assert (models / "fake" / "w.bin").read_bytes() == CONTENT
    assert unverified_files(SPEC, models) == []
    wrong = tmp_path / "w.bin"
    wrong.write_bytes(b"mine")
    with pytest.raises(ModelUnavailable, match="--trust"):
        install_file(SPEC, models, wrong)
    assert (models / "fake" / "w.bin").read_bytes() == CONTENT
    install_file(SPEC, models, wrong, trust=True)
    assert unverified_files(SPEC, models) == ["w.bin"]
    other = tmp_path / "other.txt"
    other.write_text("x")
    with pytest.raises(ModelUnavailable, match="no file of fake"):
        install_file(SPEC, models, other)
