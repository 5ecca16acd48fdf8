"""What is private to a group does not exist for anybody else: at any address, in any answer."""

import re
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from apps.analysis.models import Space
from apps.analysis.spaces import ensure_spaces
from apps.analysis.worker import work
from apps.catalog.models import Collection, Track
from apps.catalog.services.adding import add_track
from apps.catalog.services.collections import get_or_create_collection, save_collection
from apps.catalog.services.editing import delete_collection, edit_track, edit_tracks
from apps.discovery.models import DuplicatePair
from apps.jobs.models import State
from apps.search.asking import ask_by_clip
from apps.search.models import Search
from apps.search.recent import keep_search
from apps.search.results import SearchSettings
from apps.search.services import similar_to_track
from apps.voices.embedding import voice_space
from apps.voices.models import Diarization, Enrolment, Speaker
from audiosearch.engine.errors import Conflict
from tests.audio_files import tone, write_audio
from tests.unit.addresses import routes
from tests.unit.conftest import AddTone

SECRETS = (
    *("xsecrettitle", "xsecretartist", "xsecrettag", "xsecretplace", "xsecretfile"),
    *("xsecretspeaker", "xsecretnumber", "xsecretnote", "xsecretconsent"),
)
MISSING = 876_543
METHODS = ("get", "head", "post", "put", "patch", "delete")


class World:
    """Two public tracks, a private one that sounds like them, and people of every role."""

    def __init__(self, add_tone: AddTone) -> None:
        self.group = Group.objects.create(name="insiders")
        self.private = Collection.objects.create(name="xsecretplace", audience=self.group)
        self.public = [add_tone(400, tags=["low"]), add_tone(500)]
        self.track = add_tone(
            *(400, 3),
            name="xsecretfile.wav",
            fields={"title": "xsecrettitle", "artist": "xsecretartist"},
            collection=self.private,
            tags=["xsecrettag"],
        )
        Diarization.objects.create(track=self.track, state=State.READY)
        self.speaker = enrolled_speaker(self.track)
        told = dict.fromkeys(["first_start_ms", "second_start_ms"], 0)
        told |= dict.fromkeys(["first_end_ms", "second_end_ms", "aligned", "of"], 2000)
        self.cluster = self.public[0].pk
        DuplicatePair.objects.create(
            first=self.public[0], second=self.track, share=1, speed=1, **told
        )
        Track.objects.filter(pk__in=[self.track.pk, self.public[0].pk]).update(speaker=self.speaker)
        insider = User.objects.create_user("insider")
        insider.groups.add(self.group)
        self.users: dict[str, Any] = {
            "outsider": User.objects.create_user("outsider"),
            "insider": insider,
            "curator": User.objects.create_user("curator", is_staff=True),
        }

    def client(self, role: str) -> Client:
        client = Client(raise_request_exception=False)
        if role in self.users:
            client.force_login(self.users[role])
        return client

    def shared_search(self, clip: Path) -> Search:
        """One that an insider made, whose hits the private track is among."""
        insider = self.users["insider"]
        found = ask_by_clip(
            clip=clip, name="clip", asked=SearchSettings(), by=insider, names=["sounds_alike"]
        )
        assert self.track.pk in [hit.track.id for hit in found.result.hits]
        return keep_search(user=insider, clip="", clip_name="clip", settings={}, answered=found)


def enrolled_speaker(track: Track) -> Speaker:
    """One that is known by this track alone."""
    speaker = Speaker.objects.create(
        name="xsecretspeaker",
        external_id="xsecretnumber",
        notes="xsecretnote",
        consent_by="xsecretconsent",
        consent_on=timezone.localdate(),
    )
    ensure_spaces()
    Enrolment.objects.create(
        speaker=speaker,
        track=track,
        space=Space.objects.get(name=voice_space()),
        embedding=np.eye(1, 256, dtype="<f4").tobytes(),
        net_ms=3000,
        snr_db=30,
    )
    return speaker


@pytest.fixture
def world(add_tone: AddTone) -> Iterator[World]:
    with override_settings(WHO_MAY_SEARCH="anyone", WHO_MAY_ADD="anyone"):
        yield World(add_tone)


