"""Of a file of several sound tracks the one is heard that was chosen, wherever it is heard."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.test import Client

from apps.analysis.queueing import reanalyze
from apps.analysis.worker import work
from apps.catalog.models import Track
from apps.catalog.recordings import sound_of
from apps.catalog.services.adding import add_track
from apps.search.results import SearchSettings
from apps.search.services import similar_to_track
from apps.voices import diarizing
from audiosearch.engine.audio import sandbox
from audiosearch.engine.audio.choice import with_stream
from audiosearch.engine.errors import NoSuchStream
from tests.audio_files import tone, write_audio
from tests.real_files import RATE, write_streams
from tests.searching import search_by_clip
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
TRACKS, SEARCH = "/api/v1/tracks/", "/api/v1/search/"
THERE = "The file has 2 sound tracks: 0 (eng, default), 1 (deu)."


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A file of two sound tracks: 440 Hz in English, the default one, and 880 Hz in German."""
    tracks = [[(0.0, tone(3, hz, RATE))] for hz in (440, 880)]
    path = tmp_path / "two.mkv"
    return write_streams(path, "matroska", "aac", tracks, default=0, languages=("eng", "deu"))


def post(client: Client, address: str, path: Path, **fields: Any) -> Any:
    with path.open("rb") as file:
        return client.post(address, {"file": file, **fields})


def pitch(path: Path) -> int:
    samples = sandbox.decode(path, RATE, start_ms=500)
    return int(np.abs(np.fft.rfft(samples[:RATE] * np.hanning(RATE))).argmax())


@pytest.mark.parametrize(("asked", "number"), [("", 0), ("0", 0), ("1", 1), ("DEU", 1)])
def test_the_decoder_hears_what_was_chosen(two: Path, asked: str, number: int) -> None:
    path = with_stream(two, asked)
    assert sandbox.inspect(path, max_duration_ms=60_000).stream == number
    assert pitch(path) == (440, 880)[number]


def test_a_file_of_one_sound_track_has_nothing_to_choose(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "one.wav", tone(1))
    for asked in ("", "0"):
        assert sandbox.inspect(with_stream(path, asked), max_duration_ms=60_000).stream is None
    with pytest.raises(NoSuchStream, match=r"The file has 1 sound track: 0\."):
        sandbox.inspect(with_stream(path, "1"), max_duration_ms=60_000)


@pytest.mark.parametrize("asked", ["2", "-1", "fra", "1.0"])
def test_what_the_file_does_not_have_is_answered_by_what_it_has(
    member: Client, two: Path, asked: str
) -> None:
    for address in (TRACKS, SEARCH):
        answer = post(member, address, two, stream=asked)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "no_such_stream"
        assert THERE in answer.json()["error"]["message"]
    assert not Track.objects.exists()


def test_the_choice_is_kept_for_analyses_searches_and_playback(
    member: Client, two: Path, add_tone: AddTone, tmp_path: Path
) -> None:
    low, high = add_tone(440, 3), add_tone(880, 3)
    answer = post(member, TRACKS, two, stream="deu")
    assert (answer.status_code, answer.json()["stream"]) == (201, 1)
    track = Track.objects.get(pk=answer.json()["id"])
    work()
    reanalyze([track.pk])
    work()
    for asked in (SearchSettings(), SearchSettings(start_ms=500, end_ms=2500)):
        hits = similar_to_track(track_id=track.pk, asked=asked, by=None).hits
        assert [hit.track.id for hit in hits] == [high.pk, low.pk]
    played = tmp_path / "played.flac"
    played.write_bytes(b"".join(member.get(answer.json()["audio"])))  # type: ignore[arg-type]
    assert pitch(played) == 880
    whole = b"".join(member.get(f"{answer.json()['audio']}?download=1"))  # type: ignore[arg-type]
    assert whole == two.read_bytes()


def test_who_speaks_is_told_of_the_chosen_one(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track = add_track(source=two, name="two.mkv", stream="1").track
    heard, diarize = [], diarizing.diarize

    def listening(chunks: Any, *rest: Any) -> Any:
        heard.extend(chunks)
        return diarize(heard, *rest)

    monkeypatch.setattr(diarizing, "diarize", listening)
    diarizing.request_diarization(track=track, by=None)
    diarizing.diarize_queued()
    spectrum = np.abs(np.fft.rfft(np.concatenate(heard)[: 2 * diarizing.RATE]))
    assert spectrum.argmax() / 2 == pytest.approx(880, abs=1)


def test_the_default_one_is_kept_as_well(two: Path) -> None:
    track = add_track(source=two, name="two.mkv").track
    assert track.stream == 0
    assert pitch(sound_of(str(track.file.name), track.stream)) == 440


def test_another_choice_of_the_same_bytes_is_a_conflict(member: Client, two: Path) -> None:
    first = post(member, TRACKS, two, stream="1").json()
    for same in ({}, {"stream": "1"}, {"stream": "deu"}, {"stream": ""}):
        answer = post(member, TRACKS, two, **same)
        assert (answer.status_code, answer.json()["id"]) == (200, first["id"])
    answer = post(member, TRACKS, two, stream="eng")
    assert answer.status_code == 409
    message = answer.json()["error"]["message"]
    assert f"as track {first['id']}, and number 1 of its sound tracks is heard there" in message
    assert len(list(Path(default_storage.path("tracks")).rglob("*.*"))) == 1


def test_a_search_by_another_sound_track(member: Client, two: Path, add_tone: AddTone) -> None:
    tracks = [add_tone(440, 3), add_tone(880, 3)]
    for asked, nearest in (("0", tracks[0]), ("deu", tracks[1])):
        hits = post(member, SEARCH, two, stream=asked).json()["hits"]
        assert hits[0]["track"]["id"] == nearest.pk
    hits = search_by_clip(clip=two, name="two", asked=SearchSettings(), by=None).hits
    assert hits[0].track.id == tracks[0].pk
    body = {"track": tracks[0].pk, "stream": "1"}
    assert member.post(SEARCH, body, content_type="application/json").status_code == 400
