"""Make a small installation with the code of a release, and keep what it answers.

    git worktree add /tmp/release v0.1.0
    python -m tests.upgrades.make_installation /tmp/release tests/upgrades/0.1.0.tar.xz

The release itself starts, adds, analyses, enrols and measures; what only its own code can bring
about (a removal that waits, a space that retired) is done in its `manage.py shell`, in words of
that release: look there first when this is run for another one.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.audio_files import FloatArray, noise, tone, write_audio
from tests.service import Service, free_port
from tests.upgrades import sounds
from tests.upgrades.people import Person
from tests.upgrades.questions import ask_everything
from tests.upgrades.traces import traces_of_analysis

OPEN_TO_ALL = {"WHO_MAY_SEARCH": "anyone", "SEARCHES_PER_MINUTE": "0"}
PEOPLE = ("member", "outsider", "curator")
ANNA, BEN, CARL, STRANGER = 0, 3, 5, 11  # seeds of voices that are well apart
LEFT_OUT = ("models", "static", "uploads", "output.txt", "run/serve.lock")

MAKE_PEOPLE = """
from django.contrib.auth.models import Group, User
choir = Group.objects.create(name="choir")
for name in ("member", "outsider", "curator"):
    User.objects.create_user(name, password=f"{name} may come in", is_staff=name == "curator")
