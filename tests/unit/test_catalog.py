"""The life of a recording: added once, heard, edited, deleted, and mended after a crash."""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from apps.analysis import worker as listening
from apps.analysis.drift import find_drift, repair
from apps.analysis.index import get_index, track_payload
from apps.analysis.leasing import LONG_MS, lease_tracks
from apps.analysis.models import Space, TrackAnalysis
from apps.analysis.queueing import reanalyze
from apps.analysis.reconcile import reconcile
from apps.analysis.representations import (
    forget_kept,
    kept_name,
    load_kept,
)
from apps.analysis.spaces import active_space, use_analyzer
from apps.analysis.sync import sync_changes
from apps.analysis.writing import Bulk, Finished
from apps.catalog.models import Collection, Removal, Tag, Track
from apps.catalog.services import finding
from apps.catalog.services.adding import add_track
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.editing import edit_track, edit_tracks
from apps.jobs.leases import requeue_lost
from apps.jobs.models import State
from apps.search.results import SearchSettings
from apps.search.services import similar_to_track
from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.analyzers.waveform.peaks import WaveformPeaks
from audiosearch.engine.errors import AudioError, IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.base import Entry
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.payloads import Layout
from tests.audio_files import noise, tone, write_audio
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)


def lease(limit: int = 1, **options: Any) -> dict[int, list[TrackAnalysis]]:
    return lease_tracks(Space.objects.values_list("pk", flat=True), limit, **options)


def leased(limit: int, **options: Any) -> list[int]:
    return sorted(lease(limit, **options))


def embedding_of(track: Track) -> TrackAnalysis:
    return TrackAnalysis.objects.get(track=track, space__name="fake-v1")


def test_a_track_knows_what_its_file_says(tmp_path: Path) -> None:
    tags = {"title": "Song", "artist": "Band", "album": "Record"}
    path = write_audio(tmp_path / "x.mp3", tone(2), tags=tags)
    track = add_track(source=path, name="folder/track 01.mp3").track
    assert (track.title, track.artist, track.album, track.kind) == (
        "Song",
        "Band",
        "Record",
        "music",
    )
    assert track.original_name == "track 01.mp3"
    assert (track.format, track.sample_rate, track.channels) == ("MP3", 32000, 1)
    assert track.edited_fields == []
    assert default_storage.exists(track.file.name)


def test_what_a_person_wrote_wins_over_the_file(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "x.flac", tone(1), tags={"title": "Song"})
    track = add_track(
        source=path, name="x.flac", fields={"title": "Mine"}, tags=["A  b", "a b"]
    ).track
    assert track.title == "Mine"
    assert track.edited_fields == ["title"]
    assert [tag.name for tag in track.tags.all()] == ["a b"]


def test_the_same_bytes_are_one_track(tmp_path: Path, add_tone: AddTone) -> None:
    first = add_tone(440)
    path = write_audio(tmp_path / "again.wav", tone(2, 440))
    again = add_track(source=path, name="other name.wav")
    assert again.track == first
    assert not again.created
    assert listening.work() == 0
    assert len(list(Path(default_storage.path("tracks")).rglob("*.wav"))) == 1