TRACKS = {
    *("track", "track-relisten", "track-delete", "track-similar", "track-voices"),
    "track-stretch",
    *("track-detail", "api-track-audio", "api-track-peaks", "api-track-similar"),
}
CLUSTERS = {
    *("duplicate-detail", "duplicate-keep", "duplicate-dismiss"),
    *("duplicates-keep", "duplicates-dismiss", "duplicates-undo"),
}
"""Of a public track that is a duplicate of the private one alone."""
COLLECTIONS = {"collection-detail"}
SPEAKERS = {
    *("speaker", "speaker-enrol", "speaker-erase", "enrolment-remove"),
    *("speaker-detail", "speaker-enrolments", "speaker-enrolment"),
}
OPEN = {
    *("search-result", "search-clip", "search-forget", "search-answer", "search-add"),
    *("measurement", "measurement-apply"),
    *("scan", "scan-forget", "scan-download", "scan-detail", "scan-play-log"),
    *("measurement-plot", "account-token-revoke", "account-session-end"),
}
"""Addresses of things that are not private themselves; what they show of tracks is tested below."""


def test_every_address_with_a_parameter_is_accounted_for() -> None:
    taking = {name for name, taken in routes().items() if taken}
    ours = {name for name in taking if not name.startswith("admin:")}
    forgotten = ours - TRACKS - CLUSTERS - COLLECTIONS - SPEAKERS - OPEN
    assert not forgotten, f"Say in this file who may see what is at {forgotten}."
    assert ours >= TRACKS | CLUSTERS | COLLECTIONS | SPEAKERS | OPEN


@pytest.mark.parametrize("role", ["anonymous", "outsider"])
@pytest.mark.parametrize("name", sorted(TRACKS | CLUSTERS | COLLECTIONS | SPEAKERS))
def test_a_private_thing_answers_like_one_that_never_was(
    world: World, name: str, role: str
) -> None:
    pk = world.private.pk if name in COLLECTIONS else world.track.pk
    if name in SPEAKERS:
        pk = world.speaker.pk
    if name in CLUSTERS:
        pk = world.cluster
    further = [1] if "enrolment_id" in routes()[name] or name == "enrolment-remove" else []
    client = world.client(role)
    for method in METHODS:
        paths = [reverse(name, args=[each, *further]) for each in (pk, MISSING)]
        answers = [_ask(client, method, path) for path in paths]
        private, missing = (_normal(answer, pk) for answer in answers)
        assert private == missing, (name, method)
        assert answers[0].status_code in (302, 401, 403, 404, 405), (name, method)
    world.track.refresh_from_db()
    assert world.track.title == "xsecrettitle"


@pytest.mark.parametrize("role", ["anonymous", "outsider"])
def test_no_address_tells_of_what_is_private(
    world: World, role: str, clip: Callable[..., Path]
) -> None:
    client = world.client(role)
    shared = world.shared_search(clip(400, 3))
    for name, taken in routes().items():
        arguments = {key: _argument(world, shared, name, key) for key in taken}
        for method in METHODS:
            _assert_silent(_ask(client, method, reverse(name, kwargs=arguments)), name)
    assert Track.objects.filter(pk=world.track.pk, title="xsecrettitle").exists()


def _argument(world: World, shared: Search, name: str, key: str) -> Any:
    if name.startswith("scan"):
        return {"pk": uuid4(), "kind": "csv"}[key]  # another's is no other: see test_scans.py
    if name.startswith("search-"):
        return shared.pk
    if name in CLUSTERS:
        return world.cluster
    if "speaker" in name and key == "pk":
        return world.speaker.pk
    texts = {"app_label": "catalog", "url": "nowhere/", "name": "det", "number": uuid4()}
    return texts.get(key, world.private.pk if name in COLLECTIONS else world.track.pk)


def _ask(client: Client, method: str, path: str) -> Any:
    return getattr(client, method)(path)


def _body(answer: Any) -> str:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return content.decode(errors="replace")


def _normal(answer: HttpResponse, pk: int) -> tuple[int, str, str]:
    """Status, address and body, without the id that was asked for, and without CSRF tokens."""
    numbers = re.compile(rf"\b({pk}|{MISSING})\b")
    body = re.sub(r'csrfmiddlewaretoken" value="[^"]*"', "", _body(answer))
    return (
        answer.status_code,
        numbers.sub("N", answer.get("Location", "")),
        numbers.sub("N", body),
    )


