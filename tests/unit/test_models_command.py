"""`manage.py models`: the table, and pull with and without a network."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core.management import CommandError, call_command

from apps.analysis.models import Space
from audiosearch.engine.analyzers.base import EncoderSpec, Progress, WeightFile
from audiosearch.engine.analyzers.registry import ANALYZERS
from audiosearch.engine.errors import ModelUnavailable
from tests.download_host import Host, serving
from tests.fake_encoder import Fake

CONTENT = bytes(range(256)) * 16384  # four pieces of a download
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Heavy(Fake):
    """An encoder with a weight file and an export, which is a file too."""

    spec: ClassVar[EncoderSpec] = replace(
        Fake.spec,
        name="heavy",
        title="Heavy",
        weights=(WeightFile("w=1.bin", "", "CC BY 4.0", len(CONTENT), DIGEST),),
    )

    @classmethod
    def state(cls, models_dir: Path) -> str:
        folder = models_dir / "heavy"
        if (folder / "export").exists():
            return "ready"
        return "needs export" if (folder / "w=1.bin").exists() else "missing"

    @classmethod
    def prepare(cls, models_dir: Path, progress: Progress) -> dict[str, float]:
        folder = models_dir / "heavy"
        if (folder / "w=1.bin").read_bytes() == b"broken":
            raise ModelUnavailable("The export is not faithful.")
        (folder / "export").touch()
        return {"embedding cosine": 0.99999999, "largest difference": 1.25e-5}


@pytest.fixture(autouse=True)
def heavy(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    monkeypatch.setitem(ANALYZERS, "heavy", f"{__name__}.Heavy")
    settings.MODELS_DIR = tmp_path / "models"


@pytest.fixture
def host(settings: Any) -> Iterator[Host]:
    with serving(CONTENT) as server:
        settings.MODELS_URL = server.url
        yield server


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("models", *arguments, stdout=out)
    return out.getvalue()


def row(name: str) -> list[str]:
    return next(line for line in run().splitlines() if f" {name} " in f" {line}").split()


@pytest.mark.django_db
def test_the_table_says_what_is_here_and_what_serves(host: Host) -> None:
    Space.objects.create(
        name="fake-v1", kind="embedding", analyzer="fake", dimension=16, state="active"
    )
    assert row("heavy")[1] == "missing"
    assert row("fake")[:3] == ["*", "fake", "ready"]
    run("pull", "heavy", "--quiet")
    assert row("heavy")[1] == "ready"
    assert row("heavy")[3] == "4"
    assert run("list") == run()


@pytest.mark.parametrize("arguments", [(), ("--quiet",)])
@pytest.mark.parametrize("terminal", [True, False])
def test_pull_fetches_prepares_and_says_what_was_measured(
    host: Host, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], terminal: bool
) -> None:
    errors = StringIO()
    monkeypatch.setattr(errors, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stderr", errors)
    said = run("pull", "heavy", *arguments)
    assert host.paths == ["/w%3D1.bin"]
    assert "embedding cosine: 0.99999999" in said
    assert "largest difference: 1.25e-05" in said
    assert said.endswith("Heavy is ready.\n")
    assert ("w=1.bin" in errors.getvalue()) == (terminal and not arguments)


def test_pull_again_does_nothing_twice(host: Host) -> None:
    run("pull", "heavy", "--quiet")
    assert run("pull", "heavy", "--quiet") == "Heavy is ready.\n"
    assert len(host.paths) == 1


def test_pull_takes_files_fetched_by_hand(host: Host, tmp_path: Path) -> None:
    given = tmp_path / "w=1.bin"
    given.write_bytes(CONTENT)
    assert run("pull", "heavy", "--from", str(given)).endswith("Heavy is ready.\n")
    assert host.paths == []


def test_failures_end_the_command_with_a_sentence(host: Host, tmp_path: Path) -> None:
    broken = tmp_path / "w=1.bin"
    broken.write_bytes(b"broken")
    for arguments, sentence in (
        (("pull", "nothing"), 'no analyzer "nothing"'),
        (("pull", "heavy", "--from", str(tmp_path / "absent")), "There is no file"),
        (("pull", "heavy", "--from", str(broken)), "add --trust"),
        (("pull", "heavy", "--from", str(broken), "--trust"), "not faithful"),
    ):
        with pytest.raises(CommandError, match=sentence):
            run(*arguments)
    (tmp_path / "models" / "heavy" / "w=1.bin").unlink()
    host.missing = True
    with pytest.raises(CommandError, match=r"models pull heavy --from"):
        run("pull", "heavy")


def test_a_quiet_failure_is_one_sentence_and_an_exit_code(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.missing = True
    with pytest.raises(SystemExit) as ended:
        call_command("models", "pull", "heavy", "--quiet")
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out.startswith("w=1.bin could not be fetched from")
    assert said.out.count("\n") == 1
    assert said.err == ""


@pytest.mark.django_db
def test_the_table_names_unverified_files(tmp_path: Path) -> None:
    own = tmp_path / "w=1.bin"
    own.write_bytes(b"mine")
    run("pull", "heavy", "--from", str(own), "--trust")
    assert "(unverified: w=1.bin)" in " ".join(row("heavy"))
