"""What pages say of tunes: which answer goes first, differences in words, and other renderings."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.template.loader import render_to_string
from django.test import Client

from apps.analysis.answers import Answer, AnswerHit
from apps.catalog.templatetags.sound import whole_clock
from apps.search.models import Search
from apps.search.templatetags.tunes import by_track, key_words, tempo_words
from tests.fake_answerers import Tune
from tests.unit.conftest import AddTone

Clip = Callable[..., Path]


@pytest.fixture
def tunes_known(settings: Any, add_tone: AddTone) -> Iterator[None]:
    """The tune of anything is perhaps that of the one recording; it is asked for last."""
    ours = {
        "same_recording": "tests.fake_answerers.Recording",
        "same_tune": "tests.fake_answerers.Tune",
    }
    settings.ANSWERS = ours
    evidence = {"key_difference": -5, "score": 0.3}
    moments = {"start_ms": 1000, "end_ms": 2000, "query_start_ms": 0, "query_end_ms": 900}
    hit = AnswerHit(
        track_id=add_tone(400).pk, probability=0.6, speed=0.9, evidence=evidence, **moments
    )
    Tune.found = Answer("maybe", "", [hit])
    yield
    Tune.found = Answer("none", "")


def search(client: Client, path: Path, **fields: Any) -> tuple[str, dict[str, str]]:
    """The address of a search of somebody whose page asks for the other answers later."""
    with path.open("rb") as file:
        answer = client.post("/", {"clip": file, "top_k": 5, "later": "1", **fields})
    assert answer.status_code == 302
    kept = Search.objects.order_by("-created_at")[0].answers
    return str(answer["Location"]), {name: one["verdict"] for name, one in kept.items()}


def test_what_is_to_be_first_is_asked_and_shown_first(
    member: Client, clip: Clip, tunes_known: None
) -> None:
    address, verdicts = search(member, clip(3000), first="same_tune")
    assert verdicts == {"same_recording": "waiting", "same_tune": "maybe"}
    page = member.get(address).content.decode()
    assert page.index('id="answer-same_tune"') < page.index('id="answer-same_recording"')
    assert "Perhaps this is the tune of" in page
    assert "60 % sure; 5 semitones lower than the song, about a fourth; 10 % slower" in page
    assert 'data-asked-label="Your hum"' in page
    assert "missing in the catalogue" not in page, "nobody adds a hum"
    again = member.post(address, {"top_k": 3, "first": "same_tune", "later": "1"})
    assert Search.objects.get(pk=again["Location"].split("/")[2]).settings["first"] == "same_tune"


@pytest.mark.parametrize("first", ["", "nothing", "same_voice"])
def test_what_cannot_be_first_is_left_out(
    member: Client, clip: Clip, tunes_known: None, first: str
) -> None:
    address, verdicts = search(member, clip(3000), first=first)
    assert verdicts == {"same_recording": "none", "same_tune": "waiting"}
    assert "first" not in Search.objects.get().settings
    page = member.get(address).content.decode()
    assert page.index('id="answer-same_recording"') < page.index('id="answer-same_tune"')


def test_who_hums_what_is_not_there_is_told_what_helps(
    member: Client, clip: Clip, tunes_known: None
) -> None:
    assert "<hum-recorder" in member.get("/").content.decode()
    Tune.found = Answer("none", "That is one note.")
    page = member.get(search(member, clip(3000), first="same_tune")[0]).content.decode()
    assert "That is one note." in page
    assert "ten seconds or more" in page


@pytest.mark.django_db
def test_without_tunes_nobody_is_asked_to_hum(member: Client, settings: Any) -> None:
    settings.ANSWERS = {"same_recording": "tests.fake_answerers.Recording"}
    assert "<hum-recorder" not in member.get("/").content.decode()


@pytest.mark.parametrize(
    ("semitones", "told"),
    [
        (0, "in the same key"),
        (1, "1 semitone higher than the song"),
        (-5, "5 semitones lower than the song, about a fourth"),
        (12, "an octave higher than the song, so in the same key"),
        (-13, "13 semitones lower than the song, about an octave and a semitone"),
        (31, "31 semitones higher than the song, about two octaves and a fifth"),
        (60, "60 semitones higher than the song"),
    ],
)
def test_keys_in_words(semitones: int, told: str) -> None:
    assert key_words(semitones, "the song") == told


def test_tempi_and_times_in_words() -> None:
    assert tempo_words(0.9, "there") == "10 % slower than there"
    assert tempo_words(1.25, "there") == "25 % faster than there"
    assert tempo_words(1.01, "there") == "as fast as there"
    times = [whole_clock(at) for at in (0, 59_600, 754_400, 3_725_000)]
    assert times == ["0:00", "1:00", "12:34", "1:02:05"]


def rendering(track_id: int, here_ms: int) -> dict[str, Any]:
    track = {"id": track_id, "title": f"Rendering {track_id}", "duration_ms": 60_000}
    moments = {"start_ms": 65_000, "end_ms": 95_000}
    here = {"query_start_ms": here_ms, "query_end_ms": here_ms + 28_000}
    evidence = {"key_difference": 3, "contours": {"song": [60.0], "asked": ["</script>"]}}
    told = {"probability": 0.9, "speed": 1.0, "evidence": evidence}
    return {"track": track, **moments, **here, **told}


def versions(**context: Any) -> str:
    track = {"pk": 1, "duration_ms": 120_000}
    return render_to_string("search/_versions.html", {"track": track, "waiting": False, **context})


def test_other_renderings_and_the_sections_that_correspond() -> None:
    hits = [rendering(7, 40_000), rendering(8, 0), rendering(7, 12_000)]
    page = versions(answer={"verdict": "match", "reason": "", "hits": hits})
    titles = [
        "Rendering 7</a>",
        "0:12–0:40 here is 1:05–1:35 there",
        "0:40–1:08",
        "Rendering 8</a>",
    ]
    places = [page.index(title) for title in titles]
    assert places == sorted(places)
    assert "here 3 semitones higher than there, about a minor third; as fast as there" in page
    assert page.count("</script>") == len(hits), "nothing of a contour ends its script"
    assert [len(one["sections"]) for one in by_track(hits)] == [2, 1]


def test_no_other_rendering() -> None:
    page = versions(answer={"verdict": "none", "reason": "", "hits": []})
    assert "No other recording has this tune" in page


def test_a_stretch_of_a_recording_as_samples(member: Client, add_tone: AddTone) -> None:
    address = f"/tracks/{add_tone(400, seconds=3, listen=False).pk}/stretch/"
    answer = member.get(address, {"from_ms": 1500, "to_ms": 2000})
    assert answer["Content-Type"] == "audio/wav"
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert len(samples) == rate // 2
    loudest = np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples)
    assert loudest == pytest.approx(400, abs=2)
    assert len(soundfile.read(io.BytesIO(member.get(address).content))[0]) == 3 * rate
    for wrong in ({"from_ms": 9000, "to_ms": 9500}, {"from_ms": 900, "to_ms": 100}):
        refused = member.get(address, wrong)
        assert refused.status_code == 422, wrong
        assert refused.json()["error"]["code"] == "invalid_stretch"


def test_no_more_than_a_minute_is_given(member: Client, add_tone: AddTone) -> None:
    address = f"/tracks/{add_tone(400, seconds=63, listen=False).pk}/stretch/"
    assert member.get(address, {"from_ms": 0, "to_ms": 62_000}).status_code == 422
    assert len(soundfile.read(io.BytesIO(member.get(address).content))[0]) == 60 * 32_000
