"""With Redis, "more like this" asks the database nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from apps.catalog import id_map
from apps.catalog.adding import add_track
from apps.catalog.listening import work
from apps.search.results import SearchSettings
from apps.search.services import search_by_clip, similar_to_track
from tests.audio_files import tone, write_audio


@pytest.fixture
def with_redis(redis_url: str) -> Iterator[None]:
    id_map._client.cache_clear()
    with override_settings(REDIS_URL=redis_url):
        yield
    id_map._client.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_the_hot_path_asks_the_database_nothing(
    with_redis: None, tmp_path: Path, django_assert_num_queries: Callable[[int], Any]
) -> None:
    paths = [write_audio(tmp_path / f"{hz}.wav", tone(2, hz)) for hz in (400, 410, 3000)]
    tracks = [add_track(source=path, name=path.name).track for path in paths]
    work()
    asked = SearchSettings(top_k=5)
    cold = similar_to_track(track_id=tracks[0].pk, asked=asked)
    with django_assert_num_queries(0):
        warm = similar_to_track(track_id=tracks[0].pk, asked=asked)
    assert warm.hits == cold.hits
    assert len(warm.hits) == 2
    search_by_clip(clip=paths[0], name="clip", asked=asked)
    with django_assert_num_queries(0):
        assert len(search_by_clip(clip=paths[0], name="clip", asked=asked).hits) == 3