def _assert_silent(answer: Any, where: str) -> None:
    told = (_body(answer) + str(answer.headers)).lower()
    for secret in SECRETS:
        assert secret not in told, f"{where} tells of {secret}"


@pytest.mark.parametrize("role", ["anonymous", "outsider"])
def test_lists_and_counts_leave_it_out(world: World, role: str) -> None:
    client = world.client(role)

    def fetch(path: str) -> Any:
        return client.get(f"/api/v1/{path}").json()

    assert fetch("tracks/")["count"] == 2
    assert fetch("tracks/?q=xsecrettitle")["count"] == 0
    assert fetch("tracks/?tag=xsecrettag")["count"] == 0
    assert fetch(f"tracks/?sha256={world.track.sha256}")["count"] == 0
    assert fetch("collections/")["count"] == 0
    assert [tag["name"] for tag in fetch("tags/")["results"]] == ["low"]
    assert fetch("spaces/")["results"][0]["progress"]["ready"] == 2
    assert "2 recordings" in client.get("/library/").content.decode()
    asked = client.get(f"/api/v1/tracks/?collection={world.private.pk}")
    absent = client.get(f"/api/v1/tracks/?collection={MISSING}")
    assert asked.status_code == absent.status_code
    assert _body(asked) == _body(absent)
    assert fetch(f"tracks/{world.public[0].pk}/")["speaker"] is None
    assert [row["speaker"] for row in fetch("tracks/")["results"]] == [None, None]
    own = client.patch(
        f"/api/v1/tracks/{add_own(world).pk}/", {"speaker": world.speaker.pk}, "application/json"
    )
    if role == "outsider":
        assert fetch("speakers/")["count"] == 0
        assert own.json()["error"]["details"] == {
            "speaker": [f'Invalid pk "{world.speaker.pk}" - object does not exist.']
        }


@pytest.mark.parametrize("role", ["anonymous", "outsider"])
def test_searches_do_not_find_it(world: World, role: str, clip: Callable[..., Path]) -> None:
    client = world.client(role)
    with clip(400, 3).open("rb") as file:
        found = client.post("/api/v1/search/", {"file": file}).json()
    assert [hit["track"]["id"] for hit in found["hits"]] == [one.pk for one in world.public]
    for body in (
        {"collection": [world.private.pk]},
        {"tags": ["xsecrettag"]},
        {"min_duration_ms": 10**6},
    ):
        asked = {"track": world.public[0].pk, **body}
        answer = client.post("/api/v1/search/", asked, "application/json").json()
        assert not answer["hits"]
        assert answer["explanation"]["searchable"] == 1, "the private one is not counted"
        assert answer["explanation"]["filters"][0]["alone"] == 0
        assert "xsecretplace" not in str(answer)
    by_track = client.post("/api/v1/search/", {"track": world.track.pk}, "application/json")
    missing = client.post("/api/v1/search/", {"track": MISSING}, "application/json")
    assert _normal(by_track, world.track.pk) == _normal(missing, world.track.pk)
    assert by_track.status_code == 404
    with clip(400, 3).open("rb") as file:
        page = client.post("/", {"clip": file, "top_k": 10}, follow=True)
    assert page.context["result"]["hits"]
    _assert_silent(page, "the page of hits")


def test_a_shared_search_shows_to_each_what_they_may_see(
    world: World, clip: Callable[..., Path]
) -> None:
    shared = world.shared_search(clip(400, 3))
    for role, seen in (("insider", 3), ("curator", 3), ("outsider", 2), ("anonymous", 2)):
        page = world.client(role).get(f"/searches/{shared.pk}/")
        assert len(page.context["result"]["hits"]) == seen, role


def test_insiders_and_curators_find_it(world: World, clip: Callable[..., Path]) -> None:
    for role in ("insider", "curator"):
        client = world.client(role)
        with clip(400, 3).open("rb") as file:
            found = client.post("/api/v1/search/", {"file": file}).json()
        assert "xsecrettitle" in [hit["track"]["title"] for hit in found["hits"]]
        for name in TRACKS - {"track-delete", "track-relisten"}:
            assert client.get(reverse(name, args=[world.track.pk])).status_code == 200, name
        cluster = client.get(reverse("duplicate-detail", args=[world.cluster]))
        assert "xsecrettitle" in cluster.content.decode()
        assert client.get("/api/v1/tracks/").json()["count"] == 3
        assert "xsecretplace (private to insiders)" in client.get("/library/").content.decode()
        assert client.get("/api/v1/collections/").json()["results"][0]["audience"] == "insiders"


