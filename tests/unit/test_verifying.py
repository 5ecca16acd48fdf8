"""Bit rot: whatever is kept is compared with its SHA-256, told, and mended or set aside."""

import ast
import io
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from apps.analysis import drift, slices, verifying
from apps.analysis.drift import (
    FILE_BACK,
    FILE_MISSING,
    RECORDING_DAMAGED,
    VECTORS_DAMAGED,
    VECTORS_MISSING,
    VOICE_DAMAGED,
    StorageUnavailable,
    find_drift,
    repair,
)
from apps.analysis.index import get_index
from apps.analysis.models import FILE_GONE, TrackAnalysis
from apps.analysis.reconcile import reconcile
from apps.analysis.representations import NotKept, forget_kept, kept_name, load_kept
from apps.analysis.slices import last_verified, slice_of, verify_for_a_while
from apps.analysis.verifying import verify
from apps.analysis.worker import work
from apps.catalog.models import Track
from apps.catalog.recordings import FILE_DAMAGED
from apps.jobs.models import State
from apps.ops.metrics import work as work_told
from apps.voices import enrolling, holdings
from apps.voices.diarizing import diarize_queued
from apps.voices.enrolling import enrol
from apps.voices.holdings import drop_strays, known_by, sync_soon
from apps.voices.models import Diarization, Enrolment, Speaker
from audiosearch import settings as shipped
from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.digests import SIZE, Damaged, with_digest, without_digest
from audiosearch.engine.voice.speech import RATE
from tests.unit.conftest import AddTone
from tests.voices import speak

pytestmark = pytest.mark.django_db(transaction=True)
FAKE = "fake-v1"


def flip(path: Path, at: int = -1) -> bytes:
    """Flip one bit in the middle, or at a byte; returns what the file was."""
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2 if at < 0 else at] ^= 1
    path.write_bytes(changed)
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    return whole


def empty(path: Path) -> bytes:
    whole = path.read_bytes()
    path.write_bytes(b"")
    return whole


def truncate(path: Path) -> bytes:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return whole


def remove(path: Path) -> bytes:
    whole = path.read_bytes()
    path.unlink()
    return whole


def found() -> list[tuple[str, int, str]]:
    return [(one.kind, one.item_id, one.space) for one in verify(Track.objects.all())]


def states(track: Track) -> set[tuple[str, str]]:
    return set(track.analyses.values_list("state", "reason"))


def vectors_of(track: Track) -> Path:
    return Path(default_storage.path(kept_name(FAKE, track.pk)))


def verified(*arguments: str) -> str:
    out = io.StringIO()
    call_command("check_index", "--verify", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("damage", "kind", "reason"),
    [
        (flip, RECORDING_DAMAGED, FILE_DAMAGED),
        (truncate, RECORDING_DAMAGED, FILE_DAMAGED),
        (empty, RECORDING_DAMAGED, FILE_DAMAGED),
        (remove, FILE_MISSING, FILE_GONE),
    ],
)
def test_a_recording_is_set_aside_until_its_bytes_are_back(
    damage: Callable[[Path], bytes], kind: str, reason: str, add_tone: AddTone, member: Client
) -> None:
    hurt, other = add_tone(440), add_tone(880)
    path = Path(hurt.file.path)
    assert found() == []
    whole = damage(path)
    assert found() == [(kind, hurt.pk, "")]
    repair(verify(Track.objects.all()))
    assert states(hurt) == {(State.FAILED, reason)}
    assert states(other) == {(State.READY, "")}
    assert get_index().window_counts(FAKE) == {other.pk: 1}
    told = member.get(f"/api/v1/tracks/{hurt.pk}/").json()
    assert (told["state"], told["reason"]) == ("failed", reason)
    assert find_drift() == []
    assert found() == [(kind, hurt.pk, "")]  # as long as it is so
    reconcile()
    assert work() == 0
    path.write_bytes(whole)
    reconcile()
    work()
    assert states(hurt) == {(State.READY, "")}
    assert get_index().window_counts(FAKE) == {hurt.pk: 1, other.pk: 1}
    assert found() == []


