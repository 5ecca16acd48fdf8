"""With Redis, "more like this" asks the database nothing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.cache import cache
from django.test import override_settings

from apps.analysis.worker import work
from apps.catalog import id_map
from apps.catalog.models import Collection
from apps.catalog.selectors import hidden_collections
from apps.catalog.services.adding import add_track
from apps.catalog.services.collections import save_collection
from apps.catalog.services.editing import edit_track
from apps.search.results import SearchSettings
from apps.search.services import similar_to_track
from tests.audio_files import tone, write_audio
from tests.searching import search_by_clip


@pytest.fixture
def with_redis(redis_url: str) -> Iterator[None]:
    id_map._client.cache_clear()
    with override_settings(REDIS_URL=redis_url):
        yield
    id_map._client.cache_clear()
    cache.clear()


@pytest.mark.django_db(transaction=True)
def test_the_hot_path_asks_the_database_nothing(
    with_redis: None,
    tmp_path: Path,
    django_assert_num_queries: Callable[[int], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(id_map, "UNSURE_S", 1)
    paths = [write_audio(tmp_path / f"{hz}.wav", tone(2, hz)) for hz in (400, 410, 3000)]
    tracks = [add_track(source=path, name=path.name).track for path in paths]
    work()
    time.sleep(1.1)  # until what was listened to is trusted again
    asked = SearchSettings(top_k=5)
    cold = similar_to_track(track_id=tracks[0].pk, asked=asked, by=None)
    with django_assert_num_queries(0):
        warm = similar_to_track(track_id=tracks[0].pk, asked=asked, by=None)
    assert warm.hits == cold.hits
    assert len(warm.hits) == 2
    search_by_clip(clip=paths[0], name="clip", asked=asked, by=None)
    with django_assert_num_queries(0):
        assert len(search_by_clip(clip=paths[0], name="clip", asked=asked, by=None).hits) == 3


@pytest.mark.django_db(transaction=True)
def test_what_was_read_before_a_change_is_not_kept(with_redis: None, tmp_path: Path) -> None:
    """A search that reads a track while it becomes private must not go on showing it."""
    path = write_audio(tmp_path / "400.wav", tone(2, 400))
    track = add_track(source=path, name="before").track
    read_before = id_map._from_database([track.pk])
    edit_track(track=track, changes={"title": "after"})
    id_map._keep(read_before, set())
    assert id_map.cards_of([track.pk])[track.pk].title == "after"


@pytest.mark.django_db(transaction=True)
def test_a_collection_that_becomes_private_is_hidden_at_once(with_redis: None) -> None:
    nobody = AnonymousUser()
    collection = Collection(name="Field")
    save_collection(collection)
    assert hidden_collections(nobody) == ()
    collection.audience = Group.objects.create(name="insiders")
    save_collection(collection, ["audience"])
    assert hidden_collections(nobody) == (collection.pk,)
    insider = User.objects.create_user("insider")
    insider.groups.add(collection.audience)
    assert hidden_collections(insider) == ()
    collection.audience = None
    save_collection(collection, ["audience"])
    assert hidden_collections(nobody) == ()