@pytest.mark.parametrize("content", [b"", b"not audio at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_is_refused_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"bad\.wav"):
        add_track(source=path, name="bad.wav")
    assert not Track.objects.exists()
    assert not default_storage.exists("tracks")


def test_listening_keeps_vectors_windows_peaks_and_tags(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "long.wav", noise(23))
    track = add_track(source=path, name="long.wav").track
    assert listening.work() == 1
    track.refresh_from_db()
    row = embedding_of(track)
    assert (row.state, row.windows, row.attempts) == (State.READY, 4, 0)
    spans = load_kept("fake-v1", track.pk, Embeddings).spans.tolist()
    assert spans == [[0, 10000], [5000, 15000], [10000, 20000], [13000, 23000]]
    assert get_index().window_counts("fake-v1") == {track.pk: 4}
    assert len(track.peaks) > 900
    assert track.auto_tags[0]["name"] in ("Low", "Middle", "High", "Highest")


def test_a_file_that_breaks_later_fails_in_words(tmp_path: Path, add_tone: AddTone) -> None:
    track = add_tone(440, listen=False)
    Path(default_storage.path(track.file.name)).write_bytes(b"RIFF0000WAVE")
    listening.work()
    for row in TrackAnalysis.objects.all():
        assert row.state == State.FAILED
        assert "damaged" in row.reason


def test_editing_changes_what_filters_find_at_once(add_tone: AddTone) -> None:
    one, two = add_tone(440), add_tone(450)
    collection = Collection.objects.create(name="C")
    asked = SearchSettings(tags=("bell",), collections=(collection.pk,))
    assert not similar_to_track(track_id=one.pk, asked=asked, by=None).hits
    edit_track(track=two, changes={"collection": collection, "title": "Two"}, tags=["Bell"])
    hits = similar_to_track(track_id=one.pk, asked=asked, by=None).hits
    assert [hit.track.title for hit in hits] == ["Two"]
    edit_tracks(track_ids=[two.pk], remove_tags=["bell"])
    assert not similar_to_track(track_id=one.pk, asked=asked, by=None).hits
    assert not TrackAnalysis.objects.filter(index_stale=True).exists()


@pytest.mark.parametrize("changes", [{"add_tags": ["a"]}, {"remove_tags": ["bell"]}])
def test_tagging_many_tells_when(add_tone: AddTone, changes: dict[str, list[str]]) -> None:
    track = add_tone(440, listen=False, tags=["bell"])
    edit_tracks(track_ids=[track.pk], **changes)
    now = Track.objects.get()
    assert now.updated_at > track.updated_at
    assert now.edited_fields == track.edited_fields


def test_a_deletion_that_is_undone_took_nothing(add_tone: AddTone) -> None:
    track = add_tone(440)
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        delete_tracks([track.pk])
        raise KeyboardInterrupt
    assert Track.objects.get() == track
    assert default_storage.exists(str(track.file.name))
    assert get_index().window_counts("fake-v1") == {track.pk: 1}


def test_an_edit_keeps_what_a_worker_wrote_meanwhile(add_tone: AddTone) -> None:
    early = add_tone(440, listen=False)
    stale = Track.objects.get(pk=early.pk)
    edit_track(track=Track.objects.get(pk=early.pk), changes={"artist": "A"})
    listening.work()
    edit_track(track=stale, changes={"title": "T"})
    track = Track.objects.get()
    assert len(track.peaks) > 900
    assert track.auto_tags
    assert (track.title, track.artist, track.edited_fields) == ("T", "A", ["artist", "title"])


def test_an_import_survives_every_bad_file(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    write_audio(folder / "good.wav", tone(1))
    (folder / "good.wav").rename(folder / os.fsdecode(b"caf\xe9.wav"))
    write_audio(folder / "other.wav", tone(1, 500))
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(write_audio(tmp_path / "a.wav", noise(1)), "folder/a.wav")
        archive.write(write_audio(tmp_path / "b.wav", noise(1, seed=1)), "folder/b.wav")
    damaged = bytearray(whole.read_bytes())
    damaged[200:260] = bytes(60)
    whole.write_bytes(bytes(damaged))
    out = io.StringIO()
    call_command("import", str(folder), str(whole), "--folder-tags", stdout=out)
    assert "3 added, 0 already there, 1 refused" in out.getvalue()
    assert "a.wav: It cannot be read" in out.getvalue()
    assert set(Track.objects.values_list("tags__name", flat=True)) == {"sounds", "folder"}
    again = io.StringIO()
    call_command("import", str(folder), stdout=again)
    assert "0 added, 2 already there" in again.getvalue()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("silence.wav", bytes(20_000_000))
    out = io.StringIO()
    call_command("import", str(bomb), stdout=out)
    assert "silence.wav: It is packed" in out.getvalue()
    monkeypatch.setattr(finding, "MAX_MEMBERS", 1)
    with zipfile.ZipFile(bomb, "a") as archive:
        archive.writestr("other.wav", b"")
    with pytest.raises(CommandError, match="2 files; the limit is 1"):
        call_command("import", str(bomb))


def test_a_space_that_was_given_up_waits_for_nothing(add_tone: AddTone) -> None:
    track = add_tone(440)
    use_analyzer("fake_two")
    listening.work()
    reanalyze([track.pk])
    assert TrackAnalysis.objects.get(space__name="fake-v1").state == State.READY
    assert listening.work() == 1


def test_deleting_leaves_nothing_anywhere(add_tone: AddTone) -> None:
    one, two = add_tone(440), add_tone(4000)
    assert delete_tracks([one.pk]) == 1
    assert get_index().window_counts("fake-v1") == {two.pk: 1}
    assert not default_storage.exists(one.file.name)
    assert not default_storage.exists(f"vectors/fake-v1/000000/{one.pk}.npz")
    assert not Removal.objects.exists()
    assert find_drift() == []


def test_a_delete_while_listening_leaves_nothing(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = add_tone(440, listen=False), add_tone(550, listen=False)
    prepare = listening.prepare

    def deleted_then(finished: list[Finished]) -> list[Bulk]:
        found = prepare(finished)
        delete_tracks([one.pk])
        return found

    monkeypatch.setattr(listening, "prepare", deleted_then)
    listening.work()
    assert set(get_index().window_counts("fake-v1")) == {two.pk}
    assert not default_storage.exists(kept_name("fake-v1", one.pk))


def test_work_goes_back_when_the_index_is_away(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was heard is not heard again."""
    add_tone(440, listen=False)

    upsert = get_index().upsert

    def away(space: str, entries: Any) -> None:
        if space == "fake-v1":  # of the others, one may be written before it is heard at all
            raise IndexUnavailable("It is away.")
        upsert(space, entries)

    with monkeypatch.context() as patch:
        patch.setattr(get_index(), "upsert", away)
        listening.work()
    row = TrackAnalysis.objects.get(space__name="fake-v1")
    assert (row.state, row.attempts, row.leased_by) == (State.QUEUED, 0, "")
    analysed: list[str] = []
    add = listening.Pipeline.add

    def add_waveforms(pipeline: listening.Pipeline, recording: listening.Recording) -> None:
        analysed.extend(each.spec.kind for each in recording.analyzers.values())
        add(pipeline, recording)

    with monkeypatch.context() as patch:
        patch.setattr(listening.Pipeline, "add", add_waveforms)
        assert listening.work() == 1
    assert "embedding" not in analysed
    assert all(len(track.peaks) > 900 and track.auto_tags for track in Track.objects.all())


def test_what_broke_off_is_heard_alone(add_tone: AddTone) -> None:
    """So that a file which kills its worker does not have its neighbours set aside."""
    tracks = [add_tone(400 + 10 * number, listen=False) for number in range(3)]
    TrackAnalysis.objects.filter(track=tracks[1], space__name="fake-v1").update(attempts=1)
    assert leased(9) == [tracks[0].pk, tracks[2].pk]
    assert leased(9, others=True) == []
    (rows,) = lease(9).values()
    assert {(row.track_id, row.space.kind) for row in rows} == {
        (tracks[1].pk, "embedding"),
        (tracks[1].pk, "landmarks"),
        (tracks[1].pk, "melody"),
        (tracks[1].pk, "waveform"),
    }
    assert max(row.attempts for row in rows) == 2


def test_long_recordings_leave_streams_to_short_ones(add_tone: AddTone) -> None:
    tracks = [add_tone(400 + 10 * number, listen=False) for number in range(4)]
    Track.objects.exclude(pk=tracks[3].pk).update(duration_ms=LONG_MS + 1)
    assert leased(9, long=2) == [tracks[0].pk, tracks[1].pk, tracks[3].pk]
    assert leased(9, long=0) == []
    assert leased(9) == [tracks[2].pk]


def _vectors():  # type: ignore[no-untyped-def]
    import numpy as np

    return np.eye(1, 32, dtype=np.float32), np.array([[0, 2000]])


def test_the_work_of_a_dead_worker_is_done_once_more(add_tone: AddTone) -> None:
    add_tone(440, listen=False)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (rows,) = lease().values()
    assert lease() == {}
    host = rows[0].leased_by.rpartition(":")[0]
    TrackAnalysis.objects.update(leased_by=f"{host}:{dead.pid}")
    reconcile()
    assert set(TrackAnalysis.objects.values_list("state", flat=True)) == {State.QUEUED}
    assert listening.work() == 1


def test_a_worker_without_heartbeat_loses_its_claim(add_tone: AddTone) -> None:
    add_tone(440, listen=False)
    lease()
    assert requeue_lost(TrackAnalysis) == 0
    TrackAnalysis.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert requeue_lost(TrackAnalysis) == 4


def test_what_breaks_off_three_times_is_set_aside(add_tone: AddTone) -> None:
    track = add_tone(440, listen=False)
    for _ in range(3):
        lease()
        TrackAnalysis.objects.update(
            leased_by="elsewhere:1", heartbeat_at=timezone.now() - timedelta(1)
        )
        requeue_lost(TrackAnalysis)
    assert embedding_of(track).state == State.FAILED
    reanalyze([track.pk])
    assert listening.work() == 1


def test_drift_is_found_and_mended(add_tone: AddTone) -> None:
    one, two, three = add_tone(440), add_tone(880), add_tone(1760)
    get_index().delete_items("fake-v1", [one.pk])
    forget_kept("fake-v1", two.pk)
    fields = track_payload(three)
    ghost = fields.__class__(**{**fields.__dict__, "track_id": 999})
    get_index().upsert("fake-v1", [Entry(ghost, _vectors()[0], [(0, 1)])])
    drifts = find_drift()
    assert sorted(drift.kind for drift in drifts) == [
        "missing in index",
        "unknown to database",
        "vectors missing",
    ]
    repair(drifts)
    listening.work()
    assert find_drift() == []


def test_a_lost_index_is_rebuilt_from_the_kept_vectors(add_tone: AddTone) -> None:
    one, two = add_tone(440), add_tone(450)
    get_index().drop_space("fake-v1")
    with pytest.raises(SpaceMissing):
        get_index().window_counts("fake-v1")
    reconcile()
    assert get_index().window_counts("fake-v1") == {one.pk: 1, two.pk: 1}


def test_a_space_that_outgrew_its_index_is_rebuilt_once(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = add_tone(440)
    index, rebuilt = get_index(), []
    rebuild = index.rebuild

    def edited_meanwhile(space: str, dimension: int, layout: Layout, all_: Iterable[Entry]) -> None:
        entries = list(all_)
        edit_track(track=track, changes={"kind": "music"})
        rebuild(space, dimension, layout, entries)
        rebuilt.extend(entry.payload.item_id for entry in entries)

    monkeypatch.setattr(index, "outgrown", lambda space: not rebuilt)
    monkeypatch.setattr(index, "rebuild", edited_meanwhile)
    reconcile()
    reconcile()
    assert rebuilt == [track.pk]
    assert not TrackAnalysis.objects.filter(index_stale=True).exists()
    assert index.count_items("fake-v1", TrackFilter(kinds=("music",))) == 1


def test_a_new_encoder_takes_over_in_one_step(add_tone: AddTone) -> None:
    one = add_tone(440)
    add_tone(450)
    space = use_analyzer("fake_two")
    assert not space.is_active
    assert active_space().name == "fake-v1"
    late = add_tone(460, listen=False)
    assert late.analyses.count() == 5
    assert (
        similar_to_track(track_id=one.pk, asked=SearchSettings(), by=None).query["space"]
        == "fake-v1"
    )
    listening.work()
    assert active_space().name == "fake_two-v1"
    found = similar_to_track(track_id=one.pk, asked=SearchSettings(), by=None)
    assert found.query["space"] == "fake_two-v1"
    assert len(found.hits) == 2
    assert Space.objects.filter(kind="embedding", state="active").count() == 1


def test_sync_index_without_changes_does_nothing(add_tone: AddTone) -> None:
    add_tone(440)
    assert sync_changes() == 0
    assert not Tag.objects.exists()


def test_a_new_version_of_an_analyzer_is_built_beside_the_old_one(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tone(440)
    monkeypatch.setattr(WaveformPeaks, "spec", replace(WaveformPeaks.spec, version=2))
    reconcile()
    assert active_space("waveform").name == "waveform-v1"
    listening.work()
    assert active_space("waveform").name == "waveform-v2"
    assert Space.objects.get(name="waveform-v1").state == "retired"