def test_other_bytes_bring_no_damaged_recording_back(add_tone: AddTone) -> None:
    track = add_tone(440)
    path = Path(track.file.path)
    whole = flip(path)
    repair(verify(Track.objects.all()))
    for _ in range(2):
        flip(path, at=100)
        flip(path, at=200)
        assert [one.kind for one in find_drift()] == [FILE_BACK]
        time.sleep(0.02)
        reconcile()
        assert states(track) == {(State.FAILED, FILE_DAMAGED)}
        assert find_drift() == []  # it is not read every 15 s
    path.write_bytes(whole)
    assert found() == [(FILE_BACK, track.pk, "")]
    repair(verify(Track.objects.all()))
    assert states(track) == {(State.QUEUED, "")}


def test_a_damaged_recording_is_never_analysed(add_tone: AddTone) -> None:
    track = add_tone(440)
    flip(Path(track.file.path))
    forget_kept(FAKE, track.pk)
    TrackAnalysis.objects.filter(track=track, space__name=FAKE).update(state=State.QUEUED)
    work()
    assert states(track) == {(State.FAILED, FILE_DAMAGED)}
    assert not vectors_of(track).exists()
    assert get_index().window_counts(FAKE) == {}


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (flip, VECTORS_DAMAGED),
        (truncate, VECTORS_DAMAGED),
        (empty, VECTORS_DAMAGED),
        (remove, VECTORS_MISSING),
    ],
)
def test_vectors_are_made_anew_from_the_recording(
    damage: Callable[[Path], bytes], kind: str, add_tone: AddTone
) -> None:
    hurt, other = add_tone(440), add_tone(880)
    whole = damage(vectors_of(hurt))
    with pytest.raises(NotKept):
        load_kept(FAKE, hurt.pk, Embeddings)
    assert found() == [(kind, hurt.pk, FAKE)]
    repair(verify(Track.objects.all()))
    assert states(hurt) == {(State.QUEUED, ""), (State.READY, "")}
    assert states(other) == {(State.READY, "")}
    assert set(get_index().window_counts(FAKE)) == {hurt.pk, other.pk}  # found all the while
    work()
    assert vectors_of(hurt).read_bytes() == whole
    assert found() == []


@pytest.mark.parametrize(
    ("damage", "recording"),
    [
        *((damage, "intact") for damage in (flip, truncate, empty, remove)),
        *((flip, recording) for recording in ("damaged", "gone")),
    ],
)
def test_a_search_by_such_a_track_ends(
    damage: Callable[[Path], bytes], recording: str, add_tone: AddTone, member: Client
) -> None:
    hurt, other = add_tone(440), add_tone(450)
    address = f"/api/v1/tracks/{hurt.pk}/similar"
    damage(vectors_of(hurt))
    {"intact": Path.exists, "damaged": flip, "gone": remove}[recording](Path(hurt.file.path))
    first = member.get(address)
    assert (first.status_code, first.json()["error"]["code"]) == (409, "not_listened_yet")
    assert hurt.analyses.get(space__name=FAKE).state == State.QUEUED
    work()
    second = member.get(address)
    if recording == "intact":
        assert second.status_code == 200, second.content
        assert [hit["track"]["id"] for hit in second.json()["hits"]] == [other.pk]
    else:
        reason = {"damaged": FILE_DAMAGED, "gone": FILE_GONE}[recording]
        assert second.status_code == 409
        assert reason in second.json()["error"]["message"]


def test_every_bit_of_vectors_counts_with_and_without_a_digest(add_tone: AddTone) -> None:
    """Version 0.1 kept none: then no bit may lead to anything but the same vectors, or NotKept."""
    track = add_tone(440)
    path = vectors_of(track)
    whole, right = path.read_bytes(), load_kept(FAKE, track.pk, Embeddings)
    for at in range(0, len(whole) - SIZE, 5):
        flip_bit(path, whole, at)
        with pytest.raises(NotKept):
            load_kept(FAKE, track.pk, Embeddings)
    older = whole[:-SIZE]
    for at in range(len(older)):
        flip_bit(path, older, at)
        try:
            read = load_kept(FAKE, track.pk, Embeddings)
        except NotKept:
            continue
        assert np.array_equal(read.embeddings, right.embeddings)
        assert np.array_equal(read.spans, right.spans)


