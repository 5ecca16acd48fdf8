"""One question, several answers: by the API, each on its own, and to those only who may know."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.test import Client

from apps.access.tokens import issue_token
from apps.analysis import turns
from apps.catalog.models import Collection
from apps.search.asking import FAILED, NOT_FOR_YOU, TOO_SLOW
from audiosearch.engine.audio import sandbox
from tests.audio_files import tone, write_audio
from tests.fake_answerers import Slow
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
Clip = Callable[..., Path]
SEARCH = "/api/v1/search/"
JSON = "application/json"


def ask(client: Client, path: Path, address: str = SEARCH, **fields: Any) -> Any:
    with path.open("rb") as file:
        return client.post(address, {"file": file, **fields})


@pytest.fixture
def several(settings: Any) -> Any:
    """Beside what there is: one that knows recordings, and others that go wrong."""
    ours = {"same_recording": "Recording", "failing": "Failing", "lacking": "Lacking"}
    fakes = {name: f"tests.fake_answerers.{kind}" for name, kind in ours.items()}
    settings.ANSWERS = {**settings.ANSWERS, **fakes}
    return settings


def test_what_was_answered_before_is_answered_still(
    member: Client, add_tone: AddTone, clip: Clip
) -> None:
    one = add_tone(400)
    body = ask(member, clip(405), top_k=5).json()
    assert set(body) == {"query", "hits", "explanation", "took_ms", "answers"}
    assert set(body["query"]) == {"clip", "duration_ms", "space", "top_k"}
    assert set(body["took_ms"]) == {"decode", "encode", "index", "total"}
    (hit,) = body["hits"]
    assert set(hit) == {"track", "distance", "similarity", "start_ms", "end_ms"}
    ((name, answer),) = body["answers"].items()
    assert (name, answer["verdict"], answer["reason"]) == ("sounds_alike", "maybe", "")
    assert answer["took_ms"] > 0
    (same,) = answer["hits"]
    assert same["track"] == hit["track"]
    assert same["track"]["id"] == one.pk
    assert same["evidence"] == {"distance": hit["distance"], "similarity": hit["similarity"]}
    assert (same["query_start_ms"], same["query_end_ms"]) == (0, 2000)
    assert same["probability"] is same["speed"] is None


def test_what_is_asked_may_be_written_in_any_way(
    member: Client, add_tone: AddTone, clip: Clip, several: Any
) -> None:
    track = add_tone(400)
    both = ["same_recording", "sounds_alike"]
    for asked in (both, ",".join(both), [" same_recording ", "sounds_alike,"]):
        assert list(ask(member, clip(400), answers=asked).json()["answers"]) == both
    for asked in (both, ",".join(both)):
        body = member.post(SEARCH, {"track": track.pk, "answers": asked}, JSON).json()
        assert list(body["answers"]) == both
    address = f"{SEARCH}?answers=same_recording"
    body = ask(member, clip(400), address, answers="all").json()
    assert list(body["answers"]) == ["same_recording"]
    assert body["hits"] == []
    assert list(ask(member, clip(400), answers="all").json()["answers"]) == list(several.ANSWERS)
    assert list(ask(member, clip(400), answers="").json()["answers"]) == ["sounds_alike"]
    for wrong in ("melody", "sounds_alike,melody", "ALL"):
        answer = ask(member, clip(400), answers=wrong)
        assert answer.status_code == 400
        assert "answers" in answer.json()["error"]["details"]
    assert ask(member, clip(400), f"{SEARCH}?answers=melody").status_code == 400


def test_a_track_answers_without_itself(
    member: Client, add_tone: AddTone, several: Any, tmp_path: Path
) -> None:
    one, two = add_tone(400), add_tone(400.01)
    asked = {"track": one.pk, "answers": "same_recording,sounds_alike"}
    body = member.post(SEARCH, asked, JSON).json()
    for name in ("same_recording", "sounds_alike"):
        assert [hit["track"]["id"] for hit in body["answers"][name]["hits"]] == [two.pk], name
    assert body["answers"]["same_recording"]["verdict"] == "match"
    assert [hit["track"]["id"] for hit in body["hits"]] == [two.pk]


def test_one_that_fails_or_lacks_its_model_leaves_the_others_alone(
    member: Client, add_tone: AddTone, clip: Clip, several: Any
) -> None:
    track = add_tone(400)
    answers = ask(member, clip(400), answers="all").json()["answers"]
    assert answers["failing"] == {
        **{"verdict": "unavailable", "reason": FAILED, "hits": [], "took_ms": 0.0}
    }
    assert answers["lacking"]["reason"] == "Its model is not here."
    for name, verdict in (("same_recording", "match"), ("sounds_alike", "maybe")):
        assert answers[name]["verdict"] == verdict
        assert answers[name]["hits"][0]["track"]["id"] == track.pk
    alone = ask(member, clip(400), answers="lacking")
    assert (alone.status_code, alone.json()["answers"]["lacking"]["verdict"]) == (
        *(200, "unavailable"),
    )


def test_a_slow_one_is_not_waited_for_and_keeps_its_slot_until_it_is_done(
    member: Client, add_tone: AddTone, clip: Clip, settings: Any
) -> None:
    add_tone(400)
    settings.ANSWERS = {**settings.ANSWERS, "slow": "tests.fake_answerers.Slow"}
    settings.ANSWER_WITHIN_S = 5
    Slow.go.clear()
    try:
        answers = ask(member, clip(400), answers="sounds_alike,slow").json()["answers"]
        assert answers["slow"]["reason"] == TOO_SLOW
        assert answers["sounds_alike"]["verdict"] == "maybe"
        assert sum(turns._slots._held.values()) == 1
    finally:
        Slow.go.set()
    with turns._slots._changed:
        assert turns._slots._changed.wait_for(lambda: not turns._slots._held, 30)


def test_all_answers_take_one_slot_and_one_decoding(
    member: Client,
    add_tone: AddTone,
    clip: Clip,
    several: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_tone(400)
    asked: list[str] = []
    ask_decoder = sandbox._Decoder.ask

    def note(self: sandbox._Decoder, request: dict[str, Any], file: int) -> None:
        asked.append(request["call"])
        ask_decoder(self, request, file)

    monkeypatch.setattr(sandbox._Decoder, "ask", note)
    monkeypatch.setattr(turns, "_slots", turns.Slots(1, 1))
    answers = ask(member, clip(400), answers="all").json()["answers"]
    assert answers["same_recording"]["verdict"] == "match"
    assert answers["sounds_alike"]["verdict"] == "maybe"
    assert asked == ["stream"]


def test_what_cannot_be_decoded_is_refused_once(
    member: Client, add_tone: AddTone, tmp_path: Path, several: Any
) -> None:
    add_tone(400)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"nonsense")
    silent = write_audio(tmp_path / "silent.wav", tone(1, level=0.0))
    for path, status in ((broken, 415), (silent, 422)):
        for names in ("all", "same_recording", "sounds_alike"):
            assert ask(member, path, answers=names).status_code == status, names


def test_filters_and_privacy_hold_for_each(
    member: Client, add_tone: AddTone, clip: Clip, several: Any
) -> None:
    group = Group.objects.create(name="insiders")
    private = Collection.objects.create(name="xsecret", audience=group)
    add_tone(400, seconds=3, collection=private, fields={"title": "xsecret"})
    seen = add_tone(400.01, tags=["seen"])
    for fields in ({}, {"tags": "seen"}, {"kind": "sound"}):
        body = ask(member, clip(400), answers="all", top_k=1, **fields).json()
        assert "xsecret" not in str(body)
        for name in ("same_recording", "sounds_alike"):
            hits = body["answers"][name]["hits"]
            assert [hit["track"]["id"] for hit in hits] == [seen.pk], (name, fields)
    nothing = ask(member, clip(400), answers="all", tags="other").json()
    assert nothing["answers"]["same_recording"]["verdict"] == "none"
    assert "tags: other" in nothing["answers"]["sounds_alike"]["reason"]
    insider = get_user_model().objects.create_user("insider")
    insider.groups.add(group)
    knows = Client()
    knows.force_login(insider)
    assert "xsecret" in str(ask(knows, clip(400), answers="same_recording").json())


def test_whoever_may_not_ask_about_voices_is_told_nothing(
    member: Client, add_tone: AddTone, clip: Clip, settings: Any
) -> None:
    add_tone(400)
    settings.WHO_MAY_SEARCH = "anyone"
    user = get_user_model().objects.get(username="member")
    told = []
    for scopes in (["read"], None):
        client = Client()
        if scopes:
            secret = issue_token(user=user, name="t", scopes=scopes)
            client.defaults["HTTP_AUTHORIZATION"] = f"Token {secret}"
        body = ask(client, clip(400), answers="all").json()
        told.append({**body["answers"]["same_voice"], "took_ms": 0})
        assert body["answers"]["sounds_alike"]["verdict"] == "maybe"
    assert told[0] == told[1]
    assert (told[0]["verdict"], told[0]["reason"]) == ("unavailable", NOT_FOR_YOU)
    secret = issue_token(user=user, name="v", scopes=["read", "voices"])
    client = Client(HTTP_AUTHORIZATION=f"Token {secret}")
    assert ask(client, clip(400), answers="same_voice").json()["answers"]["same_voice"] == {
        **{"verdict": "none", "reason": "Nobody is enrolled here.", "hits": []},
        "took_ms": pytest.approx(0, abs=10_000),
    }


def test_what_takes_no_model_is_counted_by_itself(
    member: Client, add_tone: AddTone, clip: Clip, several: Any
) -> None:
    """While a microphone records, it is asked again and again; the search that follows is free."""
    caches["limits"].clear()
    several.SEARCHES_PER_MINUTE = 2
    add_tone(400)
    light = f"{SEARCH}?answers=same_recording"
    assert [ask(member, clip(400), light).status_code for _ in range(3)] == [200, 200, 429]
    for address in (SEARCH, f"{light},sounds_alike"):
        assert ask(member, clip(400), address).status_code == 200, address
    assert ask(member, clip(400), answers="same_recording").status_code == 429