def test_the_index_itself_leaves_it_out(world: World) -> None:
    """top_k nearer private tracks would otherwise take the places of those that may be found."""
    asked = SearchSettings(top_k=1)
    first = world.public[0]
    hits = similar_to_track(track_id=first.pk, asked=asked, by=world.users["outsider"]).hits
    assert [hit.track.id for hit in hits] == [world.public[1].pk]
    hits = similar_to_track(track_id=first.pk, asked=asked, by=world.users["insider"]).hits
    assert [hit.track.id for hit in hits] == [world.track.pk]


def test_leaving_the_group_takes_effect_at_once(world: World) -> None:
    insider = world.users["insider"]
    client = world.client("insider")
    address = reverse("api-track-audio", args=[world.track.pk])
    assert client.get(address).status_code == 200
    insider.groups.clear()
    assert client.get(address).status_code == 404
    assert client.get("/api/v1/tracks/").json()["count"] == 2


def test_a_collection_becomes_private_and_public_again(world: World) -> None:
    client, curator = world.client("outsider"), world.client("curator")
    made = curator.post("/api/v1/collections/", {"name": "Field"}, "application/json").json()
    path = f"/api/v1/collections/{made['id']}/"
    shared = world.public[0]
    edit_track(track=shared, changes={"collection": Collection.objects.get(pk=made["id"])})
    for audience, status in (("insiders", 404), (None, 200)):
        done = curator.patch(path, {"audience": audience}, "application/json")
        assert done.status_code == 200
        assert done.json()["audience"] == audience
        assert client.get(f"/api/v1/tracks/{shared.pk}/").status_code == status
        asked = SearchSettings()
        hits = similar_to_track(track_id=world.public[1].pk, asked=asked, by=None).hits
        assert shared.pk in [hit.track.id for hit in hits]
        by = world.users["outsider"]
        hits = similar_to_track(track_id=world.public[1].pk, asked=asked, by=by).hits
        assert (shared.pk in [hit.track.id for hit in hits]) == (status == 200)


def test_the_same_bytes_may_be_added_by_who_does_not_know_of_them(
    world: World, tmp_path: Path
) -> None:
    path = write_audio(tmp_path / "mine.wav", tone(3, 400))
    added = add_track(source=path, name="mine.wav", added_by=world.users["outsider"])
    assert added.created
    assert added.track.sha256 == world.track.sha256
    assert added.track.pk != world.track.pk
    for knows in (world.users["insider"], None):
        again = add_track(source=path, name="mine.wav", added_by=knows)
        assert not again.created
    work()
    with pytest.raises(Conflict, match="already"):
        edit_track(track=world.track, changes={"collection": None})
    with pytest.raises(Conflict, match="already"):
        edit_tracks(track_ids=[world.track.pk], changes={"collection": None})
    world.private.audience = None
    with pytest.raises(Conflict, match="already"):
        save_collection(world.private, ["audience"])
    world.track.refresh_from_db()
    assert world.track.audience == world.group
    answer = world.client("curator").patch(
        f"/api/v1/tracks/{world.track.pk}/", {"collection": None}, "application/json"
    )
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "conflict"


def test_a_private_collection_is_not_deleted_over_its_tracks(world: World) -> None:
    with pytest.raises(Conflict, match="private"):
        delete_collection(world.private)
    curator = world.client("curator")
    refused = curator.delete(f"/api/v1/collections/{world.private.pk}/")
    assert refused.status_code == 409
    curator.post(
        reverse("admin:catalog_collection_delete", args=[world.private.pk]), {"post": "yes"}
    )
    assert Track.objects.get(pk=world.track.pk).collection == world.private


def test_nobody_gets_into_a_collection_they_do_not_see(world: World) -> None:
    own = add_own(world)
    outsider = world.client("outsider")
    for pk in (world.private.pk, MISSING):
        answer = outsider.patch(f"/api/v1/tracks/{own.pk}/", {"collection": pk}, "application/json")
        assert answer.status_code == 400
        assert answer.json()["error"]["details"] == {
            "collection": [f'Invalid pk "{pk}" - object does not exist.']
        }
    with pytest.raises(Conflict) as hidden:
        get_or_create_collection("xsecretplace", by=world.users["outsider"])
    with pytest.raises(Conflict) as missing:
        get_or_create_collection("nowhere", by=world.users["outsider"])
    assert str(hidden.value) == str(missing.value).replace("nowhere", "xsecretplace")