def flip_bit(path: Path, whole: bytes, at: int) -> None:
    changed = bytearray(whole)
    changed[at] ^= 1 << at % 8
    path.write_bytes(changed)


def test_what_older_versions_kept_gets_its_digest(add_tone: AddTone) -> None:
    track = add_tone(440)
    path = vectors_of(track)
    whole, peaks = path.read_bytes(), bytes(Track.objects.get().peaks)
    path.write_bytes(whole[:-SIZE])
    Track.objects.update(peaks=peaks[:-SIZE])
    load_kept(FAKE, track.pk, Embeddings)
    assert found() == []
    assert path.read_bytes() == whole
    assert bytes(Track.objects.get().peaks) == peaks


def test_a_damaged_waveform_is_not_shown_and_made_anew(add_tone: AddTone, member: Client) -> None:
    track = add_tone(440)
    address = f"/api/v1/tracks/{track.pk}/peaks"
    right, peaks = member.get(address).json(), bytearray(Track.objects.get().peaks)
    peaks[500] ^= 1
    Track.objects.update(peaks=bytes(peaks))
    assert member.get(address).json()["peaks"] == []
    assert found() == [(VECTORS_DAMAGED, track.pk, "waveform-v1")]
    repair(verify(Track.objects.all()))
    work()
    assert found() == []
    assert member.get(address).json() == right


@pytest.fixture
def enrolment(tmp_path: Path, synthesised_threshold: Any) -> Enrolment:
    path = tmp_path / "ada.wav"
    pause = np.random.default_rng(0).normal(0, 1e-4, RATE).astype(np.float32)
    soundfile.write(path, np.concatenate([pause, speak(31, 6, 0), pause]), RATE)
    speaker = Speaker.objects.create(name="Ada", consent_by="Ada", consent_on=date(2026, 1, 1))
    enrol(speaker=speaker, source=path, name="ada.wav", by=None)
    work()
    return Enrolment.objects.get()


def test_a_damaged_voice_is_embedded_again(enrolment: Enrolment) -> None:
    space, right = enrolment.space.name, bytes(enrolment.embedding)
    damaged = bytearray(right)
    damaged[5] ^= 1
    Enrolment.objects.update(embedding=bytes(damaged))
    assert found() == [(VOICE_DAMAGED, enrolment.pk, space)]
    repair(verify(Track.objects.all()))
    drop_strays()
    assert find_drift() == []  # the index knows the voice all the while
    assert get_index().window_counts(space) == {enrolment.pk: 1}
    assert list(known_by(Enrolment.objects.all())) == []
    assert enrolling.reembed_enrolments() == 1
    sync_soon()
    again = without_digest(bytes(Enrolment.objects.get().embedding))
    one, other = (np.frombuffer(content, "<f4") for content in (again, without_digest(right)))
    assert np.allclose(one, other, atol=1e-5)
    assert found() == []
    assert find_drift() == []
    assert enrolling.reembed_enrolments() == 0


def test_reading_a_damaged_voice_has_it_embedded_again(
    enrolment: Enrolment, caplog: pytest.LogCaptureFixture
) -> None:
    right = bytes(enrolment.embedding)
    for damaged in (right[:100], right[:-1], b"\1" + right[1:], right[:-SIZE] + b"\1\1"):
        Enrolment.objects.update(embedding=damaged)
        assert list(known_by(Enrolment.objects.all())) == []
        assert Enrolment.objects.get().embedding == holdings.LOST
    assert caplog.text.count("is damaged") == 4
    Enrolment.objects.update(embedding=right[:-SIZE])  # as version 0.1 kept it
    assert len(list(known_by(Enrolment.objects.all()))) == 1
    assert found() == []
    assert bytes(Enrolment.objects.get().embedding) == right


