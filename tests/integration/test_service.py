"""The whole service on real processes: embedded, and with PostgreSQL, Redis and Milvus."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import redis
import soundfile
from celery import Celery

import audiosearch.celery  # noqa: F401  its queue of files is the service's
from apps.ops.backups.folders import generations
from audiosearch.engine.digests import without_digest
from audiosearch.engine.voice.speech import RATE
from tests.audio_files import noise, tone, write_audio
from tests.service import ROOT, Service, free_port, running
from tests.voices import speak


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for hz in (300, 320, 3000, 3100):
        below = folder / ("low" if hz < 1000 else "high")
        below.mkdir(exist_ok=True)
        write_audio(below / f"{hz}.flac", tone(2, hz) + noise(2, seed=hz, level=0.01))
    (folder / "low" / "broken.wav").write_bytes(b"nonsense")
    return folder


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # What URLs, shells and formats would take apart, in a folder as people name theirs.
    folder = tmp_path_factory.mktemp("embedded") / "Töne %20 #1? %h; $x 'y' a+b"
    folder.mkdir()
    with running(folder / "data", BACKUP_TO=str(folder / "kept")) as service:
        yield service


@pytest.fixture(scope="module")
def distributed(
    tmp_path_factory: pytest.TempPathFactory,
    milvus_server_uri: str,
    redis_url: str,
    new_database: Callable[[], str],
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("distributed")
    with running(
        folder / "data",
        BACKUP_TO=str(folder / "kept"),
        MILVUS_URI=milvus_server_uri,
        REDIS_URL=redis_url,
        DATABASE_URL=new_database(),
    ) as service:
        yield service


@pytest.fixture(params=["embedded", "distributed"])
def service(request: pytest.FixtureRequest) -> Service:
    chosen: Service = request.getfixturevalue(request.param)
    return chosen


def test_import_search_edit_delete_check(service: Service, sounds: Path) -> None:
    done = service.manage("import", str(sounds), "--collection", "All", "--folder-tags", "--wait")
    assert done.returncode == 0, done.stderr
    assert "4 added, 0 already there, 1 refused" in done.stdout
    assert "broken.wav: This is not audio" in done.stdout
    again = service.manage("import", str(sounds))
    assert "0 added, 4 already there, 1 refused" in again.stdout
    assert service.states()["ready"] == 4

    status, found = service.call(
        "POST", "/api/v1/search/", {"top_k": 2}, sounds / "high" / "3100.flac"
    )
    assert status == 200
    assert [hit["track"]["title"] for hit in found["hits"]] == ["3100", "3000"]
    best = found["hits"][0]["track"]["id"]
    _, filtered = service.call("GET", f"/api/v1/tracks/{best}/similar?tags=low")
    assert {hit["track"]["title"] for hit in filtered["hits"]} == {"300", "320"}

    _, nearest = service.call("GET", f"/api/v1/tracks/{best}/similar?top_k=1")
    other = nearest["hits"][0]["track"]["id"]
    service.call("PATCH", f"/api/v1/tracks/{other}/", {"title": "Renamed", "tags": ["new"]})
    _, tagged = service.call("GET", f"/api/v1/tracks/{best}/similar?tags=new")
    assert [hit["track"]["title"] for hit in tagged["hits"]] == ["Renamed"]

    assert service.call("DELETE", f"/api/v1/tracks/{other}/")[0] == 204
    _, after = service.call("GET", f"/api/v1/tracks/{best}/similar?tags=new")
    assert after["hits"] == []
    assert "tags: new" in after["explanation"]["message"]
    checked = service.manage("check_index")
    assert "Database, files and index agree" in checked.stdout, checked.stdout + checked.stderr


def test_everything_is_ready(service: Service) -> None:
    """Once servers that were only just started, or are busy, have answered."""
    service.wait_for(lambda: service.call("GET", "/api/v1/ready/")[0] == 200)
    body = service.call("GET", "/api/v1/ready/")[1]
    assert all(part["ok"] for part in body["dependencies"].values())
    service.wait_for(lambda: service.call("GET", "/api/v1/ready/")[1]["workers"]["ok"])


def test_the_id_map_is_refilled_when_cold_wrong_or_gone(
    distributed: Service, redis_url: str
) -> None:
    tracks = distributed.call("GET", "/api/v1/tracks/")[1]["results"]
    similar = f"/api/v1/tracks/{tracks[0]['id']}/similar"
    expected = distributed.call("GET", similar)[1]["hits"]
    client = redis.Redis.from_url(redis_url)
    keys = list(client.scan_iter("audiosearch:track:*"))
    assert keys
    for key in keys:
        client.set(key, b'{"id": 1, "title": "somebody else"}')
    assert distributed.call("GET", similar)[1]["hits"] == expected
    client.flushall()
    assert distributed.call("GET", similar)[1]["hits"] == expected
    assert list(client.scan_iter("audiosearch:track:*"))


@pytest.mark.exhaustive
def test_a_lost_index_comes_back_without_listening(embedded: Service) -> None:
    done = embedded.manage("reindex")
    assert "tracks indexed anew" in done.stdout, done.stderr
    assert "agree" in embedded.manage("check_index").stdout


def test_what_is_erased_is_in_no_byte_of_the_data(embedded: Service, tmp_path: Path) -> None:
    """A speaker's name, voice and recording, and a track's title, bytes and vectors: searched for
    in every file, the log-ahead of the database and the segments of the index among them."""
    consent = {"name": "Zerubbabel Quill", "consent_by": "Quill", "consent_on": "2026-01-01"}
    speaker = embedded.call("POST", "/api/v1/speakers/", consent)[1]["id"]
    pause = np.random.default_rng(0).normal(0, 1e-4, RATE)
    voice, other = tmp_path / "voice.wav", tmp_path / "other.flac"
    soundfile.write(voice, np.concatenate([pause, speak(4, 6), pause]), RATE)
    enrolled = embedded.call("POST", f"/api/v1/speakers/{speaker}/enrolments/", file=voice)
    assert enrolled[0] == 201, enrolled
    write_audio(other, noise(2, seed=77))
    told = {"title": "Xylem Umbrage", "tags": "quincunxial"}
    track = embedded.call("POST", "/api/v1/tracks/", told, other)[1]["id"]
    embedded.wait_for(lambda: embedded.states()["queued"] + embedded.states()["listening"] == 0)
    assert (
        embedded.call("POST", "/api/v1/search/", file=other)[1]["hits"][0]["track"]["id"] == track
    )
    with sqlite3.connect(embedded.data_dir / "audiosearch.sqlite3") as database:
        ((vector,),) = database.execute(
            "SELECT embedding FROM voices_enrolment WHERE speaker_id = ?", [speaker]
        )
    vector = without_digest(vector)
    vectors = embedded.data_dir.glob(f"media/vectors/spectral-v1/000000/{track}.npz")
    kept = [np.load(path)["embeddings"][0] for path in vectors]
    sought = {
        "the name": b"Zerubbabel",
        "the title": b"Xylem Umbrage",
        "the tag": b"quincunxial",
        "the voice": vector[400:464],
        "the voice, in half precision": _halved(vector),
        "the speech": voice.read_bytes()[50_000:50_064],
        "the sound": other.read_bytes()[50_000:50_064],
        "its vector": kept[0][100:116].astype("<f4").tobytes(),
        "its vector, in half precision": _halved(kept[0].astype("<f4").tobytes()),
        "its landmarks": _frames_of(embedded.data_dir, track),
    }
    before = _found(embedded.data_dir, sought)
    assert {what for what in sought if "half" not in what} == set(before)
    assert "landmarks" in before["the tag"]
    assert {"audiosearch.sqlite3-wal", "milvus"} <= before["the voice"] | before["its vector"]
    assert embedded.call("DELETE", f"/api/v1/speakers/{speaker}/")[0] == 204
    assert embedded.call("DELETE", f"/api/v1/tracks/{track}/")[0] == 204
    assert "milvus" in _found(embedded.data_dir, sought)["the voice"]  # what is mended here
    embedded.wait_for(lambda: embedded.manage("rewrite").returncode == 0)  # a worker may be at it
    # The tag itself stays, to be given to others; that the track had it is in no index.
    assert _found(embedded.data_dir, sought) == {"the tag": {"audiosearch.sqlite3"}}
    folders = list((embedded.data_dir / "milvus" / "collections").iterdir())
    assert all((folder / "schema.json").exists() for folder in folders)  # by which they are known
    assert "agree" in embedded.manage("check_index").stdout


def _halved(vector: bytes) -> bytes:
    return np.frombuffer(vector, "<f4")[100:116].astype("<f2").tobytes()


def _frames_of(folder: Path, track: int) -> bytes:
    """A stretch of the frames of a track's landmarks, as they are kept."""
    with np.load(folder / f"media/vectors/landmarks-v1/000000/{track}.npz") as kept:
        return bytes(kept["frames"][8:24].astype("<i4").tobytes())