def test_a_name_means_the_private_collection(world: World) -> None:
    """A public one of the same name would else divert what is added by name."""
    public = Collection.objects.create(name="xsecretplace")
    for by, meant in (
        (world.users["outsider"], public),
        (world.users["insider"], world.private),
        (world.users["curator"], world.private),
        (None, world.private),
    ):
        assert get_or_create_collection("xsecretplace", by=by) == meant
    others = Group.objects.create(name="others")
    second = Collection.objects.create(name="xsecretplace", audience=others)
    assert get_or_create_collection("xsecretplace", by=world.users["insider"]) == world.private
    with pytest.raises(Conflict, match="write which one in full"):
        get_or_create_collection("xsecretplace")
    assert get_or_create_collection("xsecretplace (private to others)") == second


def test_an_import_by_name_is_not_diverted(world: World, tmp_path: Path) -> None:
    Collection.objects.create(name="xsecretplace")
    path = write_audio(tmp_path / "own.wav", tone(1, 900))
    call_command("import", str(path), collection="xsecretplace", user="insider", stdout=StringIO())
    assert Track.objects.get(original_name="own.wav").collection == world.private
    with pytest.raises(CommandError, match="no collection “Mine” yet"):
        call_command("import", str(path), collection="Mine", user="outsider")


@pytest.mark.parametrize(("role", "made"), [("anonymous", 0), ("outsider", 0), ("curator", 1)])
def test_page_and_api_agree_on_who_makes_collections(
    world: World, tmp_path: Path, role: str, made: int
) -> None:
    client = world.client(role)
    assert ("new_collection" in client.get("/add/").content.decode()) == bool(made)
    with write_audio(tmp_path / "own.wav", tone(1, 900)).open("rb") as file:
        page = client.post("/add/", {"files": file, "new_collection": "By page"})
    client.post("/api/v1/collections/", {"name": "By API"}, "application/json")
    for name in ("By page", "By API"):
        assert Collection.objects.filter(name=name).count() == made
    assert made or "ask a curator to make it" in page.content.decode()


def add_own(world: World) -> Track:
    """A track that the outsider added."""
    track = world.public[0]
    Track.objects.filter(pk=track.pk).update(added_by=world.users["outsider"])
    return track


def test_a_collection_that_became_private_meanwhile_takes_nothing_from_outside(
    world: World, tmp_path: Path
) -> None:
    """It was public when the form was checked; while the file was decoded it became private."""
    outsider = world.users["outsider"]
    path = write_audio(tmp_path / "late.wav", tone(1, 700))
    with pytest.raises(Conflict):
        add_track(source=path, name="late.wav", added_by=outsider, collection=world.private)
    same = write_audio(tmp_path / "same.wav", tone(3, 400))
    with pytest.raises(Conflict):
        add_track(source=same, name="same.wav", added_by=outsider, collection=world.private)
    with pytest.raises(Conflict):
        edit_track(track=world.public[0], changes={"collection": world.private}, by=outsider)
    assert Track.objects.count() == 3


def test_renaming_does_not_undo_what_another_curator_did(world: World) -> None:
    seen_before = Collection.objects.get(pk=world.private.pk)
    seen_before.audience = None  # as it was when a form was opened
    seen_before.description = "new"
    save_collection(seen_before, ["description"])
    kept = Collection.objects.get(pk=world.private.pk)
    assert (kept.audience, kept.description) == (world.group, "new")
    world.track.refresh_from_db()
    assert world.track.audience == world.group


def test_a_kept_search_shows_tracks_as_they_are_now(
    world: World, clip: Callable[..., Path]
) -> None:
    shared = world.shared_search(clip(400, 3))
    changes = {"title": "tidy", "artist": "", "collection": None}
    edit_track(track=world.track, changes=changes, tags=[])
    page = world.client("outsider").get(f"/searches/{shared.pk}/")
    assert "tidy" in [hit["track"]["title"] for hit in page.context["result"]["hits"]]
    _assert_silent(page, "a kept search")