User.objects.get(username="member").groups.add(choir)
"""
RETIRE_A_SPACE = """
from apps.catalog.models import Space, SpaceState
Space.objects.create(
    name="panns_cnn14-v1", encoder="panns_cnn14", dimension=2048, state=SpaceState.RETIRED
)
"""
DELETE_WITHOUT_INDEX = """
from apps.catalog.editing import delete_tracks
from apps.catalog.models import Removal
delete_tracks([{track}])
assert Removal.objects.filter(track_id={track}).exists()
"""


def main(code: Path, archive: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder)
        maker = Maker(code, whole)
        try:
            made = maker.make()
        finally:
            maker.service.stop()
        made["traces"] = traces_of_analysis(whole / "data")
        (whole / "made.json").write_text(json.dumps(made, indent=1, sort_keys=True))
        pack(whole, archive)
    print(f"{archive}: {archive.stat().st_size / 1e6:.2f} MB")


def pack(whole: Path, archive: Path) -> None:
    for name in LEFT_OUT:
        path = whole / "data" / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for name in ("data", "backup", "clips", "made.json"):
            packed.add(whole / name, name)


class Maker:
    """One installation on its way; `make` tells what is in it."""

    def __init__(self, code: Path, whole: Path) -> None:
        self.clips = whole / "clips"
        self.backup = whole / "backup"
        self.sources = whole / "sources"
        self.clips.mkdir()
        self.sources.mkdir()
        self.service = Service(whole / "data", free_port(), OPEN_TO_ALL, code)
        self.people: dict[str, Person] = {}

    def make(self) -> dict[str, Any]:
        self.service.start()
        self.manage("shell", "-c", MAKE_PEOPLE + RETIRE_A_SPACE)
        self.people = {name: self._person(name) for name in PEOPLE}
        tokens = self._tokens()
        self._collections()
        tracks = self._sounds()
        speakers = self._voices()
        self._until_analysed()
        self._thresholds()
        talk = self._conversation()
        searches = self._searches()
        measurement = self.curator.post("/voices/thresholds/measure/", {})
        self.service.wait_for(lambda: "svg" in self.curator.see(measurement)[1], 120)
        tracks += [self._failed(), talk]
        queued = self._left_to_do()
        self.manage("backup", str(self.backup))
        people = {"anonymous": Person(self.service.url), **self.people}
        enrolled = [one["id"] for one in self.service.tracks() if one["kind"] == "speech"]
        made = {
            "tracks": sorted({*tracks, *enrolled}),
            "speakers": speakers,
            "spaces": ["spectral-v1", "panns_cnn14-v1"],
            "searches": searches,
            "pages": [measurement],
            "queued": queued,
            "tokens": tokens,
            "people": {name: [who.password, who.token] for name, who in people.items()},
        }
        return made | {"answers": ask_everything(people, made, self.clips)}

    @property
    def curator(self) -> Person:
        return self.people["curator"]

    def manage(self, *arguments: str) -> str:
        done = self.service.manage(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def token(self, user: str, *scopes: str) -> str:
        return self.manage("tokens", "create", user, "--scopes", *scopes)

    def write(self, folder: Path, name: str, samples: FloatArray, **tags: str) -> Path:
        return write_audio(folder / name, samples, sounds.RATE, tags=tags)

    def add(self, file: Path, **fields: Any) -> int:
        status, track = self.curator.ask("POST", "/api/v1/tracks/", fields, file)
        assert status == 201, track
        return int(track["id"])

    def _person(self, name: str) -> Person:
        token = self.token(name, "read", "write", "voices")
        return Person(self.service.url, name, f"{name} may come in", token)

    def _tokens(self) -> dict[str, str]:
        made = {scope: self.token("member", scope) for scope in ("read", "write", "voices")}
        made["revoked"] = self.token("member", "read")
        self.manage("tokens", "revoke", made["revoked"][:8])
        return made

    def _collections(self) -> None:
        self.places = {}
        for name, audience in (("Bells", None), ("Rehearsals", "choir"), ("Empty", None)):
            asked = {"name": name, "description": f"All {name}", "audience": audience}
            status, place = self.curator.ask("POST", "/api/v1/collections/", asked)
            assert status == 201, place
            self.places[name] = place["id"]

    def _sounds(self) -> list[int]:
        bells, rehearsals = self.places["Bells"], self.places["Rehearsals"]
        album = {"title": "From the file", "artist": "The Ringers", "album": "Peals"}
        added = [
            self.add(self._bell("low bell.flac", 300), tags="low,bell", collection=bells),
            self.add(self._bell("high bell.wav", 1200), tags="high,bell", collection=bells),
            self.add(self._bell("tagged.flac", 340, **album), tags="low"),
            self.add(self._bell("mono.mp3", 900), kind="music", artist="Somebody"),
            self.add(self.write(self.sources, "stereo.m4a", sounds.stereo()), kind="music"),
            self.add(self._bell("secret.flac", 310), tags="low,unheard", collection=rehearsals),
            self.add(self.write(self.sources, "hiss.ogg", noise(3, 1, sounds.RATE)), title="Hiss"),
            self.add(self.write(self.sources, "long.opus", sounds.surf())),
        ]
        status, _ = self.curator.ask(
            "PATCH",
            f"/api/v1/tracks/{added[2]}/",
            {"title": "As a person wrote it", "tags": ["low", "edited"], "kind": "sound"},
        )
        assert status == 200
        self.write(self.clips, "sound-low.flac", tone(1.5, 305, sounds.RATE))
        self.write(self.clips, "sound-hiss.flac", noise(1.5, 3, sounds.RATE))
        return added

    def _bell(self, name: str, hz: float, **tags: str) -> Path:
        return self.write(self.sources, name, sounds.bell(hz), **tags)

    def _voices(self) -> list[int]:
        known: dict[str, tuple[int, dict[str, Any]]] = {
            "Anna": (ANNA, {"groups": ["crew"], "consent_until": "2999-12-31"}),
            "Ben": (BEN, {"external_id": "b-17", "notes": "Speaks softly"}),
            "Carl": (CARL, {}),
        }
        numbers = []
        for name, (seed, fields) in known.items():
            consent = {"consent_by": name, "consent_on": "2020-01-01"}
            asked = {"name": name, **consent, **fields}
            status, speaker = self.curator.ask("POST", "/api/v1/speakers/", asked)
            assert status == 201, speaker
            numbers.append(speaker["id"])
            path = f"/api/v1/speakers/{speaker['id']}/enrolments/"
            for words in range(2):
                voice = self._voice(self.sources, f"{name}-{words}", seed, words)
                status, enrolled = self.curator.ask("POST", path, {}, voice)
                assert status == 201, enrolled
            self._voice(self.clips, f"voice-{name.lower()}", seed, 0, 4)
        self._voice(self.clips, "voice-stranger", STRANGER, 7, 4)
        over = {"consent_until": "2021-01-01"}
        status, _ = self.curator.ask("PATCH", f"/api/v1/speakers/{numbers[2]}/", over)
        assert status == 200
        return numbers

    def _voice(self, folder: Path, name: str, *spoken: Any) -> Path:
        return self.write(folder, f"{name}.opus", sounds.voice(*spoken))

    def _until_analysed(self) -> None:
        pending = "/api/v1/tracks/?state="
        for state in ("queued", "listening"):
            self.service.wait_for(
                lambda state=state: not self.curator.ask("GET", pending + state)[1]["count"], 120
            )

    def _thresholds(self) -> None:
        """Measured on synthesised voices, told by a cohort, and put in force."""
        rows = ["path,speaker"]
        for seed in range(20, 52):
            for words in range(2):
                path = self._voice(self.sources, f"{seed}-{words}", seed, words, 4)
                rows.append(f"{path},{seed}")
        labels = self.sources / "labels.csv"
        labels.write_text("\n".join(rows))
        asked = ("--far", "0.05", "--cohort", "--apply", "--source", "synthesised voices")
        measuring = self.service.begin("evaluate", "speakers", str(labels), *asked)
        print(measuring.communicate()[0])
        assert measuring.returncode == 0

    def _conversation(self) -> int:
        """Two enrolled voices in one track, and who speaks when in it."""
        talk = self.write(self.sources, "talk.opus", sounds.conversation(ANNA, BEN, ANNA, BEN))
        track = self.add(talk, kind="speech", title="A conversation")
        self._until_analysed()
        path = "/api/v1/speakers/diarize/"
        status, _ = self.curator.ask("POST", path, {"track": track})
        assert status == 202
        self.service.wait_for(
            lambda: self.curator.ask("GET", f"{path}?track={track}")[1]["state"] == "ready", 60
        )
        return track

    def _searches(self) -> list[str]:
        member = self.people["member"]
        addresses = [
            member.post("/", {"top_k": "10"}, clip=self.clips / "sound-low.flac"),
            member.post("/", {"top_k": "3", "tags": "low"}, clip=self.clips / "sound-low.flac"),
            self.curator.post("/", {"top_k": "5"}, clip=self.clips / "sound-hiss.flac"),
        ]
        return [address.split("/")[2] for address in addresses]

    def _failed(self) -> int:
        """A track whose file was damaged after it was added, so that its analysis failed."""
        self._halt_worker()
        track = self.add(self._bell("damaged.flac", 700), title="Damaged")
        digest = self.curator.ask("GET", f"/api/v1/tracks/{track}/")[1]["sha256"]
        [stored] = (self.service.data_dir / "media").rglob(f"{digest[:32]}*")
        stored.write_bytes(b"fLaC" + bytes(1000))
        self._tell_worker(signal.SIGCONT)
        self._until_analysed()
        assert self.curator.ask("GET", f"/api/v1/tracks/{track}/")[1]["state"] == "failed"
        return track

    def _left_to_do(self) -> int:
        """A track to analyse, and one to remove, for the worker that comes after the upgrade."""
        removed = self.add(self._bell("removed.flac", 1500), title="Removed")
        self._until_analysed()
        self._halt_worker()
        queued = self.add(self._bell("queued.flac", 320), title="Queued")
        self.service.environment["MILVUS_URI"] = "http://127.0.0.1:9"
        self.manage("shell", "-c", DELETE_WITHOUT_INDEX.format(track=removed))
        del self.service.environment["MILVUS_URI"]
        return queued

    def _halt_worker(self) -> None:
        """Let the worker stand still, at a moment when it does not hold the database."""
        database = sqlite3.connect(self.service.data_dir / "audiosearch.sqlite3", timeout=1)
        with closing(database):
            while True:
                self._tell_worker(signal.SIGSTOP)
                with suppress(sqlite3.OperationalError):
                    database.execute("BEGIN IMMEDIATE")
                    database.rollback()
                    return
                self._tell_worker(signal.SIGCONT)

    def _tell_worker(self, number: int) -> None:
        os.killpg(self.service.children()["worker"], number)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
