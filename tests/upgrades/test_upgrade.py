"""Installations of earlier releases, upgraded by starting today's service on their data.

Each archive was made by its release, see `make_installation.py`; another release adds a file.
"""

import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.audio_files import tone, write_audio
from tests.service import Service, free_port
from tests.upgrades.make_installation import OPEN_TO_ALL
from tests.upgrades.people import Person
from tests.upgrades.questions import ask_everything, differences, without
from tests.upgrades.traces import traces_of_analysis

ARCHIVES = sorted(Path(__file__).parent.glob("*.tar.xz"))
MAX_BYTES = 2_000_000


@dataclass
class Upgraded:
    """Today's service on yesterday's data, and what was kept of yesterday."""

    service: Service
    people: dict[str, Person]
    made: dict[str, Any]
    folder: Path

    @property
    def curator(self) -> Person:
        return self.people["curator"]

    def check_index(self) -> str:
        return self.service.manage("check_index").stdout


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.name)
def upgraded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgraded]:
    folder = tmp_path_factory.mktemp("upgraded")
    with tarfile.open(request.param) as packed:
        packed.extractall(folder, filter="data")
    made = json.loads((folder / "made.json").read_text())
    service = Service(folder / "data", free_port(), OPEN_TO_ALL)
    people = {
        name: Person(service.url, name if password else "", password, token)
        for name, (password, token) in made["people"].items()
    }
    service.start()
    try:
        yield Upgraded(service, people, made, folder)
    finally:
        service.stop()


def test_there_are_archives_and_they_are_small() -> None:
    assert ARCHIVES
    for archive in ARCHIVES:
        assert archive.stat().st_size < MAX_BYTES


def test_what_was_left_to_do_is_done(upgraded: Upgraded) -> None:
    path = f"/api/v1/tracks/{upgraded.made['queued']}/"
    upgraded.service.wait_for(lambda: upgraded.curator.ask("GET", path)[1]["state"] == "ready", 60)
    upgraded.service.wait_for(lambda: "index agree" in upgraded.check_index(), 60)
    clip = upgraded.folder / "clips" / "voice-ben.opus"
    identify = "/api/v1/speakers/identify/"  # voices are built anew, as what is filtered by changed
    upgraded.service.wait_for(
        lambda: upgraded.curator.ask("POST", identify, {}, clip)[1].get("speaker"), 90
    )


def test_everything_answers_as_before(upgraded: Upgraded) -> None:
    made = upgraded.made
    answers = ask_everything(upgraded.people, made, upgraded.folder / "clips")
    assert made["answers"].keys() == answers.keys()
    before, after = (without(each, {made["queued"]}) for each in (made["answers"], answers))
    # The file that was damaged is looked into for its landmarks, and told of in other words.
    told = "The file is damaged: its bytes are not those that were added."
    assert not [one for one in differences(before, after) if told not in one]


def test_nothing_was_analysed_again(upgraded: Upgraded) -> None:
    before = upgraded.made["traces"]
    after = traces_of_analysis(upgraded.service.data_dir)
    assert len(before["ended"]) >= len(upgraded.made["tracks"])
    damaged = f"{_damaged(upgraded.made)} "
    assert {one for one in before["ended"] if not one.startswith(damaged)} <= set(after["ended"])
    assert set(before["vectors"]) <= set(after["vectors"])


def _damaged(made: dict[str, Any]) -> int:
    """The track whose file was damaged: its landmarks are looked for, so that is noticed anew."""
    tracks = made["answers"]["curator: tracks/?page_size=200"][1]["results"]
    [damaged] = [track["id"] for track in tracks if track["title"] == "Damaged"]
    return int(damaged)


def test_what_is_private_stays_private(upgraded: Upgraded) -> None:
    """Not only as it was answered then: nobody else is told of it today, whatever then was."""
    seen = upgraded.people["member"].ask("GET", "/api/v1/tracks/?tag=unheard")[1]["results"]
    [secret] = [track["id"] for track in seen]
    for name in ("anonymous", "outsider"):
        person = upgraded.people[name]
        assert person.ask("GET", f"/api/v1/tracks/{secret}/")[0] == 404
        assert person.fetch(f"/api/v1/tracks/{secret}/audio")[0] == 404
        assert not person.ask("GET", "/api/v1/tracks/?tag=unheard")[1]["results"]
        for search in upgraded.made["searches"]:
            assert "secret" not in person.see(f"/searches/{search}/")[1]


def test_tokens_open_what_they_were_made_for(upgraded: Upgraded) -> None:
    def status(label: str, method: str, path: str, body: Any = None) -> int:
        person = Person(upgraded.service.url, token=upgraded.made["tokens"][label])
        return person.ask(method, f"/api/v1/{path}", body)[0]

    for label in ("read", "write", "voices", "revoked"):
        reads, writes, voices = (label == scope for scope in ("read", "write", "voices"))
        refused = 401 if label == "revoked" else 403
        assert status(label, "GET", "tracks/") == (200 if reads else refused)
        assert status(label, "POST", "tracks/", {}) == (400 if writes else refused)
        assert status(label, "GET", "speakers/") == (200 if voices else refused)


def test_a_new_track_is_found_among_the_old(upgraded: Upgraded, tmp_path: Path) -> None:
    new = write_audio(tmp_path / "new.flac", tone(2, 2500, 16_000), 16_000)
    status, track = upgraded.curator.ask("POST", "/api/v1/tracks/", {"title": "New"}, new)
    assert status == 201
    path = f"/api/v1/tracks/{track['id']}/"
    upgraded.service.wait_for(lambda: upgraded.curator.ask("GET", path)[1]["state"] == "ready")
    found = upgraded.curator.ask("POST", "/api/v1/search/", {"top_k": 100}, new)[1]["hits"]
    assert found[0]["track"]["id"] == track["id"]
    assert {hit["track"]["id"] for hit in found} > {1, 2, 3}


def test_a_speaker_can_be_erased(upgraded: Upgraded) -> None:
    ben = upgraded.made["speakers"][1]
    path = f"/api/v1/speakers/{ben}/"
    enrolled = upgraded.curator.ask("GET", f"{path}enrolments/")[1]
    assert len(enrolled) == 2
    clip = upgraded.folder / "clips" / "voice-ben.opus"
    identify = "/api/v1/speakers/identify/"
    assert upgraded.curator.ask("POST", identify, {}, clip)[1]["speaker"] == ben
    assert upgraded.curator.ask("DELETE", path)[0] == 204
    assert upgraded.curator.ask("POST", identify, {}, clip)[1]["speaker"] is None
    for one in enrolled:
        assert upgraded.curator.ask("GET", f"/api/v1/tracks/{one['track']}/")[0] == 404
    assert "index agree" in upgraded.check_index()


def test_a_backup_of_that_release_is_restored_or_refused_in_words(
    upgraded: Upgraded, tmp_path: Path
) -> None:
    """Rows of other tables cannot be restored: whoever tries is told how it can be done."""
    service = Service(tmp_path / "empty", free_port(), {})
    assert service.manage("migrate").returncode == 0
    kept = json.loads((upgraded.folder / "backup" / "manifest.json").read_text())
    with closing(sqlite3.connect(tmp_path / "empty" / "audiosearch.sqlite3")) as database:
        ours = dict(database.execute("SELECT app, name FROM django_migrations ORDER BY id"))
    done = service.manage("restore", str(upgraded.folder / "backup"))
    if ours == kept["migrations"]:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1
        assert "another version of audiosearch" in done.stderr
        assert "then upgrade" in done.stderr