def _found(folder: Path, sought: dict[str, bytes]) -> dict[str, set[str]]:
    """Where below a folder which of these bytes are: the first part of each path."""
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):
            content = path.read_bytes()
            for name, mark in sought.items():
                if mark in content:
                    found.setdefault(name, set()).add(path.relative_to(folder).parts[0])
    return found


def test_a_killed_worker_loses_nothing(embedded: Service, tmp_path: Path) -> None:
    before = embedded.states()["ready"]
    for seed in range(6):
        path = write_audio(tmp_path / f"{seed}.flac", noise(30, seed))
        assert embedded.call("POST", "/api/v1/tracks/", {}, path)[0] == 201
    for _ in range(2):
        killed = embedded.children()["worker"]
        os.killpg(killed, signal.SIGKILL)
        embedded.wait_for(lambda pid=killed: embedded.children().get("worker", pid) != pid)
    embedded.wait_for(lambda: embedded.states()["ready"] == before + 6, 90)
    assert "agree" in embedded.manage("check_index").stdout


def test_a_second_start_keeps_everything_and_strangers_out(
    embedded: Service, tmp_path: Path
) -> None:
    service = embedded
    credentials = service.credentials
    assert credentials["password"] in service.said()
    assert "Decoders run with an empty environment" in service.said()
    assert (service.data_dir / "credentials.json").stat().st_mode & 0o777 == 0o600
    second = service.manage("serve", "--no-demo", "--no-pull")
    assert second.returncode == 1
    assert "already runs" in second.stderr
    other = Service(tmp_path / "other", 0, {})
    other.environment["PORT"] = service.url.rpartition(":")[2]
    taken = other.manage("serve", "--no-demo", "--no-pull")
    assert "is taken by another program" in taken.stderr
    children = service.children()
    assert set(children) == {"worker", "beat", "granian", "milvus-lite"}
    assert service.stop(signal.SIGTERM) == 0
    assert "Stopped" in service.said()
    assert not any(Path(f"/proc/{pid}").exists() for pid in children.values())
    service.start()
    assert service.credentials == credentials
    assert credentials["password"] not in service.said()
    assert service.call("GET", "/api/v1/tracks/")[0] == 200


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("MILVUS_URI", "http://127.0.0.1:9", "vector index"),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:9/x", "database"),
        pytest.param(
            *("REDIS_URL", "redis://127.0.0.1:9/0", "Redis"), marks=pytest.mark.exhaustive
        ),
        pytest.param(*("PORT", "eighty", "PORT"), marks=pytest.mark.exhaustive),
    ],
)
def test_a_service_that_is_not_there_is_named(
    tmp_path: Path, name: str, value: str, word: str
) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path / name), name: value}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", "--no-demo", "--no-pull"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert word in done.stderr, done.stderr


