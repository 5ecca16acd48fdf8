"""Landmarks of tracks: analysed, indexed, filtered, erased and built anew as vectors are."""

from typing import Any

import pytest

from apps.analysis.drift import find_drift
from apps.analysis.index import get_landmark_index
from apps.analysis.models import Space, TrackAnalysis
from apps.analysis.reconcile import reconcile, reindex
from apps.analysis.representations import load_kept
from apps.analysis.sync import sync_changes
from apps.catalog.models import Collection, Track
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.editing import edit_track
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.indexes.filters import TrackFilter
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
SPACE = "landmarks-v1"


def held(**where: Any) -> int:
    return get_landmark_index().count_items(SPACE, TrackFilter(**where))


def test_a_track_is_analysed_found_and_erased(add_tone: AddTone) -> None:
    one, two = add_tone(440, 4), add_tone(880, 4)
    kept = load_kept(SPACE, one.pk, Landmarks)
    row = TrackAnalysis.objects.get(track=one, space__name=SPACE)
    assert row.windows == len(kept.frames) > 0
    assert held() == 2
    assert find_drift() == []
    delete_tracks([one.pk])
    assert held() == 1
    assert set(get_landmark_index().item_lengths(SPACE)) == {two.pk}


def test_what_is_edited_reaches_the_filters(add_tone: AddTone) -> None:
    track = add_tone(440, 4)
    group = Collection.objects.create(name="Bells")
    edit_track(track=Track.objects.get(pk=track.pk), changes={"collection": group}, tags=["bell"])
    sync_changes()
    assert held(tags=("bell",)) == held(collection_ids=(group.pk,)) == 1
    assert held(exclude_collection_ids=(group.pk,)) == 0


def test_a_lost_index_is_built_anew_from_what_is_kept(add_tone: AddTone) -> None:
    add_tone(440, 4)
    get_landmark_index().drop_space(SPACE)
    reconcile()
    assert held() == 1
    reindex(Space.objects.get(name=SPACE))
    assert held() == 1
    assert find_drift() == []
