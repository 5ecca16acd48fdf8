"""Searching: by clip, track or stretch, with filters, and what is said when nothing is found."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from django.test import Client, override_settings
from django.urls import reverse

from apps.analysis import clips, turns
from apps.analysis.worker import work
from apps.catalog.services.adding import add_track
from apps.search.queries import NotListenedYet
from apps.search.results import SearchSettings
from apps.search.services import similar_to_track
from audiosearch.engine.audio import sandbox
from audiosearch.engine.audio.messages import Budget
from audiosearch.engine.errors import AudioError, Busy, SilentAudio, TooCostly, TooLong
from audiosearch.web.leaving import GONE, tell_when_gone
from tests.audio_files import noise, tone, write_audio, write_nothing
from tests.searching import search_by_clip
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
Clip = Callable[..., Path]


def test_the_nearest_come_first_with_distance_and_moment(add_tone: AddTone, clip: Clip) -> None:
    for hz in (400, 3000, 6500):
        add_tone(hz)
    found = search_by_clip(clip=clip(3020), name="q", asked=SearchSettings(top_k=2), by=None)
    assert found.hits[0].track.title == "3000"
    assert len(found.hits) == 2
    first, second = found.hits
    assert 0 <= first.distance < second.distance <= 2
    assert first.similarity > 90
    assert (first.start_ms, first.end_ms) == (0, 2000)
    assert found.took.total >= found.took.encode > 0


def test_a_track_is_not_its_own_hit(add_tone: AddTone) -> None:
    one, two = add_tone(440), add_tone(450)
    hits = similar_to_track(track_id=one.pk, asked=SearchSettings(), by=None).hits
    assert [hit.track.id for hit in hits] == [two.pk]


@pytest.mark.exhaustive
def test_ten_seconds_from_the_middle_find_twenty_minutes(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    long = np.concatenate([tone(1, hz, 16000) for hz in rng.integers(0, 32, 1200) * 250 + 125])
    path = write_audio(tmp_path / "long.flac", long, 16000)
    track = add_track(source=path, name="long.flac").track
    add_track(source=write_audio(tmp_path / "n.wav", noise(30)), name="n.wav")
    work()
    at = 601_500
    middle = long[at * 16 : (at + 10_000) * 16]
    clip = write_audio(tmp_path / "clip.flac", middle, 16000)
    hit = search_by_clip(clip=clip, name="clip", asked=SearchSettings(), by=None).hits[0]
    assert hit.track.id == track.pk
    assert hit.start_ms <= at + 5000 <= hit.end_ms
    assert abs(hit.start_ms - at) <= 2500


def test_only_a_stretch_of_the_query_counts(add_tone: AddTone, tmp_path: Path) -> None:
    add_tone(400)
    add_tone(6500)
    both = np.concatenate([tone(3, 400), tone(3, 6500)])
    path = write_audio(tmp_path / "both.wav", both)
    asked = SearchSettings(start_ms=3500, end_ms=5500)
    assert search_by_clip(clip=path, name="q", asked=asked, by=None).hits[0].track.title == "6500"
    track = add_track(source=path, name="both.wav").track
    work()
    stretch = SearchSettings(start_ms=500, end_ms=2000)
    assert similar_to_track(track_id=track.pk, asked=stretch, by=None).hits[0].track.title == "400"


def test_filters_combine_and_explain_themselves(add_tone: AddTone, clip: Clip) -> None:
    add_tone(400, tags=["bell"], kind="sound")
    add_tone(410, seconds=5, tags=["bell", "loud"], kind="music")
    for asked, titles in (
        (SearchSettings(tags=("bell",)), {"400", "410"}),
        (SearchSettings(tags=("bell", "loud")), {"410"}),
        (SearchSettings(kinds=("sound",)), {"400"}),
        (SearchSettings(min_duration_ms=4000), {"410"}),
        (SearchSettings(max_duration_ms=2000), {"400"}),
    ):
        hits = search_by_clip(clip=clip(400), name="q", asked=asked, by=None).hits
        assert {hit.track.title for hit in hits} == titles
    nothing = SearchSettings(tags=("bell",), kinds=("speech",))
    explanation = search_by_clip(clip=clip(400), name="q", asked=nothing, by=None).explanation
    assert explanation is not None
    assert explanation.searchable == 2
    assert [step["leaves"] for step in explanation.filters] == [2, 0]
    assert "kind: speech" in explanation.message


def test_an_empty_catalogue_says_so(clip: Clip, transactional_db: None) -> None:
    explanation = search_by_clip(
        clip=clip(400), name="q", asked=SearchSettings(), by=None
    ).explanation
    assert explanation is not None
    assert "Add some recordings" in explanation.message


def test_hostile_tags_are_only_tags(add_tone: AddTone, clip: Clip) -> None:
    add_tone(400, tags=["plain"])
    for tag in ('") or 1 == 1 or ("', "x' or kind == 'sound", "\\", '"]', "%", "𝄞"):
        asked = SearchSettings(tags=(tag,))
        assert not search_by_clip(clip=clip(400), name="q", asked=asked, by=None).hits


def test_queries_that_cannot_be_used_say_why(add_tone: AddTone, tmp_path: Path, clip: Clip) -> None:
    add_tone(400)
    quiet = write_audio(tmp_path / "q.wav", np.concatenate([tone(1, 400), tone(1, level=0.0)]))
    with pytest.raises(SilentAudio):
        search_by_clip(clip=quiet, name="q", asked=SearchSettings(start_ms=1200), by=None)
    with pytest.raises(AudioError, match="holds nothing"):
        search_by_clip(clip=clip(400), name="q", asked=SearchSettings(start_ms=5000), by=None)
    with override_settings(MAX_QUERY_DURATION_S=1), pytest.raises(TooLong):
        search_by_clip(clip=clip(400), name="q", asked=SearchSettings(), by=None)


def test_no_more_of_a_query_is_decoded_than_it_may_last(
    add_tone: AddTone, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tone(400)
    asked: list[tuple[Any, Any, Any]] = []
    ask = sandbox._Decoder.ask

    def note(self: sandbox._Decoder, request: dict[str, Any], file: int) -> None:
        asked.append((request["call"], request["start_ms"], request["end_ms"]))
        ask(self, request, file)

    monkeypatch.setattr(sandbox._Decoder, "ask", note)
    path = clip(400, 30)
    for settings, refused, decoded in (
        (SearchSettings(), True, (0, 2010)),
        (SearchSettings(start_ms=3000), True, (3000, 5010)),
        (SearchSettings(start_ms=3000, end_ms=20_000), True, (3000, 5010)),
        (SearchSettings(start_ms=3000, end_ms=5000), False, (3000, 5000)),
    ):
        asked.clear()
        answer = pytest.raises(TooLong) if refused else nullcontext()
        with override_settings(MAX_QUERY_DURATION_S=2), answer:
            search_by_clip(clip=path, name="q", asked=settings, by=None)
        assert asked == [("stream", *decoded)], "once, no looking at the whole before"


def test_a_query_ends_with_its_budget(tmp_path: Path) -> None:
    path = write_nothing(tmp_path / "costly.wav", 600)
    budget = override_settings(QUERY_DECODE_BUDGET=Budget(first_s=0.01, per_minute_s=0))
    with budget, pytest.raises(TooCostly, match="takes too long; choose a shorter stretch"):
        search_by_clip(clip=path, name="q", asked=SearchSettings(), by=None)


def test_decoding_stops_when_who_asked_has_left(
    member: Client, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, read = Event(), []

    def left_midway(*args: Any, **asked: Any) -> Iterator[Any]:
        for block in sandbox.stream_rates(*args, **asked):
            read.append(block)
            if len(read) == 2:
                gone.set()
            yield block

    monkeypatch.setattr(clips, "stream_rates", left_midway)
    with clip(400, 30).open("rb") as file:
        answer = member.post(reverse("api-search"), {"file": file}, **{GONE: gone})
    assert answer.json()["error"]["code"] == "left"
    assert len(read) == 2


def test_the_server_tells_when_the_connection_is_closed() -> None:
    messages = [{"type": "http.request"}, {"type": "http.disconnect"}]
    gone = Event()

    async def receive() -> dict[str, str]:
        assert not gone.is_set()
        return messages.pop(0)

    asyncio.run(tell_when_gone(receive, gone))
    assert gone.is_set()


def test_a_track_not_yet_heard_says_so(add_tone: AddTone) -> None:
    track = add_tone(400, listen=False)
    with pytest.raises(NotListenedYet, match="not been listened to yet"):
        similar_to_track(track_id=track.pk, asked=SearchSettings(), by=None)


@override_settings(QUERY_WAIT_S=0)
def test_the_ninth_search_is_turned_away(add_tone: AddTone, clip: Clip) -> None:
    add_tone(400)
    with ExitStack() as others:
        for number in range(8):
            others.enter_context(turns._slots.taken(f"user:{number}", 0))
        with pytest.raises(Busy):
            search_by_clip(clip=clip(400), name="q", asked=SearchSettings(), by=None)
    assert search_by_clip(clip=clip(400), name="q", asked=SearchSettings(), by=None).hits
