"""What follows when names change and tracks are analysed again, and what must not."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.analysis import queueing, worker
from apps.analysis.index import get_index
from apps.analysis.models import Space, TrackAnalysis
from apps.analysis.queueing import reanalyze
from apps.analysis.representations import forget_kept, load_kept
from apps.analysis.spaces import ensure_spaces
from apps.analysis.sync import sync_changes
from apps.analysis.worker import work
from apps.catalog.models import Tag, Track
from apps.catalog.services.tags import delete_tags, rename_tag
from apps.jobs.models import State
from apps.search.results import SearchSettings
from apps.search.services import similar_to_track
from apps.voices.holdings import sync_soon
from apps.voices.models import Enrolment, Speaker
from audiosearch.engine.analyzers.base import Embeddings
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 2_500


@pytest.fixture
def upserts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The spaces whose vectors were written, one for each time."""
    index, written = get_index(), list[str]()
    upsert = index.upsert

    def noted(space: str, entries: Any) -> None:
        written.append(space)
        upsert(space, entries)

    monkeypatch.setattr(index, "upsert", noted)
    return written


def many_tagged(name: str) -> Tag:
    """A tag that many tracks carry, all of them ready."""
    ensure_spaces()
    tag, space = Tag.objects.create(name=name), Space.objects.get(name="fake-v1")
    known = {"duration_ms": 1, "sample_rate": 1, "channels": 1, "size_bytes": 1}
    tracks = Track.objects.bulk_create(
        Track(title=f"{number}", sha256=f"{number:064}", file=f"{number}", **known)
        for number in range(MANY)
    )
    TrackAnalysis.objects.bulk_create(
        TrackAnalysis(track=track, space=space, state=State.READY, windows=1) for track in tracks
    )
    through = Track.tags.through
    through.objects.bulk_create(through(track=track, tag=tag) for track in tracks)
    return tag


@pytest.mark.parametrize("change", ["rename", "delete"])
def test_a_tag_of_many_tracks_takes_three_queries_a_thousand(
    change: str, upserts: list[str]
) -> None:
    tag = many_tagged("before")
    tag.name = "after"
    with CaptureQueriesContext(connection) as asked:
        rename_tag(tag) if change == "rename" else delete_tags([tag])
    updates = [each["sql"] for each in asked if each["sql"].startswith("UPDATE")]
    thousands = -(-MANY // 1000)
    assert len(updates) == 3 * thousands + (change == "rename")
    assert len(asked) < 3 * thousands + 10
    assert upserts == []
    rows = TrackAnalysis.objects.filter(index_stale=True, payload_version=1)
    assert rows.count() == MANY


def test_a_renamed_tag_reaches_the_index_by_a_worker(add_tone: AddTone, upserts: list[str]) -> None:
    one, two = add_tone(440), add_tone(450, tags=["bell"])
    del upserts[:]

    def found(name: str) -> list[int]:
        asked = SearchSettings(tags=(name,))
        hits = similar_to_track(track_id=one.pk, asked=asked, by=None).hits
        return [hit.track.id for hit in hits]

    tag = Tag.objects.get(name="bell")
    tag.name = "gong"
    rename_tag(tag)
    assert upserts == []
    assert (found("bell"), found("gong")) == ([two.pk], [])
    assert sync_changes() == 3  # its vectors, its landmarks and its tune
    assert (found("bell"), found("gong")) == ([], [two.pk])
    assert sync_changes() == 0


@pytest.mark.parametrize("by", ["page", "api", "console"])
def test_renaming_a_speaker_touches_no_track_and_no_vector(
    by: str, add_tone: AddTone, curator: Client, upserts: list[str]
) -> None:
    track = add_tone(440)
    speaker = Speaker.objects.create(
        name="Ada", groups=["crew"], consent_by="Ada", consent_on=date(2026, 1, 1)
    )
    Track.objects.filter(pk=track.pk).update(speaker=speaker)
    voice = np.eye(1, 256, dtype="<f4").tobytes()
    space = Space.objects.get(kind="speaker")
    Enrolment.objects.create(
        speaker=speaker, track=track, space=space, embedding=voice, net_ms=5000, snr_db=30.0,
        index_stale=True,
    )  # fmt: skip
    sync_soon()
    del upserts[:]
    before = [list(model.objects.values()) for model in (Track, TrackAnalysis, Enrolment)]
    form = {"name": "Ada L.", "groups": "crew", "consent_by": "Ada", "consent_on": "2026-01-01"}
    if by == "page":
        answer = curator.post(f"/voices/speakers/{speaker.pk}/", form)
    elif by == "console":
        answer = curator.post(f"/admin/voices/speaker/{speaker.pk}/change/", form)
    else:
        body = {"name": "Ada L."}
        answer = curator.patch(f"/api/v1/speakers/{speaker.pk}/", body, "application/json")
    assert answer.status_code in (200, 302), answer.content
    assert Speaker.objects.get().name == "Ada L."
    after = [list(model.objects.values()) for model in (Track, TrackAnalysis, Enrolment)]
    assert after == before
    assert upserts == []


def test_a_worker_in_between_does_not_keep_old_vectors(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when the kept vectors are about to be deleted, and takes what is queued by then."""
    track = add_tone(440)
    analysed: list[str] = []
    add = worker.Pipeline.add

    def noted(pipeline: worker.Pipeline, recording: worker.Recording) -> None:
        analysed.extend(each.spec.kind for each in recording.analyzers.values())
        add(pipeline, recording)

    def deleted_late(space: str, track_id: int) -> None:
        work()
        forget_kept(space, track_id)

    monkeypatch.setattr(worker.Pipeline, "add", noted)
    monkeypatch.setattr(queueing, "forget_kept", deleted_late)
    assert reanalyze([track.pk]) == 1
    assert work() == 1
    assert sorted(analysed) == ["embedding", "landmarks", "melody", "waveform"]
    assert len(load_kept("fake-v1", track.pk, Embeddings).spans) == 1


def test_an_edit_while_tracks_are_synced_is_not_lost(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the rows and noting that the index knows them, one changes again."""
    one, two = add_tone(440), add_tone(450, tags=["first"])
    index, tag = get_index(), Tag.objects.get(name="first")
    upsert = index.upsert

    def then_renamed(space: str, entries: Any) -> None:
        upsert(space, entries)
        tag.name = "third"
        rename_tag(tag)

    tag.name = "second"
    rename_tag(tag)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(index, "upsert", then_renamed)
        sync_changes()
    assert set(TrackAnalysis.objects.filter(index_stale=True).values_list("track", flat=True)) == {
        two.pk
    }
    sync_changes()
    hits = similar_to_track(track_id=one.pk, asked=SearchSettings(tags=("third",)), by=None).hits
    assert [hit.track.id for hit in hits] == [two.pk]
    assert sync_changes() == 0
