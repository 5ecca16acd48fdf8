"""What was brought to enrol a speaker stays out of searches by sound unless they ask for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from apps.access.tokens import issue_token
from apps.analysis.index import get_index
from apps.analysis.reconcile import reindex
from apps.analysis.spaces import active_space
from apps.analysis.worker import work
from apps.catalog.models import Collection, Track
from apps.catalog.services.adding import add_track
from apps.catalog.services.editing import edit_track
from apps.search.results import SearchSettings
from apps.search.services import similar_to_track
from apps.voices.enrolling import enrol
from apps.voices.erasing import Recordings, erase_speaker
from apps.voices.models import OperatingPoint, Speaker
from audiosearch.engine.voice.speech import RATE
from tests.searching import search_by_clip
from tests.voices import speak

pytestmark = pytest.mark.django_db(transaction=True)
ANNA, BEN = 31, 34
SPACE = "fake-v1"
Say = Callable[..., Path]


@pytest.fixture
def say(tmp_path: Path) -> Say:
    """say(seed, words=0): a file in which that voice speaks."""

    def write(seed: int, words: int = 0) -> Path:
        path = tmp_path / f"{seed}-{words}.wav"
        pause = np.random.default_rng(words).normal(0, 1e-4, RATE).astype(np.float32)
        soundfile.write(path, np.concatenate([pause, speak(seed, 6, words), pause]), RATE)
        return path

    return write


@pytest.fixture
def staff(transactional_db: None) -> User:
    return User.objects.create_user("staff", is_staff=True)


@pytest.fixture
def anna(synthesised_threshold: OperatingPoint) -> Speaker:
    return Speaker.objects.create(name="Anna", consent_by="Anna", consent_on=timezone.localdate())


@pytest.fixture
def brought(say: Say, staff: User, anna: Speaker) -> Track:
    """Enrolled by a recording that was brought for it."""
    done = enrol(speaker=anna, source=say(ANNA), name="a.wav", by=staff)
    work()
    return done.enrolment.track


@pytest.fixture
def talk(say: Say, staff: User) -> Track:
    """A recording of the catalogue."""
    added = add_track(source=say(BEN), name="talk.wav", added_by=staff, kind="speech")
    work()
    return added.track


def found(clip: Path, by: Any, **asked: Any) -> set[int]:
    result = search_by_clip(clip=clip, name="clip", asked=SearchSettings(**asked), by=by)
    return {hit.track.id for hit in result.hits}


def test_searches_find_it_when_they_ask_only(
    talk: Track, brought: Track, say: Say, staff: User
) -> None:
    clip, both = say(ANNA), {talk.pk, brought.pk}
    for kinds in ((), ("speech",), ("speech", "sound")):
        assert found(clip, staff, kinds=kinds) == {talk.pk}
        assert found(clip, staff, kinds=kinds, include_enrolments=True) == both
    assert found(clip, staff, kinds=("sound",), include_enrolments=True) == set()
    edit_track(track=brought, changes={"kind": "sound"})
    assert found(clip, staff, kinds=("sound",), include_enrolments=True) == {brought.pk}
    assert found(clip, staff) == {talk.pk}
    reindex(active_space())
    assert found(clip, staff) == {talk.pk}


def test_it_can_be_searched_by_and_is_in_no_list_of_similar_ones(
    talk: Track, brought: Track, staff: User, say: Say
) -> None:
    further = add_track(source=say(BEN, 1), name="further.wav", added_by=staff).track
    work()

    def similar(track: Track, **asked: Any) -> set[int]:
        result = similar_to_track(track_id=track.pk, asked=SearchSettings(**asked), by=staff)
        return {hit.track.id for hit in result.hits}

    assert similar(talk) == {further.pk}
    assert similar(talk, include_enrolments=True) == {further.pk, brought.pk}
    assert similar(brought) == {talk.pk, further.pk}
    client = Client()
    client.force_login(staff)
    listed = client.get(
        f"/tracks/{talk.pk}/similar/", {"part": "1"}, headers={"HX-Request": "true"}
    )
    assert brought.title not in listed.content.decode()


def test_page_and_api_ask_alike(talk: Track, brought: Track, staff: User, say: Say) -> None:
    client = Client()
    client.force_login(staff)
    assert 'name="include_enrolments"' in client.get("/").content.decode()
    titles = {talk.title, brought.title}
    for asked, seen in (({}, {talk.title}), ({"include_enrolments": "true"}, titles)):
        with say(ANNA).open("rb") as file:
            told = client.post("/api/v1/search/", {"file": file, **asked}).json()
        assert {hit["track"]["title"] for hit in told["hits"]} == seen
        assert ("include_enrolments" in told["query"]) == bool(asked)
        query = {"top_k": "5", **asked}
        told = client.get(f"/api/v1/tracks/{talk.pk}/similar", query).json()
        assert {hit["track"]["title"] for hit in told["hits"]} == seen - {talk.title}
        with say(ANNA).open("rb") as file:
            page = client.post("/", {"clip": file, "top_k": "10", **asked}, follow=True)
        assert {title for title in titles if title in page.content.decode()} == seen
        ticked = page.context["form"]["include_enrolments"].value()
        assert bool(ticked) == bool(asked), "the result shows what was asked for"


def test_counts_agree_with_what_is_found(brought: Track, staff: User, say: Say) -> None:
    def explained(**asked: Any) -> Any:
        settings = SearchSettings(kinds=("music",), **asked)
        return search_by_clip(clip=say(ANNA), name="c", asked=settings, by=staff).explanation

    assert explained().searchable == 0
    told = explained(include_enrolments=True)
    assert (told.searchable, told.filters[0]["filter"]) == (1, "kind: music")
    client = Client()
    client.force_login(staff)
    assert not client.get("/").context["has_tracks"]
    assert brought.title in client.get("/library/").content.decode()
    get_index().delete_items(SPACE, [brought.pk])
    brought.analyses.update(state="queued")
    assert "Nothing can be searched yet" not in explained().message
    assert "1 recordings are still" in explained(include_enrolments=True).message


def test_what_was_there_for_itself_is_found_though_it_is_enrolled(
    anna: Speaker, say: Say, staff: User
) -> None:
    track = add_track(source=say(ANNA), name="own.wav", added_by=staff).track
    work()
    done = enrol(speaker=anna, source=say(ANNA), name="a.wav", by=staff)
    assert done.enrolment.track == track
    assert found(say(ANNA), staff) == {track.pk}


def test_what_is_brought_for_itself_later_is_found(brought: Track, say: Say, staff: User) -> None:
    assert found(say(ANNA), staff) == set()
    again = add_track(source=say(ANNA), name="own.wav", added_by=staff)
    assert (again.track, again.created, again.track.for_enrolment) == (brought, False, False)
    assert found(say(ANNA), staff) == {brought.pk}


def test_what_an_erased_speaker_leaves_is_an_ordinary_recording(
    brought: Track, anna: Speaker, say: Say, staff: User
) -> None:
    erase_speaker(speaker=anna, by=staff, recordings=Recordings.KEEP)
    assert found(say(ANNA), staff) == {brought.pk}
    assert not Track.objects.get(pk=brought.pk).for_enrolment


def test_the_library_marks_it_for_those_who_may_know_of_the_speaker(
    talk: Track, brought: Track, anna: Speaker, staff: User, settings: Any
) -> None:
    settings.WHO_MAY_SEARCH = "anyone"
    group = Group.objects.create(name="insiders")
    room = Collection.objects.create(name="Room", audience=group)
    clients = {name: Client() for name in ("anyone", "outsider", "insider", "staff")}
    for name in ("outsider", "insider", "staff"):
        user, _ = User.objects.get_or_create(username=name)
        clients[name].force_login(user)
    User.objects.get(username="insider").groups.add(group)

    def marks(name: str) -> list[Any]:
        client, path = clients[name], f"/tracks/{brought.pk}/"
        pages = [client.get("/library/").content.decode(), client.get(path).content.decode()]
        told = client.get(f"/api/v1{path}").json().get("enrolment_of")
        rows = client.get("/api/v1/tracks/").json()["results"]
        listed = {row["enrolment_of"] for row in rows if row["id"] == brought.pk}
        assert {row["enrolment_of"] for row in rows if row["id"] == talk.pk} == {None}
        return [*("Enrolment of" in page for page in pages), told, *listed]

    known = [True, True, anna.pk, anna.pk]
    unknown = [False, False, None, None]
    assert {name: marks(name) for name in clients} == {
        "anyone": unknown, "outsider": known, "insider": known, "staff": known
    }  # fmt: skip
    edit_track(track=brought, changes={"collection": room, "speaker": None})
    assert {name: marks(name) for name in clients} == {
        "anyone": unknown[:3], "outsider": unknown[:3], "insider": known, "staff": known
    }  # fmt: skip


def test_a_token_needs_the_scope_of_voices_to_read_the_mark(brought: Track, staff: User) -> None:
    for scopes, told in ((["read"], None), (["read", "voices"], brought.speaker_id)):
        secret = issue_token(user=staff, name="t", scopes=scopes)
        client = Client(headers={"Authorization": f"Token {secret}"})
        track = client.get(f"/api/v1/tracks/{brought.pk}/").json()
        assert track["enrolment_of"] == told
