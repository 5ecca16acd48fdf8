"""Duplicates in the catalogue: found, shown to whom they may be known, kept, undone, dismissed."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from apps.access.models import AuditEvent
from apps.analysis.drift import find_drift
from apps.analysis.index import get_landmark_index, index_entry
from apps.analysis.models import Space, TrackAnalysis
from apps.analysis.representations import keep
from apps.analysis.spaces import active_space, ensure_spaces
from apps.analysis.worker import work
from apps.catalog.models import Collection, Tag, Track
from apps.catalog.services.adding import add_track
from apps.catalog.services.collections import save_collection
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.retiring import KEPT_FOR
from apps.discovery import finding
from apps.discovery.clusters import cluster_ids
from apps.discovery.copies import propose
from apps.discovery.keeping import keep_copy, undo_keeping
from apps.discovery.models import DuplicatePair, KeptCopy, SearchedTrack
from apps.discovery.tasks import find, sweep
from apps.jobs.locks import exclusive
from apps.jobs.models import Lock, State
from apps.voices.embedding import voice_space
from apps.voices.erasing import erase_speaker, what_is_erased
from apps.voices.models import Enrolment, Speaker
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.errors import Conflict
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.payloads import TrackPayload
from tests.audio_files import write_audio
from tests.landmark_sounds import analysed, made_song

pytestmark = pytest.mark.django_db(transaction=True)
SPACE = "landmarks-v1"
SONG, OTHER = made_song(1, seconds=12), made_song(2, seconds=12)
SONGS, OTHERS = analysed(SONG), analysed(OTHER)


def new_track(title: str, **fields: Any) -> Track:
    """A track without a recording."""
    number = Track.objects.count() + 1
    told = {"duration_ms": 12_000, "sample_rate": 44_100, "channels": 2, "format": "MP3"}
    fields = {**told, "size_bytes": 200_000, "sha256": f"{number:064d}", **fields}
    name = default_storage.save(f"tracks/{title}.mp3", ContentFile(b"no sound"))
    return Track.objects.create(title=title, original_name=title, file=name, **fields)


def analysed_track(title: str, landmarks: Landmarks, **fields: Any) -> Track:
    """A track whose landmarks are kept and indexed."""
    ensure_spaces()
    track = new_track(title, **fields)
    space = Space.objects.get(name=SPACE)
    index_landmarks(track, landmarks)
    windows = len(landmarks.frames)
    TrackAnalysis.objects.create(
        **{"track": track, "space": space, "state": State.READY, "windows": windows},
        finished_at=timezone.now(),
    )
    return track


def index_landmarks(track: Track, landmarks: Landmarks) -> None:
    keep(SPACE, track.pk, landmarks)
    get_landmark_index().create_space(SPACE, TrackPayload.layout)
    get_landmark_index().upsert(SPACE, [index_entry(track, landmarks)])  # type: ignore[list-item]


def pair(first: Track, second: Track, **fields: Any) -> DuplicatePair:
    told = {"first_start_ms": 0, "first_end_ms": 11_900, "second_start_ms": 0}
    told |= {"second_end_ms": 11_900, "share": 0.4, "aligned": 200, "of": 500, "speed": 1.0}
    return DuplicatePair.objects.create(first=first, second=second, **{**told, **fields})


def keep_one(kept: Track, *others: Track, voices: bool = True) -> KeptCopy:
    return keep_copy(
        kept_id=kept.pk, other_ids=[track.pk for track in others], by=None, voices=voices
    )


def held() -> set[int]:
    return set(get_landmark_index().item_lengths(SPACE))


def test_a_copy_is_found_with_its_moments_and_found_anew_when_it_changes() -> None:
    whole = analysed_track("Whole", SONGS)
    part = analysed_track("Part", analysed(SONG[3 * SAMPLE_RATE :]), duration_ms=9000)
    analysed_track("Other", OTHERS)
    find()
    (found,) = DuplicatePair.objects.all()
    assert (found.first, found.second) == (whole, part)
    assert abs(found.offset_ms + 3000) < 100
    assert found.share > 0.3
    assert (found.is_whole(part), found.is_whole(whole)) == (True, False)
    assert found.gain_db is None  # the files hold no sound
    assert not finding.pending().exists()
    index_landmarks(part, analysed(OTHER[: 9 * SAMPLE_RATE]))
    TrackAnalysis.objects.filter(track=part).update(finished_at=timezone.now())
    assert finding.search_pending() == 1
    pairs = DuplicatePair.objects.values_list("first__title", "second__title")
    assert list(pairs) == [("Part", "Other")]
    delete_tracks([part.pk])
    assert not DuplicatePair.objects.exists()


def test_a_recording_that_is_added_is_found_by_the_worker(tmp_path: Path) -> None:
    for name, samples in (("a", SONG), ("b", SONG[2 * SAMPLE_RATE :] * 0.25)):
        path = write_audio(tmp_path / f"{name}.flac", samples, SAMPLE_RATE)
        add_track(source=path, name=f"{name}.flac")
    work()
    find()
    (found,) = DuplicatePair.objects.all()
    assert found.gain_db == pytest.approx(-12, abs=0.3)


def test_the_command_goes_on_where_it_broke_off(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = [analysed_track(f"Copy {n}", SONGS) for n in range(4)]
    monkeypatch.setattr(finding, "AT_ONCE", 1)
    real, asked = finding._find, list[int]()

    def breaking(space: str, track_id: int, ladder: tuple[float, ...]) -> Any:
        asked.append(track_id)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(space, track_id, ladder)

    monkeypatch.setattr(finding, "_find", breaking)
    with pytest.raises(KeyboardInterrupt):
        call_command("duplicates")
    assert SearchedTrack.objects.count() == 2
    Lock.objects.update(holder="elsewhere:1", expires_at=timezone.now() - timedelta(hours=1))
    out = StringIO()
    call_command("duplicates", "--json", stdout=out)
    assert asked == [tracks[n].pk for n in (0, 1, 2, 2, 3)]
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {(one["first"], one["second"]) for one in told} == {
        (one.pk, two.pk) for one in tracks for two in tracks if one.pk < two.pk
    }
    call_command("duplicates", "--again", stdout=(out := StringIO()))
    assert "1 clusters" in out.getvalue() and "4 tracks" in out.getvalue()
    assert len(asked) == 9
    with exclusive(finding.LOCK):
        Lock.objects.update(holder="elsewhere:1")
        with pytest.raises(CommandError, match="Another process"):
            call_command("duplicates", "--again")
        call_command("duplicates", stdout=(out := StringIO()))
        assert "1 clusters" in out.getvalue()
    assert not finding.pending().exists()


def test_what_is_brought_to_enrol_is_not_looked_for() -> None:
    analysed_track("Whole", SONGS)
    analysed_track("Enrolment", SONGS, for_enrolment=True)
    assert finding.search_pending() == 1
    assert not DuplicatePair.objects.exists()


def test_lost_landmarks_are_made_again() -> None:
    lost = analysed_track("Lost", SONGS)
    default_storage.delete(f"vectors/{SPACE}/{lost.pk // 1000:06d}/{lost.pk}.npz")
    finding.search_pending()
    assert TrackAnalysis.objects.get(track=lost).state == State.QUEUED
    assert not SearchedTrack.objects.exists()


def test_the_best_copy_is_the_longest_then_lossless() -> None:
    low, high = new_track("Low"), new_track("High", size_bytes=400_000)
    flac = new_track("Flac", format="FLAC", size_bytes=300_000)
    cut = new_track("Cut", format="WAV", size_bytes=900_000, duration_ms=8000)
    assert propose([low, high, cut]).track == high
    assert propose([low, high, flac, cut]).reason == "the longest, lossless"
    assert propose([low, high]).reason == "most bits a second"
    assert propose([high, new_track("Again", size_bytes=400_000)]).reason == "here first"


@pytest.fixture
def copies() -> list[Track]:
    """Three of one recording, indexed; of the second it is known that it is the first and third."""
    fields: list[dict[str, Any]] = [
        {"format": "FLAC", "size_bytes": 900_000},
        {"artist": "Ada", "format": "MP3"},
        {"format": "Opus"},
    ]
    tracks = [analysed_track(f"Copy {n}", SONGS, **fields[n]) for n in range(3)]
    pair(tracks[0], tracks[1], gain_db=6.0)
    pair(tracks[1], tracks[2])
    tracks[1].tags.add(Tag.objects.create(name="bell"))
    tracks[1].collection = Collection.objects.create(name="Bells")
    tracks[1].save()
    return tracks


def enrol(track: Track) -> Enrolment:
    speaker = Speaker.objects.create(name="Ada", consent_by="Ada", consent_on=timezone.localdate())
    return Enrolment.objects.create(
        speaker=speaker,
        track=track,
        space=Space.objects.get(name=voice_space()),
        embedding=np.eye(1, 256, dtype="<f4").tobytes(),
        net_ms=3000,
        snr_db=30,
    )


def test_keeping_one_moves_what_hangs_on_the_others_and_hides_them(
    copies: list[Track], curator: Client, member: Client
) -> None:
    best, worse, third = copies
    enrolment = enrol(worse)
    refused = member.post(f"/api/v1/duplicates/{best.pk}/keep/", {"track": best.pk})
    assert refused.status_code == 403
    answer = curator.post(f"/api/v1/duplicates/{best.pk}/keep/", {"track": best.pk})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["retired"] == [worse.pk]  # of the third nobody says that it is the first
    best.refresh_from_db()
    enrolment.refresh_from_db()
    assert (best.artist, str(best.collection), enrolment.track_id) == ("Ada", "Bells", best.pk)
    assert [tag.name for tag in best.tags.all()] == ["bell"]
    assert held() == {best.pk, third.pk}
    assert find_drift() == []
    assert curator.get("/api/v1/tracks/").json()["count"] == 2
    assert curator.get(f"/api/v1/tracks/{worse.pk}/").status_code == 404
    assert curator.get(f"/api/v1/tracks/{worse.pk}/audio").status_code == 404
    assert curator.get("/api/v1/collections/").json()["results"][0]["tracks"] == 1
    assert member.get(f"/tracks/{worse.pk}/").headers["Location"] == f"/tracks/{best.pk}/"
    assert curator.get("/api/v1/duplicates/").json()["count"] == 0
    assert "Copy 1" in curator.get("/duplicates/").content.decode()
    assert "Copy 1" not in member.get("/duplicates/").content.decode()
    assert member.get("/api/v1/duplicates/kept/").json() == []
    assert member.post("/api/v1/duplicates/undo/", {"undo": told["undo"]}).status_code == 404

    assert curator.post("/api/v1/duplicates/undo/", {"undo": told["undo"]}).status_code == 204
    best.refresh_from_db()
    enrolment.refresh_from_db()
    assert (best.artist, best.collection, enrolment.track_id) == ("", None, worse.pk)
    assert not best.tags.exists()
    assert held() == {track.pk for track in copies}
    assert find_drift() == []
    assert curator.get("/api/v1/duplicates/").json()["count"] == 1
    moves = AuditEvent.objects.filter(action="move").order_by("pk")
    assert [(each.speaker_number, each.detail["track"]) for each in moves] == [
        (enrolment.speaker_id, best.pk),
        (enrolment.speaker_id, worse.pk),
    ]
    assert curator.post("/api/v1/duplicates/undo/", {"undo": told["undo"]}).status_code == 404
    with pytest.raises(Conflict, match="undone already"):
        undo_keeping(kept_copy=KeptCopy.objects.get(), by=None)


def test_what_was_changed_since_stays_as_it_is(copies: list[Track]) -> None:
    best, worse, _ = copies
    kept = keep_one(best, worse)
    Track.objects.filter(pk=best.pk).update(artist="Bob")
    kept.refresh_from_db()
    undo_keeping(kept_copy=kept, by=None)
    best.refresh_from_db()
    assert best.artist == "Bob"


def test_after_thirty_days_they_go_for_good(copies: list[Track]) -> None:
    best, worse, third = copies
    kept = keep_one(best, worse)
    sweep()
    assert Track.objects.count() == 3
    old = timezone.now() - KEPT_FOR - timedelta(hours=1)
    Track.objects.filter(pk=worse.pk).update(retired_at=old)
    sweep()
    assert set(Track.objects.all()) == {best, third}
    assert not default_storage.exists(str(worse.file.name))
    with pytest.raises(Conflict, match="gone for good"):
        undo_keeping(kept_copy=kept, by=None)
    assert not KeptCopy.objects.exists()


def test_bytes_of_a_retired_copy_may_come_again(tmp_path: Path, curator: Client) -> None:
    path = write_audio(tmp_path / "song.flac", SONG, SAMPLE_RATE)
    first = add_track(source=path, name="song.flac").track
    other = new_track("Other")
    kept = keep_one(other, first)
    again = add_track(source=path, name="song.flac")
    assert again.created
    with pytest.raises(Conflict, match="already"):
        undo_keeping(kept_copy=kept, by=None)
    assert KeptCopy.objects.get().undone_at is None
    page = curator.post(f"/duplicates/{kept.pk}/undo/", follow=True).content.decode()
    assert "already" in page
    work()  # what is retired is analysed no worse, and stays out of the index
    assert held() == {again.track.pk}


def test_nothing_is_kept_that_some_may_not_see(copies: list[Track], curator: Client) -> None:
    best, worse, third = copies
    group = Group.objects.create(name="insiders")
    group.user_set.add(get_user_model().objects.get(username="curator"))
    private = Collection.objects.create(name="Private", audience=group)
    Track.objects.filter(pk=best.pk).update(collection=private, audience=group)
    best.refresh_from_db()
    best.tags.add(Tag.objects.create(name="secret"))
    with pytest.raises(Conflict, match="Not everybody"):
        keep_one(best, worse)
    pair(best, third)
    asked = {"track": third.pk, "retire": [best.pk]}
    page = curator.post(f"/duplicates/{best.pk}/keep/", asked).content.decode()
    assert "whose tags and fields do not move" in page
    keep_one(third, best)
    assert not third.tags.exists()
    third.refresh_from_db()
    assert third.collection is None
    with pytest.raises(Conflict, match="Choose one"):
        keep_one(third)


def test_what_is_kept_holds_all_of_the_others(copies: list[Track], curator: Client) -> None:
    best, worse, third = copies
    address = f"/api/v1/duplicates/{best.pk}/keep/"
    part = {"first_end_ms": 6000, "second_end_ms": 6000}
    DuplicatePair.objects.filter(second=third).update(**part)
    for other in (third, best):  # a part of it, and one of which nothing is known
        asked = {"track": third.pk if other is best else worse.pk, "retire": [other.pk]}
        assert curator.post(address, asked, "application/json").status_code == 409
    page = curator.post(
        f"/duplicates/{best.pk}/keep/", {"track": worse.pk, "retire": [third.pk]}, follow=True
    )
    assert "does not hold all of" in page.content.decode()
    twice = {"track": best.pk, "retire": [worse.pk, worse.pk]}
    assert curator.post(address, twice, "application/json").json()["retired"] == [worse.pk]
    with pytest.raises(Conflict, match="just decided"):
        keep_one(worse, best)
    with pytest.raises(Conflict, match="just decided"):
        keep_one(third, worse)


def test_one_may_stand_for_another_that_stands_for_a_third(
    copies: list[Track], curator: Client
) -> None:
    best, worse, third = copies
    first = keep_one(worse, third)
    keep_one(best, worse)
    for gone in (worse, third):
        assert curator.get(f"/tracks/{gone.pk}/").headers["Location"] == f"/tracks/{best.pk}/"
    undone = curator.post("/api/v1/duplicates/undo/", {"undo": first.pk})
    assert undone.status_code == 204
    assert curator.get(f"/tracks/{third.pk}/").status_code == 200


def test_undoing_lays_nothing_open(copies: list[Track]) -> None:
    best, worse, _ = copies
    kept = keep_one(best, worse)
    collection = Collection.objects.get()
    collection.audience = Group.objects.create(name="insiders")
    save_collection(collection, ["audience"])
    undo_keeping(kept_copy=kept, by=None)
    best.refresh_from_db()
    assert (best.collection, best.audience) == (collection, collection.audience)


def test_voices_move_by_who_may_decide_of_them(copies: list[Track]) -> None:
    best, worse, third = copies
    enrolment = enrol(worse)
    keep_one(best, worse, voices=False)
    enrolment.refresh_from_db()
    assert enrolment.track == worse
    other = enrol(third)
    group = Group.objects.create(name="insiders")
    Track.objects.filter(pk=third.pk).update(audience=group)
    with pytest.raises(Conflict, match="fewer people may see"):
        keep_one(best, third)
    other.refresh_from_db()
    assert other.track == third


def test_erasing_a_speaker_erases_the_copies_that_were_taken_out(copies: list[Track]) -> None:
    best, worse, third = copies
    enrolment = enrol(worse)
    keep_one(third, worse)
    keep_one(best, third)
    enrolment.refresh_from_db()
    assert enrolment.track == best
    assert what_is_erased(enrolment.speaker).copies == 2
    erase_speaker(speaker=enrolment.speaker, by=None)
    assert not Track.objects.exists()
    assert not KeptCopy.objects.exists()


def test_a_pair_that_only_the_other_finds_stays(copies: list[Track]) -> None:
    """Of many copies a track finds the likeliest alone."""
    best, worse, third = copies
    finding.search_pending()
    assert DuplicatePair.objects.count() == 3
    TrackAnalysis.objects.filter(track=best).update(finished_at=timezone.now())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "_find", lambda *asked: [])
        finding.search_pending()
    assert DuplicatePair.objects.count() == 3
    index_landmarks(best, OTHERS)
    TrackAnalysis.objects.filter(track=best).update(finished_at=timezone.now())
    finding.search_pending()
    assert [(one.first, one.second) for one in DuplicatePair.objects.all()] == [(worse, third)]


def test_dismissed_pairs_are_never_found_again(copies: list[Track], curator: Client) -> None:
    best, worse, third = copies
    address = f"/api/v1/duplicates/{best.pk}/dismiss/"
    assert curator.post(address, {"tracks": [best.pk, 987_654]}).status_code == 404
    assert curator.post(address, {"tracks": [best.pk, worse.pk]}).status_code == 204
    finding.search_pending()
    assert cluster_ids(None) == [[best.pk, worse.pk, third.pk]]  # by the first and the third
    page = curator.post(f"/duplicates/{best.pk}/dismiss/").content.decode()
    assert "never called duplicates" in page
    curator.post(f"/duplicates/{best.pk}/dismiss/", {"confirmed": "on"})
    assert cluster_ids(None) == [[best.pk, worse.pk, third.pk]]  # only what was seen is meant
    seen = {"confirmed": "on", "seen": [best.pk, worse.pk, third.pk]}
    curator.post(f"/duplicates/{best.pk}/dismiss/", seen)
    finding.search_pending(again=True)
    assert cluster_ids(None) == []
    assert DuplicatePair.objects.filter(dismissed_by__username="curator").count() == 3


def test_a_stranger_learns_nothing_of_what_is_private(copies: list[Track], member: Client) -> None:
    best, worse, third = copies
    group = Group.objects.create(name="insiders")
    private = Collection.objects.create(name="Private", audience=group)
    insider = Client()
    insider.force_login(user := User.objects.create_user("insider"))
    user.groups.add(group)
    Track.objects.filter(pk=worse.pk).update(collection=private, audience=group, title="xsecret")

    def told(client: Client) -> dict[str, Any]:
        found: dict[str, Any] = client.get("/api/v1/duplicates/").json()
        return found

    assert told(member) == {"count": 0, "next": None, "previous": None, "results": []}
    assert "No duplicates" in member.get("/duplicates/").content.decode()
    for track in copies:
        for address in (f"/api/v1/duplicates/{track.pk}/", f"/duplicates/?track={track.pk}"):
            answer = member.get(address)
            assert answer.status_code in (200, 404)
            assert "xsecret" not in answer.content.decode()
    for track in (best, third):
        assert member.get(f"/api/v1/tracks/{track.pk}/").json()["notices"] == []
        assert "same recording" not in member.get(f"/tracks/{track.pk}/").content.decode()
    assert told(insider)["count"] == 1
    assert len(told(insider)["results"][0]["tracks"]) == 3
    (notice,) = insider.get(f"/api/v1/tracks/{best.pk}/").json()["notices"]
    assert notice["track"] == worse.pk
    assert "the same recording as “xsecret”" in insider.get(f"/tracks/{best.pk}/").content.decode()
    pair(best, third)
    (cluster,) = told(member)["results"]
    assert [track["id"] for track in cluster["tracks"]] == [best.pk, third.pk]
    assert len(cluster["pairs"]) == 1


def test_the_page_shows_copies_aligned_equally_loud_and_what_differs(
    copies: list[Track], curator: Client, member: Client
) -> None:
    best, worse, _ = copies
    DuplicatePair.objects.filter(first=best).update(first_start_ms=0, second_start_ms=1500)
    page = curator.get("/duplicates/").content.decode()
    assert 'data-start-ms="1500"' in page
    assert 'data-volume="0.501"' in page and 'data-volume="1.0"' in page
    assert "Best copy: <strong>Copy 0</strong>, FLAC (lossless)" in page
    assert "<summary>What differs</summary>" in page and "bell" in page
    looked = member.get("/duplicates/").content.decode()
    assert "Copy 0" in looked and "Not a duplicate" not in looked
    chosen = {"track": best.pk, "retire": [worse.pk]}
    address = f"/duplicates/{best.pk}/keep/"
    assert member.post(address, chosen).status_code == 403
    asked = curator.post(address, chosen).content.decode()
    assert "Keep one, take out 1" in asked
    assert Track.objects.filter(retired_at=None).count() == 3
    done = curator.post(address, {**chosen, "confirmed": "on"}, follow=True).content.decode()
    assert "is kept" in done and "deleted for good in 29 days" in done
    back = curator.post(f"/duplicates/{KeptCopy.objects.get().pk}/undo/", follow=True)
    assert "The other copies are back" in back.content.decode()
    assert curator.post(address, {"track": "nonsense"}).status_code == 404
    kept_alone = curator.post(address, {"track": best.pk}, follow=True).content.decode()
    assert "Choose one copy to keep" in kept_alone


def test_searches_pass_over_retired_copies(copies: list[Track]) -> None:
    best, worse, third = copies
    keep_one(best, worse, third)
    assert get_landmark_index().count_items(active_space("landmarks").name, TrackFilter()) == 1
