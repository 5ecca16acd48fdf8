"""A speaker is for those who may know of a recording that they are enrolled by: in every answer."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from apps.access.models import AuditEvent
from apps.access.tokens import issue_token
from apps.catalog.models import Collection, Track
from apps.catalog.services.adding import add_track
from apps.catalog.services.collections import save_collection
from apps.catalog.services.editing import edit_track
from apps.search.models import Search
from apps.voices import holdings
from apps.voices.diarizing import diarize_queued, request_diarization
from apps.voices.embedding import embed_voice
from apps.voices.enrolling import enrol
from apps.voices.erasing import Recordings, erase_speaker
from apps.voices.models import Enrolment, OperatingPoint, Speaker
from apps.voices.permissions import GROUPS_ARE_FOR_CURATORS
from apps.voices.recognition import NotEnrolled, identify, verify_speaker
from audiosearch.engine.voice.speech import RATE
from tests.voices import speak

pytestmark = pytest.mark.django_db(transaction=True)
ANNA, BEN = 27, 34  # seeds of voices that are well apart
API = "/api/v1/speakers/"


@pytest.fixture
def say(tmp_path: Path) -> Callable[..., Path]:
    """say(seed, words=0): a file in which that voice speaks."""

    def write(seed: int, words: int = 0) -> Path:
        path = tmp_path / f"{seed}-{words}.wav"
        pause = np.random.default_rng(words).normal(0, 1e-4, RATE).astype(np.float32)
        soundfile.write(path, np.concatenate([pause, speak(seed, 6, words), pause]), RATE)
        return path

    return write


class Voices:
    """Ben is enrolled for all; whoever else is enrolled is so for insiders only."""

    def __init__(self, say: Callable[..., Path]) -> None:
        self.say = say
        self.group = Group.objects.create(name="insiders")
        self.room = Collection.objects.create(name="Room", audience=self.group)
        self.users = {
            "outsider": User.objects.create_user("outsider"),
            "insider": User.objects.create_user("insider"),
            "curator": User.objects.create_user("curator", is_staff=True),
        }
        self.users["insider"].groups.add(self.group)
        self.ben = self.enrol("Ben", BEN, private=False)

    def enrol(self, name: str, seed: int, words: int = 0, *, private: bool = True) -> Speaker:
        consent = {"consent_by": name, "consent_on": timezone.localdate(), "external_id": name}
        speaker, _ = Speaker.objects.get_or_create(name=name, defaults=consent)
        source = self.say(seed, words)
        done = enrol(speaker=speaker, source=source, name="a.wav", by=self.users["curator"])
        if private:
            edit_track(track=done.enrolment.track, changes={"collection": self.room})
        return speaker

    def client(self, role: str) -> Client:
        client = Client()
        client.force_login(self.users[role])
        return client

    def answers(self, role: str) -> list[Any]:
        """All that somebody is told when Anna is heard."""
        client = self.client(role)
        told = [client.get(API).json(), client.get("/voices/").context["page"].object_list]
        told[1] = [(speaker.name, speaker.recordings) for speaker in told[1]]
        for question in ("identify/", "diarize/"):
            with self.say(ANNA, 9).open("rb") as file:
                told.append(client.post(f"{API}{question}", {"file": file}).json())
        form = client.get("/voices/").context["compare_form"]
        return [*told, [str(choice[1]) for choice in form.fields["speaker"].choices]]


@pytest.fixture
def voices(say: Callable[..., Path], synthesised_threshold: OperatingPoint) -> Voices:
    for measured in synthesised_threshold.points:
        measured["impostor_std"] = 0.06  # so that one speaker more needs a higher threshold
    synthesised_threshold.save()
    return Voices(say)


def test_whoever_may_not_know_of_a_speaker_is_answered_as_if_they_were_not_there(
    voices: Voices,
) -> None:
    before = voices.answers("outsider")
    anna = voices.enrol("Anna", ANNA)
    assert voices.answers("outsider") == before
    assert "Anna" not in str(before)
    for role in ("insider", "curator"):
        told = voices.answers(role)
        assert told[2]["name"] == "Anna", told[2]
        assert [turn["name"] for turn in told[3]["turns"]] == ["Anna"]
        assert told[2]["threshold"] > before[2]["threshold"]
    client = voices.client("outsider")
    for number in (anna.pk, 876_543):
        with voices.say(ANNA, 9).open("rb") as file:
            answer = client.post(f"{API}verify/", {"file": file, "speaker": number})
        assert answer.status_code == 400
        assert answer.json()["error"]["details"] == {
            "speaker": [f'Invalid pk "{number}" - object does not exist.']
        }
        with voices.say(ANNA, 9).open("rb") as file:
            page = client.post("/voices/compare/", {"clip": file, "speaker": number})
        assert page.status_code == 400


def test_only_recordings_that_one_may_know_of_are_compared(
    voices: Voices, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = voices.enrol("Anna", ANNA, private=False)
    voice = embed_voice(voices.say(ANNA, 9))
    outsider, insider = voices.users["outsider"], voices.users["insider"]

    def scores(by: User) -> tuple[float, float]:
        told = verify_speaker(voice=voice, speaker=anna, by=by)
        return identify(voice=voice, by=by).candidates[0].score, told.score

    before = scores(outsider)
    voices.enrol("Anna", ANNA, 9)  # the very recording that is asked about
    assert scores(outsider) == pytest.approx(before)
    assert scores(insider) == pytest.approx((1, 1), abs=1e-4)
    monkeypatch.setattr(holdings, "EXEMPLARS", 1)
    assert scores(outsider) == pytest.approx(before), (
        "the private one takes no place among the nearest"
    )


def test_a_new_audience_takes_effect_at_once(voices: Voices) -> None:
    anna = voices.enrol("Anna", ANNA)
    voice, outsider = embed_voice(voices.say(ANNA, 9)), voices.users["outsider"]

    def known() -> bool:
        return identify(voice=voice, by=outsider).speaker == anna

    track = anna.enrolments.get().track
    edit_track(track=track, changes={"collection": None})
    assert known()
    assert not Enrolment.objects.filter(index_stale=True).exists()
    edit_track(track=track, changes={"collection": voices.room})
    assert not known()
    voices.room.audience = None
    save_collection(voices.room, ["audience"])
    assert known()
    voices.room.audience = voices.group
    save_collection(voices.room, ["audience"])
    assert not known()
    edit_track(track=track, changes={"collection": None})
    late = {"collection": voices.room, "audience": voices.group}
    Track.objects.filter(pk=track.pk).update(**late)  # and the index has not heard of it
    assert not known()
    outsider.groups.add(voices.group)
    assert known()


def test_turns_of_a_track_name_whom_one_may_know_of(voices: Voices) -> None:
    voices.enrol("Anna", ANNA)
    source = voices.say(ANNA, 9)
    track = add_track(source=source, name="talk.wav", added_by=None).track
    request_diarization(track=track, by=None)
    diarize_queued()
    names = {}
    for role in voices.users:
        client = voices.client(role)
        told = client.get(f"{API}diarize/", {"track": track.pk}).json()
        names[role] = {turn["name"] for turn in told["turns"]}
        page = client.get(f"/voices/tracks/{track.pk}/").content.decode()
        assert ("Anna" in page) == ("Anna" in names[role])
    assert names == {"outsider": {"unknown 1"}, "insider": {"unknown 1"}, "curator": {"Anna"}}
    edit_track(track=track, changes={"collection": voices.room})
    request_diarization(track=track, by=None)
    diarize_queued()
    told = voices.client("insider").get(f"{API}diarize/", {"track": track.pk}).json()
    assert {turn["name"] for turn in told["turns"]} == {"Anna"}
    edit_track(track=track, changes={"collection": None})
    told = voices.client("outsider").get(f"{API}diarize/", {"track": track.pk}).json()
    assert {turn["name"] for turn in told["turns"]} == {"unknown 1"}


def test_members_read_names_alone(voices: Voices) -> None:
    Speaker.objects.update(notes="a note", groups=["crew"], external_id="number 7")
    never = Speaker.objects.create(name="Never enrolled")
    secrets = ("a note", "crew", "number 7", "consent")
    for role, reads in (("outsider", False), ("curator", True)):
        client = voices.client(role)
        row = client.get(f"{API}{voices.ben.pk}/").json()
        assert (row["name"], row["enrolments"]) == ("Ben", 1)
        told = [row[field] for field in ("notes", "groups", "external_id", "consent_by")]
        assert told == (["a note", ["crew"], "number 7", "Ben"] if reads else ["", [], None, ""])
        with voices.say(BEN, 9).open("rb") as file:
            found = client.post(f"{API}identify/", {"file": file}).json()
        assert found["candidates"][0]["external_id"] == ("number 7" if reads else None)
        for page in (f"/voices/speakers/{voices.ben.pk}/", "/voices/"):
            body = client.get(page).content.decode().lower()
            assert reads or not [secret for secret in secrets if secret in body], page
        status = client.get(f"{API}{never.pk}/").status_code
        assert status == (200 if reads else 404), "nobody is known by it yet"


def test_members_are_not_told_of_a_consent_that_ended(voices: Voices) -> None:
    voice = embed_voice(voices.say(BEN, 9))
    Speaker.objects.update(consent_until=timezone.localdate() - timedelta(days=1))
    voices.ben.refresh_from_db()
    with pytest.raises(NotEnrolled, match="ask a curator"):
        verify_speaker(voice=voice, speaker=voices.ben, by=voices.users["outsider"])


def test_a_token_needs_the_scope_of_voices_for_the_speaker_of_a_track(voices: Voices) -> None:
    track = voices.ben.enrolments.get().track
    path = f"/api/v1/tracks/{track.pk}/"
    scopes = ["read", "write"]
    for further, speaker, status in (([], None, 403), (["voices"], voices.ben.pk, 200)):
        secret = issue_token(user=voices.users["curator"], name="t", scopes=[*scopes, *further])
        client = Client(headers={"Authorization": f"Token {secret}"})
        assert client.get(path).json()["speaker"] == speaker
        assert client.get("/api/v1/tracks/").json()["results"][0]["speaker"] == speaker
        retitled = client.patch(path, {"title": "New"}, "application/json").json()
        assert (retitled["title"], retitled["speaker"]) == ("New", speaker)
        asked = client.patch(path, {"speaker": voices.ben.pk}, "application/json")
        assert asked.status_code == status
        assert client.patch(path, [1], "application/json").status_code == 400


@pytest.mark.parametrize(
    ("path", "field"), [(API + "{}/enrolments/", "file"), ("/voices/speakers/{}/enrol/", "clip")]
)
def test_enrolling_lets_nobody_further_know_of_a_speaker_unless_somebody_chooses(
    voices: Voices, path: str, field: str
) -> None:
    client, room = voices.client("curator"), voices.room
    consent = {"consent_by": "Anna", "consent_on": timezone.localdate()}
    anna = Speaker.objects.create(name="Anna", **consent)

    def enrol_into(words: int, **asked: Any) -> int:
        with voices.say(ANNA, words).open("rb") as file:
            status = client.post(path.format(anna.pk), {field: file, **asked}).status_code
        return int(status)

    expected = ((str(room.pk), room), (None, room), ("", None), (None, None))
    for words, (collection, goes_into) in enumerate(expected):
        asked = {} if collection is None else {"collection": collection}
        assert enrol_into(words, **asked) in (201, 302)
        assert anna.enrolments.all()[0].track.collection == goes_into
    assert enrol_into(9, collection="4711") == 400


def test_the_page_offers_the_collection_and_keeps_the_choice(voices: Voices) -> None:
    client, anna = voices.client("curator"), voices.enrol("Anna", ANNA)
    for speaker, usual in ((anna, voices.room), (voices.ben, None)):
        page = client.get(f"/voices/speakers/{speaker.pk}/")
        assert page.context["enrol_form"]["collection"].initial == usual
    refused = client.post(
        f"/voices/speakers/{voices.ben.pk}/enrol/", {"collection": voices.room.pk}
    )
    assert refused.status_code == 400
    kept = f'<option value="{voices.room.pk}" selected>'
    assert kept in refused.content.decode()


def test_members_cannot_try_who_is_in_which_group(voices: Voices) -> None:
    """The group of a speaker they know, of one they do not know, and none are answered alike."""
    anna = voices.enrol("Anna", ANNA)
    for speaker, groups in ((voices.ben, ["crew"]), (anna, ["spies"])):
        speaker.groups = groups
        speaker.save()
        holdings.speaker_changed(speaker, ["groups"])
    told: dict[str, list[Any]] = {}
    for role in ("outsider", "curator"):
        client = voices.client(role)
        for group in ("crew", "spies", "nobody"):
            answers = []
            for path, field in ((f"{API}identify/", "file"), ("/voices/identify/", "clip")):
                with voices.say(BEN, 9).open("rb") as file:
                    asked = {field: file, "group": group}
                    answers.append(client.post(path, asked, headers={"X-Request-ID": "one"}))
            page = answers[1].context
            said = page.get("problem") or [
                str(one.speaker) for one in page["identification"].candidates
            ]
            told.setdefault(role, []).append([answers[0].status_code, answers[0].json(), said])
        assert ('name="group"' in client.get("/voices/").content.decode()) == (role == "curator")
    crew, spies, nobody = told["outsider"]
    assert crew == spies == nobody
    assert (crew[0], crew[2]) == (400, GROUPS_ARE_FOR_CURATORS)
    assert [said for _, _, said in told["curator"]] == [["Ben"], ["Anna"], []]


def test_who_speaks_is_an_answer_of_the_search_for_those_who_may_know(voices: Voices) -> None:
    """Kept by number, and shown with the name of now, or not at all."""
    voices.enrol("Anna", ANNA)
    found = {}
    for role in voices.users:
        with voices.say(ANNA, 9).open("rb") as file:
            asked = {"file": file, "answers": "same_voice"}
            answer = voices.client(role).post("/api/v1/search/", asked).json()["answers"]
        found[role] = answer["same_voice"]
    assert found["outsider"]["verdict"] == "none"
    assert "Anna" not in str(found["outsider"])
    for role in ("insider", "curator"):
        (hit,) = found[role]["hits"]
        assert (found[role]["verdict"], hit["track"]) == ("match", None)
        assert hit["evidence"]["name"] == "Anna"
        assert hit["evidence"]["score"] > hit["evidence"]["threshold"]
        assert 0.5 < hit["probability"] <= 1
    assert AuditEvent.objects.filter(action="identify").count() == 3
    with voices.say(ANNA, 9).open("rb") as file:
        kept = voices.client("insider").post("/", {"clip": file, "top_k": 5})["Location"]
    assert "Anna" not in str(Search.objects.get().answers)
    pages = {role: voices.client(role).get(kept).content.decode() for role in voices.users}
    for role, page in pages.items():
        assert ("Anna" in page) == (role != "outsider"), role
    assert "nobody who is known" in pages["outsider"]
    anna = Speaker.objects.get(name="Anna")
    erase_speaker(speaker=anna, by=voices.users["curator"], recordings=Recordings.DELETE)
    assert "Anna" not in voices.client("curator").get(kept).content.decode()