def test_no_voice_is_embedded_from_a_damaged_recording(
    enrolment: Enrolment, caplog: pytest.LogCaptureFixture
) -> None:
    Enrolment.objects.update(embedding=holdings.LOST)
    flip(Path(enrolment.track.file.path))
    assert enrolling.reembed_enrolments() == 0
    assert FILE_DAMAGED in caplog.text


def test_nobody_is_heard_in_a_damaged_recording(add_tone: AddTone) -> None:
    for damage, reason in ((flip, FILE_DAMAGED), (remove, "Its file is gone.")):
        job = Diarization.objects.create(track=add_tone(440 if damage is flip else 880))
        damage(Path(job.track.file.path))
        diarize_queued()
        job.refresh_from_db()
        assert (job.state, job.reason) == (State.FAILED, reason)


def test_a_storage_that_is_away_condemns_nothing(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = add_tone(440)
    there = Path(default_storage.path("tracks"))
    there.rename(there.with_name("unmounted"))
    with pytest.raises(StorageUnavailable):
        found()
    assert not verify_for_a_while(60)
    there.with_name("unmounted").rename(there)
    assert states(track) == {(State.READY, "")}


def test_what_is_replaced_while_it_is_read_is_no_damage(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = add_tone(440)
    whole = flip(vectors_of(track))
    looked = verifying._look_at

    def then_written(pk: int) -> Any:
        first = looked(pk)
        vectors_of(track).write_bytes(whole)
        return first

    monkeypatch.setattr(verifying, "_look_at", then_written)
    assert found() == []


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """today(days): so many days later than it is."""
    now = timezone.localdate()
    return lambda days: monkeypatch.setattr(
        slices.timezone, "localdate", lambda: now + timedelta(days=days)
    )


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The tracks that slices read, in order."""
    read = list[int]()

    def noted(tracks: Any, told: Any) -> Any:
        read.extend(tracks.values_list("pk", flat=True))
        return verify(tracks, told)

    monkeypatch.setattr(slices, "verify", noted)
    return read


def many(count: int) -> set[int]:
    """Tracks of one small file."""
    name = default_storage.save("tracks/aa/x.wav", ContentFile(b"x"))
    sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    rows = {"file": name, "duration_ms": 1, "sample_rate": 1, "channels": 1, "size_bytes": 1}
    Track.objects.bulk_create(Track(title=f"{n}", sha256=f"{n}", **rows) for n in range(count))
    Track.objects.filter(title="0").update(sha256=sha256)
    return set(Track.objects.values_list("pk", flat=True))


def test_slices_read_everything_exactly_once(
    today: Callable[[int], None], read: list[int], settings: Any
) -> None:
    settings.VERIFY_EVERY_DAYS = 5
    everything = many(23)
    for day in range(5):
        today(day)
        assert not verify_for_a_while(60)
        assert not verify_for_a_while(60)  # beat asks every hour
        assert len(read) <= 5 * (day + 1)
    assert Counter(read) == Counter(everything)
    today(5)
    verify_for_a_while(60)
    assert len(read) == 23 + len(slice_of(timezone.localdate().toordinal(), 5))


def test_missed_days_are_made_up_for(
    today: Callable[[int], None], read: list[int], settings: Any
) -> None:
    settings.VERIFY_EVERY_DAYS = 5
    everything = many(23)
    verify_for_a_while(60)
    today(4)
    verify_for_a_while(60)
    assert Counter(read) == Counter(everything)
    del read[:]
    today(400)
    verify_for_a_while(60)
    assert Counter(read) == Counter(everything)
    del read[:]
    today(3)  # the clock was wrong, and is set back
    verify_for_a_while(60)
    assert len(read) == len(slice_of(timezone.localdate().toordinal(), 5))


def test_a_slice_goes_on_where_it_was_left(read: list[int], settings: Any) -> None:
    settings.VERIFY_EVERY_DAYS = 1
    everything = many(4)
    turns = 1
    while verify_for_a_while(0):
        turns += 1
    assert read == sorted(everything)
    assert turns == 5
    now = last_verified()
    assert now is not None
    assert (now.tracks, now.bytes, now.damage) == (4, 4, {RECORDING_DAMAGED: 3})


def test_what_a_slice_finds_is_mended_and_told(
    add_tone: AddTone, curator: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.VERIFY_EVERY_DAYS = 1
    one, two = add_tone(440), add_tone(880)
    flip(Path(one.file.path))
    flip(vectors_of(two))
    with caplog.at_level(logging.WARNING):
        assert not verify_for_a_while(60)
    assert f"file damaged: The file of track {one.pk} is damaged: {one.file.name}" in caplog.text
    assert f"vectors damaged: What was found in track {two.pk} for fake-v1" in caplog.text
    assert states(one) == {(State.FAILED, FILE_DAMAGED)}
    assert two.analyses.get(space__name=FAKE).state == State.QUEUED
    work_told.told_at = -math.inf
    lines = curator.get("/metrics").content.decode().splitlines()
    assert 'audiosearch_drift{kind="file damaged"} 1.0' in lines
    assert 'audiosearch_drift{kind="vectors damaged"} 1.0' in lines
    assert 'audiosearch_drift{kind="voice damaged"} 0.0' in lines
    assert any(line.startswith("audiosearch_verified_timestamp_seconds 1.") for line in lines)
    page = curator.get("/admin/analysis/space/").content.decode()
    assert "2 tracks" in page
    assert "1 × file damaged" in page
    Path(default_storage.path("notes/last-verified.json")).write_bytes(b"")  # damage of the note
    assert last_verified() is None
    assert not verify_for_a_while(60)


def test_the_command_tells_and_fails(add_tone: AddTone, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, three = add_tone(440), add_tone(880), add_tone(1760)
    assert "3 tracks read" in verified()
    whole = flip(Path(one.file.path))
    flip(vectors_of(two))
    default_storage.delete(str(three.file.name))
    with pytest.raises(CommandError, match="--verify --repair") as failed:
        call_command("check_index", "--verify")
    assert failed.value.returncode == 1
    told = capsys.readouterr().out
    assert "1 × file damaged: set aside as failed until the bytes that were added are back" in told
    assert f"The file of track {one.pk} is damaged: {one.file.name}" in told
    assert "1 × vectors damaged: analysed again" in told
    assert kept_name(FAKE, two.pk) in told
    assert "1 × file missing" in told
    assert f"The file of track {three.pk} is gone: {three.file.name}" in told
    with pytest.raises(CommandError, match="2 recordings are gone or damaged"):
        call_command("check_index", "--verify", "--repair")
    work()
    with pytest.raises(CommandError, match="2 recordings are gone or damaged"):
        call_command("check_index", "--verify", "--repair")
    Path(one.file.path).write_bytes(whole)
    three.delete()
    assert "Database, files and index agree." in verified("--repair")
    work()
    assert "Database, files and index agree." in verified()


def test_it_is_on_the_schedule() -> None:
    assert shipped.VERIFY_EVERY_DAYS == 30
    assert shipped.CELERY_BEAT_SCHEDULE["analysis.verify"]["schedule"] == 3600


def test_every_kind_of_damage_is_told() -> None:
    source = ast.parse(Path(verifying.__file__).read_text())
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) == "Drift"}
    assert {getattr(drift, name) for name in names} - set(drift.KINDS) == set(drift.DAMAGES)


def test_a_digest_is_found_whatever_bit_is_flipped() -> None:
    content = bytes(range(200))
    whole = with_digest(content)
    assert without_digest(whole) == content
    assert without_digest(content) == content
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 4
        try:
            assert without_digest(bytes(changed)) == content
        except Damaged:
            continue
    for short in range(len(whole)):
        assert without_digest(whole[:short]) == whole[:short]