RESTORED = """
import json, sys
from pathlib import Path
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from apps.analysis.reconcile import reconcile
from apps.analysis.worker import work
from apps.catalog.models import Track
from apps.catalog.services.adding import add_track

kept, new, *asked = {paths}
call_command("migrate", verbosity=0)
call_command("backup", kept, "--verify", stdout=sys.stderr)
call_command("restore", kept, stdout=sys.stderr)
reconcile()
client = Client(headers={{"host": "localhost"}})
client.force_login(get_user_model().objects.get(username="admin"))
for path in asked:
    with open(path, "rb") as file:
        print(json.dumps(client.post("/api/v1/search/", {{"file": file}}).json()["hits"]))
last = Track.objects.latest("pk").pk
assert add_track(source=Path(new), name="new").track.pk > last
work()
call_command("check_index", stdout=sys.stderr)
"""


@pytest.mark.parametrize(
    ("database", "elsewhere", "index"),
    [
        ("embedded", "PostgreSQL", "milvus_lite_uri"),
        pytest.param(*("distributed", "SQLite", "milvus_server_uri"), marks=pytest.mark.exhaustive),
    ],
)
def test_a_backup_answers_the_same_from_another_database(
    request: pytest.FixtureRequest,
    sounds: Path,
    tmp_path: Path,
    database: str,
    elsewhere: str,
    index: str,
) -> None:
    """Of SQLite on PostgreSQL and the other way round: the same hits, distances and chances."""
    service: Service = request.getfixturevalue(database)
    if not service.tracks():
        assert service.manage("import", str(sounds), "--wait").returncode == 0
    asked = sorted(sounds.rglob("*.flac"))
    before = [service.call("POST", "/api/v1/search/", file=path)[1]["hits"] for path in asked]
    assert all(before)
    kept = service.data_dir.with_name("kept")
    send_task(service, "ops.backup")
    service.wait_for(lambda: generations(kept), 60)
    there = Service(
        tmp_path / "there",
        free_port(),
        {"MILVUS_URI": request.getfixturevalue(index), "MILVUS_PREFIX": f"from_{database}"},
    )
    if elsewhere == "PostgreSQL":
        there.environment["DATABASE_URL"] = request.getfixturevalue("own_database")
    new = write_audio(tmp_path / "new.flac", tone(2, 777))
    paths = [str(path) for path in (kept, new, *asked)]
    done = there.manage("shell", "-v", "0", "-c", RESTORED.format(paths=paths))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == before
    assert "is intact" in done.stderr
    assert "index agree" in done.stderr


def send_task(service: Service, name: str) -> None:
    """Ask the service's worker for something, as beat does."""
    redis_url = service.environment.get("REDIS_URL")
    queue = str(service.data_dir / "queue")
    app = Celery(broker=redis_url or "filesystem://")
    if not redis_url:
        app.conf.broker_transport_options = {
            **dict.fromkeys(("data_folder_in", "data_folder_out"), queue),
            "control_folder": f"{queue}-control",
        }
    app.send_task(name, queue="audiosearch.listen")
