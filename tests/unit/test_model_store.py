"""Fetching weights from a real server that cuts, lies, ignores ranges, or is not there."""

import fcntl
import hashlib
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from audiosearch.engine.analyzers import model_store
from audiosearch.engine.analyzers.base import EncoderSpec, WeightFile
from audiosearch.engine.analyzers.model_store import (
    install_file,
    missing_files,
    pull,
    size_on_disk,
    unverified_files,
)
from audiosearch.engine.errors import DownloadFailed, ModelUnavailable
from tests.download_host import Host, serving
from tests.fake_encoder import Fake

CONTENT = bytes(range(256)) * 8192
WEIGHTS = WeightFile(
    name="w.bin",
    url="",
    licence="CC BY 4.0",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)
SPEC = EncoderSpec(**{**Fake.spec.__dict__, "weights": (WEIGHTS,)})


@pytest.fixture
def host() -> Iterator[Host]:
    with serving(CONTENT) as server:
        yield server


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


@pytest.mark.parametrize("arrived", [0, 700_000])
def test_a_server_that_falls_silent_costs_nothing_that_arrived(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrived: int
) -> None:
    monkeypatch.setattr(model_store, "TIMEOUT_S", 0.5)
    host.stall_after = arrived
    with pytest.raises(DownloadFailed, match="timed out"):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    assert (tmp_path / "fake" / "w.bin.part").stat().st_size == arrived
    host.stall_after = None
    pull(SPEC, tmp_path, ignore, base_url=host.url)
    assert host.ranges == [None, f"bytes={arrived}-" if arrived else None]
    assert (tmp_path / "fake" / "w.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_begins_anew(host: Host, tmp_path: Path) -> None:
    host.cut_after = 1000
    with pytest.raises(DownloadFailed):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    host.cut_after, host.knows_ranges = None, False
    pull(SPEC, tmp_path, ignore, base_url=host.url)
    assert (tmp_path / "fake" / "w.bin").read_bytes() == CONTENT


def test_a_server_that_sends_another_part_is_not_believed(host: Host, tmp_path: Path) -> None:
    host.cut_after = 1000
    with pytest.raises(DownloadFailed):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    host.cut_after, host.sends_part_from = None, 0
    with pytest.raises(DownloadFailed, match="another part"):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    host.sends_part_from = None
    pull(SPEC, tmp_path, ignore, base_url=host.url)
    assert (tmp_path / "fake" / "w.bin").read_bytes() == CONTENT


def test_wrong_bytes_are_thrown_away(host: Host, tmp_path: Path) -> None:
    host.declares_length = False
    for wrong in (CONTENT[:-1] + b"x", CONTENT + b"more"):
        host.content = wrong
        with pytest.raises(ModelUnavailable, match="thrown away"):
            pull(SPEC, tmp_path, ignore, base_url=host.url)
        assert _files(tmp_path) == [".lock"]


def test_a_login_page_is_not_the_start_of_the_file(host: Host, tmp_path: Path) -> None:
    host.content = b"<html>Please sign in</html>"
    with pytest.raises(DownloadFailed, match=f"offers 27 bytes, not {len(CONTENT)}"):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    assert _files(tmp_path) == [".lock"]


def test_a_part_longer_than_what_is_served_is_dropped(host: Host, tmp_path: Path) -> None:
    host.cut_after = 1_000_000
    with pytest.raises(DownloadFailed):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    host.cut_after, host.content = None, CONTENT[:10]
    with pytest.raises(DownloadFailed, match="Range"):
        pull(SPEC, tmp_path, ignore, base_url=host.url)
    assert _files(tmp_path) == [".lock"]


def test_nothing_has_the_final_name_before_it_is_checked(host: Host, tmp_path: Path) -> None:
    final = tmp_path / "fake" / "w.bin"
    there: list[bool] = []
    pull(SPEC, tmp_path, lambda *_: there.append(final.exists()), base_url=host.url)
    assert there
    assert not any(there)
    assert final.exists()


def test_two_pulls_do_not_collide(host: Host, tmp_path: Path) -> None:
    (tmp_path / "fake").mkdir()
    with (tmp_path / "fake" / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ModelUnavailable, match="Another process"):
            pull(SPEC, tmp_path, ignore, base_url=host.url)
    assert host.ranges == []
    pull(SPEC, tmp_path, ignore, base_url=host.url)


def test_a_full_disk_is_seen_before_the_download(host: Host, tmp_path: Path) -> None:
    huge = replace(SPEC, weights=(replace(WEIGHTS, size=1 << 60),))
    with pytest.raises(DownloadFailed, match="MB are free"):
        pull(huge, tmp_path, ignore, base_url=host.url)
    assert host.ranges == []


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "w.bin"
    blocked.write_bytes(CONTENT)
    with pytest.raises(ModelUnavailable, match=r"Nothing can be written to .*: Not a directory"):
        pull(SPEC, blocked, ignore)
    with pytest.raises(ModelUnavailable, match=r"Nothing can be written to .*: Not a directory"):
        install_file(SPEC, blocked, blocked)


def test_a_copy_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    given = tmp_path / "w.bin"
    given.write_bytes(CONTENT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, hard))
    try:
        with pytest.raises(ModelUnavailable, match=r"could not be copied to .*: File too large"):
            install_file(SPEC, tmp_path, given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _files(tmp_path) == [".lock"]


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
    assert size_on_disk(SPEC, models) > 0


def _files(models: Path) -> list[str]:
    return sorted(path.name for path in (models / "fake").iterdir())


def test_an_optional_file_that_cannot_be_had_stops_nothing(host: Host, tmp_path: Path) -> None:
    other = replace(WEIGHTS, name="labels.csv", url="http://127.0.0.1:9/labels.csv", optional=True)
    first = replace(WEIGHTS, url=f"{host.url}/w.bin")
    spec = EncoderSpec(**{**Fake.spec.__dict__, "weights": (first, other)})
    pull(spec, tmp_path, ignore)
    assert (tmp_path / "fake" / "w.bin").read_bytes() == CONTENT
    assert missing_files(spec, tmp_path) == ["labels.csv"]
    required = EncoderSpec(**{**spec.__dict__, "weights": (first, replace(other, optional=False))})
    with pytest.raises(DownloadFailed, match=r"labels\.csv"):
        pull(required, tmp_path, ignore)


def test_a_file_without_a_published_digest_is_fetched_whole_and_noted(
    host: Host, tmp_path: Path
) -> None:
    spec = replace(SPEC, weights=(replace(WEIGHTS, size=0, sha256=""),))
    host.cut_after = 1_000_000
    with pytest.raises(DownloadFailed, match="ended after"):
        pull(spec, tmp_path, ignore, base_url=host.url)
    host.cut_after = None
    pull(spec, tmp_path, ignore, base_url=host.url)
    assert (tmp_path / "fake" / "w.bin").read_bytes() == CONTENT
    assert unverified_files(spec, tmp_path) == ["w.bin"]
    (tmp_path / "fake" / "w.bin").unlink()
    host.declares_length = False
    with pytest.raises(DownloadFailed, match="does not say how long"):
        pull(spec, tmp_path, ignore, base_url=host.url)
