"""Which recording is playing: asked by the API and on the command line, and under filters."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client

from apps.analysis.worker import work
from apps.catalog.models import Collection, Track
from apps.catalog.services.adding import add_track
from apps.catalog.services.editing import edit_track
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from tests.audio_files import write_audio
from tests.landmark_sounds import made_song

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def song(tmp_path: Path) -> Track:
    """One of three in the catalogue."""
    for seed in (1, 2, 3):
        path = write_audio(tmp_path / f"{seed}.flac", made_song(seed, seconds=20), SAMPLE_RATE)
        track = add_track(source=path, name=f"Song {seed}.flac").track
    work()
    return track


@pytest.fixture
def excerpt(tmp_path: Path) -> Path:
    """Seven seconds of it, from the eighth on, in noise."""
    noise = np.random.default_rng(0).normal(0, 0.02, 7 * SAMPLE_RATE).astype(np.float32)
    cut = made_song(3, seconds=20)[8 * SAMPLE_RATE : 15 * SAMPLE_RATE]
    return write_audio(tmp_path / "excerpt.wav", cut + noise, SAMPLE_RATE)


def ask(client: Client, path: Path, **fields: Any) -> dict[str, Any]:
    with path.open("rb") as file:
        fields = {"answers": "same_recording", "file": file, **fields}
        answer = client.post("/api/v1/search/", fields)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["answers"]["same_recording"]
    return found


def test_an_excerpt_in_noise_is_named_with_its_moment(
    member: Client, song: Track, excerpt: Path
) -> None:
    found = ask(member, excerpt)
    assert found["verdict"] == "match"
    best = found["hits"][0]
    assert best["track"]["id"] == song.pk
    assert best["probability"] >= 0.9
    assert abs(best["start_ms"] - best["query_start_ms"] - 8000) < 100
    assert best["speed"] == 1
    assert 0 < best["evidence"]["aligned"] <= best["evidence"]["of"]


def test_what_is_not_there_is_none(member: Client, song: Track, tmp_path: Path) -> None:
    found = ask(member, write_audio(tmp_path / "other.wav", made_song(9, seconds=7), SAMPLE_RATE))
    assert found["verdict"] == "none"
    assert found["reason"]
    short = ask(member, write_audio(tmp_path / "short.wav", made_song(9, seconds=1), SAMPLE_RATE))
    assert "too short" in short["reason"]


def test_another_speed_is_tried_unless_it_is_as_recorded(
    member: Client, song: Track, tmp_path: Path
) -> None:
    faster = soxr.resample(made_song(3, seconds=20), 1.04 * SAMPLE_RATE, SAMPLE_RATE)
    path = write_audio(tmp_path / "faster.wav", faster[: 12 * SAMPLE_RATE], SAMPLE_RATE)
    found = ask(member, path)
    assert (found["verdict"], found["hits"][0]["track"]["id"]) == ("match", song.pk)
    assert found["hits"][0]["speed"] == pytest.approx(1.04)
    assert ask(member, path, as_recorded="true")["verdict"] == "none"


def test_filters_and_privacy_leave_it_out(member: Client, song: Track, excerpt: Path) -> None:
    assert ask(member, excerpt, tags="nothing")["verdict"] == "none"
    group = Group.objects.create(name="insiders")
    hidden = Collection.objects.create(name="Hidden", audience=group)
    edit_track(track=Track.objects.get(pk=song.pk), changes={"collection": hidden})
    found = ask(member, excerpt)
    assert song.pk not in [hit["track"]["id"] for hit in found["hits"]]
    assert found["verdict"] == "none"


def test_the_command_tells_what_is_playing(song: Track, excerpt: Path, tmp_path: Path) -> None:
    out = StringIO()
    call_command("identify", str(excerpt), stdout=out)
    assert f"Song 3 (track {song.pk}), 0:08" in out.getvalue()
    out, said = StringIO(), StringIO()
    nonsense = tmp_path / "nonsense.wav"
    nonsense.write_bytes(b"nonsense")
    with pytest.raises(CommandError, match="1 of 2 files"):
        call_command("identify", str(nonsense), str(excerpt), "--json", stdout=out, stderr=said)
    told = json.loads(out.getvalue())
    assert (told["verdict"], told["hits"][0]["track"]["title"]) == ("match", "Song 3")
    assert "This is not audio" in said.getvalue()
