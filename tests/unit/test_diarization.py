"""Who speaks when: from samples to turns, to names, to the answers of the API and the page."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.test import Client
from django.utils import timezone

from apps.access.models import AuditEvent
from apps.catalog.models import Kind, Track
from apps.catalog.services.adding import add_track
from apps.jobs import leases as jobs
from apps.jobs.models import State
from apps.voices import diarizing
from apps.voices.enrolling import enrol
from apps.voices.erasing import erase_speaker
from apps.voices.models import Diarization, Speaker
from apps.voices.tasks import reconcile
from apps.voices.thresholds import point_in_force
from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.analyzers.registry import load_analyzer
from audiosearch.engine.voice.diarization import BLOCK_S, Likeness, Turn, diarize
from audiosearch.engine.voice.speech import RATE
from tests.everyday_sounds import rain
from tests.voices import speak

ANNA, BEN, CARL = 31, 34, 35  # seeds; these three are well apart, even for 1.6 s
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("synthesised_threshold"),
]


def conversation(*parts: tuple[int, float]) -> FloatArray:
    """Each speaker for so many seconds, with half a second of silence before and after."""
    pause = np.zeros(RATE // 2, np.float32)
    spoken = [
        piece
        for number, (who, seconds) in enumerate(parts)
        for piece in (pause, speak(who, seconds, words=number))
    ]
    return np.concatenate([*spoken, pause])


def write(path: Path, samples: FloatArray) -> Path:
    soundfile.write(path, samples, RATE)
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_analyzer("resemblyzer", tmp_path_factory.mktemp("models"), threads=1)


def likeness() -> Likeness:
    return point_in_force("resemblyzer-v1").likeness


def test_turns_of_two_voices(encoder: Any) -> None:
    samples = conversation((ANNA, 4), (BEN, 3), (ANNA, 3), (BEN, 5))
    found = diarize([samples], encoder, likeness())
    assert [turn.voice for turn in found.turns] == [0, 1, 0, 1]
    starts = [turn.start_ms for turn in found.turns]
    ends = [turn.end_ms for turn in found.turns]
    assert starts == pytest.approx([500, 5000, 8500, 12000], abs=500)
    assert ends == pytest.approx([4500, 8000, 11500, 17000], abs=500)
    assert found.voices.shape == (2, 256)
    assert np.allclose(np.linalg.norm(found.voices, axis=1), 1, atol=1e-5)
    assert found.speech_ms == pytest.approx([7000, 8000], abs=600)


def test_one_voice_is_one(encoder: Any) -> None:
    found = diarize([conversation((BEN, 6), (BEN, 6))], encoder, likeness())
    assert {turn.voice for turn in found.turns} == {0}


def test_silence_has_no_turns(encoder: Any) -> None:
    found = diarize([np.zeros(10 * RATE, np.float32)], encoder, likeness())
    assert (found.turns, len(found.voices), found.speech_ms) == ([], 0, [])
    assert diarize([], encoder, likeness()).turns == []


def test_voices_are_the_same_across_blocks_and_chunks(encoder: Any) -> None:
    quiet = np.zeros((BLOCK_S - 4) * RATE, np.float32)
    samples = np.concatenate([conversation((ANNA, 5), (BEN, 5)), quiet, conversation((ANNA, 5))])
    heard: list[int] = []
    found = diarize(np.array_split(samples, 50), encoder, likeness(), heard.append)
    assert [turn.voice for turn in found.turns] == [0, 1, 0]
    assert heard == [BLOCK_S * 1000, len(samples) * 1000 // RATE]


# With the catalogue


@pytest.fixture
def anna(tmp_path: Path) -> Speaker:
    speaker = Speaker.objects.create(name="Anna Q", consent_by="Anna Q", consent_on="2026-01-01")
    path = write(tmp_path / "anna.wav", conversation((ANNA, 8)))
    enrol(speaker=speaker, source=path, name="anna.wav", by=None)
    return speaker


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write(tmp_path / "talk.wav", conversation((CARL, 4), (ANNA, 6), (CARL, 4)))


@pytest.fixture
def track(talk: Path) -> Track:
    return add_track(source=talk, name="talk.wav", added_by=None, kind=Kind.SPEECH).track


def test_a_track_is_worked_out_by_a_worker(member: Client, anna: Speaker, track: Track) -> None:
    asked = member.post("/api/v1/speakers/diarize/", {"track": track.pk})
    assert asked.status_code == 202
    assert asked.json()["state"] == "queued"
    assert diarizing.diarize_queued() == 1
    told = member.get("/api/v1/speakers/diarize/", {"track": track.pk}).json()
    assert told["state"] == "ready"
    assert [turn["name"] for turn in told["turns"]] == ["unknown 1", "Anna Q", "unknown 1"]
    assert told["turns"][1]["speaker"] == anna.pk
    assert AuditEvent.objects.filter(action="diarize", username="member").count() == 1
    lines = member.get("/api/v1/speakers/diarize/", {"track": track.pk, "format": "rttm"})
    assert lines["Content-Type"].startswith("text/plain")
    first, second, _ = lines.content.decode().splitlines()
    assert first.split()[:3] == ["SPEAKER", f"track{track.pk}", "1"]
    assert second.split()[7] == "Anna_Q"


def test_names_go_with_consent_and_with_the_speaker(anna: Speaker, track: Track) -> None:
    row = diarizing.request_diarization(track=track, by=None)
    diarizing.diarize_queued()
    row.refresh_from_db()
    assert "Anna Q" in [turn.name for turn in diarizing.turns_of(row, None)]
    Speaker.objects.update(consent_until=timezone.localdate() - timedelta(days=1))
    names = [turn.name for turn in diarizing.turns_of(row, None)]
    assert names == ["unknown 1", "unknown 2", "unknown 1"]
    Speaker.objects.update(consent_until=None, consent_by="")
    assert [turn.name for turn in diarizing.turns_of(row, None)] == names
    erase_speaker(speaker=anna, by=None)
    assert [turn.name for turn in diarizing.turns_of(row, None)] == names


def test_a_clip_is_answered_at_once(member: Client, talk: Path) -> None:
    with talk.open("rb") as file:
        told = member.post("/api/v1/speakers/diarize/", {"file": file}).json()
    assert [turn["name"] for turn in told["turns"]] == ["unknown 1", "unknown 2", "unknown 1"]
    assert told["track"] is None


def test_a_long_clip_is_for_the_catalogue(
    member: Client, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diarizing, "MAX_CLIP_S", 5)
    with talk.open("rb") as file:
        answer = member.post("/api/v1/speakers/diarize/", {"file": file})
    assert answer.status_code == 422
    assert "add it to the catalogue" in answer.json()["error"]["message"]


@pytest.mark.parametrize("sent", [{}, {"track": 10**6}, {"track": 10**30}, {"track": "x"}])
def test_neither_or_no_such_thing(member: Client, sent: dict[str, Any]) -> None:
    assert member.post("/api/v1/speakers/diarize/", sent).status_code == 400
    assert member.get("/api/v1/speakers/diarize/", sent).status_code == 404
    refused = member.get("/api/v1/speakers/diarize/", {**sent, "format": "rttm"})
    assert "no such thing" in refused.content.decode()


def test_voices_need_an_account(client: Client, track: Track) -> None:
    asked = client.get("/api/v1/speakers/diarize/", {"track": track.pk})
    assert asked.status_code in (401, 403)
    assert client.get(f"/voices/tracks/{track.pk}/").status_code == 302


def test_work_of_a_dead_worker_is_done_by_another(track: Track) -> None:
    row = diarizing.request_diarization(track=track, by=None)
    dead = timezone.now() - jobs.LEASE * 2
    for _ in range(jobs.MAX_ATTEMPTS):
        assert jobs.claim(Diarization, [row.pk]) == [row.pk]
        Diarization.objects.update(leased_by="elsewhere:1")
        assert diarizing.diarize_queued() == 0
        Diarization.objects.update(heartbeat_at=dead)
        reconcile()
        row.refresh_from_db()
    assert row.state == State.FAILED
    assert "broke off" in row.reason
    diarizing.request_diarization(track=track, by=None)
    assert diarizing.diarize_queued() == 1


def test_a_file_that_is_gone(track: Track) -> None:
    row = diarizing.request_diarization(track=track, by=None)
    track.file.storage.delete(track.file.name)
    diarizing.diarize_queued()
    row.refresh_from_db()
    assert (row.state, row.reason) == (State.FAILED, "Its file is gone.")


def test_the_page_asks_waits_and_shows(member: Client, anna: Speaker, track: Track) -> None:
    page = f"/voices/tracks/{track.pk}/"
    assert "Find out who speaks when" in member.get(page).content.decode()
    waiting = member.post(page, headers={"HX-Request": "true"}).content.decode()
    assert "every 2s" in waiting
    diarizing.diarize_queued()
    shown = member.get(page).content.decode()
    assert shown.count('<svg class="lane"') == 2
    assert "Anna Q" in shown
    assert "unknown 1" in shown


def test_in_rain_nobody_speaks(member: Client, anna: Speaker, tmp_path: Path) -> None:
    path = write(tmp_path / "rain.wav", rain())
    track = add_track(source=path, name="rain.wav", added_by=None).track
    diarizing.request_diarization(track=track, by=None)
    diarizing.diarize_queued()
    shown = member.get(f"/voices/tracks/{track.pk}/").content.decode()
    assert "Nobody speaks in this recording" in shown
    assert '<svg class="lane"' not in shown
    with path.open("rb") as clip:
        told = member.post("/api/v1/speakers/diarize/", {"file": clip})
    assert (told.status_code, told.json()["turns"]) == (200, [])
    for asked in ("identify", "verify"):
        with path.open("rb") as clip:
            fields = {"file": clip} | ({"speaker": anna.pk} if asked == "verify" else {})
            refused = member.post(f"/api/v1/speakers/{asked}/", fields)
        assert refused.status_code == 422
        assert "record somebody speaking" in refused.json()["error"]["message"]


def test_turns_of_nobody() -> None:
    assert diarizing._named([Turn(0, 1, 0)], {0: None})[0].name == "unknown 1"
