"""The admin console: every page, and that what it changes reaches the index."""

from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.analysis.index import get_index
from apps.analysis.models import Space, TrackAnalysis
from apps.analysis.sync import sync_changes
from apps.catalog.models import Collection, Tag, Track
from apps.search.results import SearchSettings
from apps.search.services import similar_to_track
from tests.audio_files import tone, write_audio
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
TRACKS = "/admin/catalog/track/"


@pytest.fixture
def curator(transactional_db: None) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("curator"))
    return client


def act(client: Client, action: str, ids: list[int], **fields: object) -> object:
    return client.post(TRACKS, {"action": action, "_selected_action": ids, **fields})


def tagged(track: Track, tag: str) -> list[int]:
    hits = similar_to_track(track_id=track.pk, asked=SearchSettings(tags=(tag,)), by=None).hits
    return [hit.track.id for hit in hits]


def test_every_page_answers(curator: Client, add_tone: AddTone) -> None:
    track = add_tone(400, tags=["x"], collection=Collection.objects.create(name="C"))
    pages = [
        "/admin/",
        *(f"/admin/catalog/{name}/" for name in ("track", "collection", "tag")),
        "/admin/search/search/",
        "/admin/voices/speaker/",
        "/admin/analysis/space/",
        f"{TRACKS}{track.pk}/change/",
        f"{TRACKS}add/",
        f"{TRACKS}?q=400&state=ready&kind__exact=sound",
        "/admin/analysis/space/?drift=1",
    ]
    for address in pages:
        answer = curator.get(address)
        assert answer.status_code == 200, address
    assert "audio-player" in curator.get(TRACKS).content.decode()
    assert "They agree" in curator.get("/admin/analysis/space/?drift=1").content.decode()
    stranger = Client()
    stranger.force_login(get_user_model().objects.create_user("member"))
    assert all(stranger.get(address).status_code == 302 for address in pages)


def test_the_list_asks_a_fixed_number_of_queries(curator: Client, add_tone: AddTone) -> None:
    add_tone(400, tags=["a"])
    curator.get(TRACKS)
    with CaptureQueriesContext(
        connection,
    ) as one:
        curator.get(TRACKS)
    for hz in range(500, 1000, 50):
        add_tone(hz, tags=["a", "b"])
    with CaptureQueriesContext(connection) as many:
        curator.get(TRACKS)
    assert len(many) <= len(one) + 1


def test_actions_reach_the_index(curator: Client, add_tone: AddTone) -> None:
    one, two = add_tone(400), add_tone(410)
    collection = Collection.objects.create(name="C")
    asked = act(curator, "add_tags", [two.pk])
    assert b"1 track chosen" in asked.content  # type: ignore[attr-defined]
    act(curator, "add_tags", [two.pk], apply=1, tags="bell")
    assert tagged(one, "bell") == [two.pk]
    act(curator, "remove_tags", [two.pk], apply=1, tags="bell")
    assert tagged(one, "bell") == []
    act(curator, "move", [two.pk], apply=1, collection=collection.pk)
    found = similar_to_track(
        track_id=one.pk, asked=SearchSettings(collections=(collection.pk,)), by=None
    )
    assert len(found.hits) == 1
    act(curator, "listen_again", [two.pk])
    assert two.analyses.get(space__name="fake-v1").state == "queued"


def test_the_number_of_a_collection_leads_to_its_tracks(curator: Client, add_tone: AddTone) -> None:
    one, two = (Collection.objects.create(name=name) for name in ("One", "Two"))
    add_tone(400, listen=False, collection=one)
    page = curator.get("/admin/catalog/collection/").content.decode()
    assert f'href="{TRACKS}?collection={one.pk}"' in page
    listed = curator.get(TRACKS, {"collection": one.pk})
    assert listed.context["cl"].result_count == 1
    assert listed.context["cl"].has_active_filters
    assert curator.get(TRACKS, {"collection": two.pk}).context["cl"].result_count == 0


def test_a_tag_saved_as_it_was_changes_no_track(curator: Client, add_tone: AddTone) -> None:
    add_tone(400, tags=["bell"])
    tag = Tag.objects.get()
    assert curator.post(f"/admin/catalog/tag/{tag.pk}/change/", {"name": "bell"}).status_code == 302
    assert not TrackAnalysis.objects.filter(index_stale=True).exists()
    assert not TrackAnalysis.objects.filter(payload_version__gt=0).exists()


def test_deleting_removes_vectors_and_files(curator: Client, add_tone: AddTone) -> None:
    one, two, three = add_tone(400), add_tone(500), add_tone(600)
    asked = act(curator, "delete_selected", [one.pk, two.pk])
    assert b"Are you sure" in asked.content  # type: ignore[attr-defined]
    act(curator, "delete_selected", [one.pk, two.pk], post="yes")
    assert get_index().window_counts("fake-v1") == {three.pk: 1}
    curator.post(f"{TRACKS}{three.pk}/delete/", {"post": "yes"})
    assert get_index().window_counts("fake-v1") == {}
    assert not any(default_storage.exists(track.file.name) for track in (one, two, three))


def test_editing_goes_through_the_services(curator: Client, add_tone: AddTone) -> None:
    one, two = add_tone(400), add_tone(410)
    tag = Tag.objects.create(name="bell")
    fields = {"title": "New", "kind": "music", "tags": [tag.pk], "artist": "", "album": ""}
    answer = curator.post(f"{TRACKS}{two.pk}/change/", {**fields, "description": ""})
    assert answer.status_code == 302, answer.content
    two.refresh_from_db()
    assert (two.title, two.edited_fields) == ("New", ["kind", "title"])
    assert tagged(one, "bell") == [two.pk]
    curator.post(f"/admin/catalog/tag/{tag.pk}/change/", {"name": "gong"})
    sync_changes()
    assert (tagged(one, "bell"), tagged(one, "gong")) == ([], [two.pk])
    curator.post(f"/admin/catalog/tag/{tag.pk}/delete/", {"post": "yes"})
    sync_changes()
    assert tagged(one, "gong") == []


def test_adding_checks_the_file(curator: Client, tmp_path: Path, add_tone: AddTone) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"nonsense")
    good = write_audio(tmp_path / "good.wav", tone(1))
    with bad.open("rb") as file:
        assert (
            "not audio we can read"
            in curator.post(f"{TRACKS}add/", {"file": file}).content.decode()
        )
    for _ in range(2):
        with good.open("rb") as file:
            assert curator.post(f"{TRACKS}add/", {"file": file, "kind": ""}).status_code == 302
    assert Track.objects.get().title == "good"


def test_the_status_page_uses_encoders_and_mends(curator: Client, add_tone: AddTone) -> None:
    track = add_tone(400)
    status = "/admin/analysis/space/"
    get_index().delete_items("fake-v1", [track.pk])
    assert "missing in index" in curator.get(f"{status}?drift=1").content.decode()
    curator.post(status, {"mend": "1"})
    assert track.analyses.get(space__name="fake-v1").state == "queued"
    curator.post(status, {"use": "fake_two"})
    assert Space.objects.get(name="fake_two-v1").state == "building"
