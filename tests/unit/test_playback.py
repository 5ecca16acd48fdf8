"""What a browser is sent: the file where all browsers play it, else a copy; by ranges."""

import errno
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import av
import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.core.files import File
from django.core.files.storage import default_storage
from django.test import Client
from django.utils.http import http_date

from apps.analysis.drift import repair
from apps.analysis.reconcile import reconcile
from apps.analysis.verifying import verify
from apps.catalog import playback
from apps.catalog.models import Removal, Track
from apps.catalog.playback import as_played
from apps.catalog.services.adding import add_track
from apps.catalog.services.deleting import delete_tracks
from apps.ops.backups.making import back_up
from apps.search.models import Search
from apps.search.recent import delete_search
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.errors import Busy
from tests.audio_files import (
    ALAC,
    ENCODINGS,
    IMA_ADPCM,
    Encoding,
    FloatArray,
    tone,
    write_audio,
)

RATE = 32_000
OF_A_COPY = (".flac", ".sha256")
Write = Callable[..., Path]


def _by(encoding: Encoding) -> Write:
    return partial(write_audio, encoding=encoding)


def _chained(path: Path, samples: FloatArray) -> Path:
    half = samples.shape[-1] // 2
    first = write_audio(path.with_name(f"first{path.suffix}"), samples[..., :half])
    second = write_audio(path.with_name(f"second{path.suffix}"), samples[..., half:], 16_000)
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


def _paused(path: Path, samples: FloatArray) -> Path:
    """Matroska that goes on two seconds later after its first second."""
    whole = write_audio(path.with_name("whole.webm"), samples)
    with av.open(str(whole)) as source, av.open(str(path), "w", format="matroska") as made:
        stream = source.streams.audio[0]
        copy = made.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                late = 2_000 if packet.pts * packet.time_base >= 1 else 0
                packet.pts, packet.dts = packet.pts + late, packet.dts + late
                packet.stream = copy
                made.mux(packet)
    return path


def _of_two_tracks(path: Path, samples: FloatArray) -> Path:
    one = write_audio(path.with_name("one.m4a"), samples)
    with av.open(str(one)) as source, av.open(str(path), "w", format="mp4") as made:
        stream = source.streams.audio[0]
        copies = [made.add_stream_from_template(stream) for _ in range(2)]
        for packet in source.demux(stream):
            if packet.dts is not None:
                for copy in copies:
                    packet.stream = copy
                    made.mux(packet)
    return path


COPIED: dict[str, tuple[str, Write]] = {
    "AIFF": (".aiff", write_audio),
    "ALAC": (".m4a", _by(ALAC)),
    "IMA ADPCM": (".wav", _by(IMA_ADPCM)),
    "Microsoft ADPCM": (".wav", _by(Encoding("wav", "adpcm_ms", "s16"))),
    "doubles": (".wav", _by(Encoding("wav", "pcm_f64le", "dbl"))),
    "RF64": (
        ".wav",
        _by(Encoding("wav", "pcm_s16le", "s16", container_options={"rf64": "always"})),
    ),
    "MP2": (".mp3", _by(Encoding("mp2", "mp2", "s16"))),
    "FLAC in Ogg": (".ogg", _by(Encoding("ogg", "flac", "s16"))),
    "chained Vorbis": (".ogg", _chained),
    "Matroska": (".webm", _by(Encoding("matroska", "libopus", "flt", sample_rate=48_000))),
    "two sound tracks": (".mp4", _of_two_tracks),
}


def _kept(path: Path, suffix: str = "") -> str:
    """The name of a file in the storage, which no other test has."""
    with path.open("rb") as file:
        unique = f"{path.parent.name}{suffix or path.suffix}"
        return default_storage.save(f"tracks/{unique}", File(file))


def _stereo() -> FloatArray:
    return np.stack([tone(2, 440), tone(2, 660)])


@pytest.mark.parametrize("kind", COPIED)
def test_what_browsers_cannot_play_is_sent_as_flac(kind: str, tmp_path: Path) -> None:
    suffix, write = COPIED[kind]
    path = write(tmp_path / f"sound{suffix}", _stereo())
    sent = as_played(_kept(path))
    assert sent.media_type == "audio/flac"
    assert sent.path.suffix == ".flac"
    with av.open(str(sent.path)) as copy:
        stream = copy.streams.audio[0]
        assert (stream.codec_context.name, stream.codec_context.layout.name) == ("flac", "stereo")
        assert stream.duration is not None  # it is in the header, for players that seek
    same, original = decode(sent.path, RATE), decode(path, RATE)
    assert abs(len(same) - len(original)) < RATE // 50
    length = min(len(same), len(original)) - 1
    assert np.corrcoef(same[:length], original[:length])[0, 1] > 0.99


def test_a_pause_in_the_time_stamps_is_silence_in_the_copy(tmp_path: Path) -> None:
    path = _paused(tmp_path / "sound.webm", _stereo())
    samples = decode(as_played(_kept(path)).path, RATE)
    assert abs(len(samples) - 4 * RATE) < RATE // 20
    loud = [float(np.abs(samples[round(s * RATE) :][: RATE // 2]).max()) for s in (0.2, 1.8, 3.3)]
    assert (loud[0] > 0.3, loud[1] < 0.01, loud[2] > 0.3) == (True, True, True)


@pytest.mark.parametrize("suffix", sorted(ENCODINGS.keys() - {".aiff"}))
def test_what_browsers_play_is_sent_as_it_is(suffix: str, tmp_path: Path) -> None:
    path = write_audio(tmp_path / f"sound{suffix}", _stereo())
    name = _kept(path, ".bin")  # what it is called does not matter
    sent = as_played(name)
    assert sent.path == Path(default_storage.path(name))
    expected = {".wav": "wav", ".flac": "flac", ".mp3": "mpeg", ".ogg": "ogg", ".opus": "ogg"}
    expected |= {".m4a": "mp4", ".mp4": "mp4", ".webm": "webm"}
    assert sent.media_type == f"audio/{expected[suffix]}"


def test_a_file_that_nothing_decodes_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(b"no sound at all")
    assert as_played(_kept(path)).media_type == "application/octet-stream"


def test_on_a_full_disk_the_file_is_sent_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(playback, "write_flac", full)
    name = _kept(write_audio(tmp_path / "s.aiff", _stereo()))
    assert as_played(name).path == Path(default_storage.path(name))
    assert list(Path(default_storage.path(playback.FOLDER)).iterdir()) == []


@pytest.fixture
def aiff(tmp_path: Path, transactional_db: None) -> Track:
    return add_track(source=write_audio(tmp_path / "s.aiff", _stereo()), name="s.aiff").track


def _body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_a_copy_is_made_once_and_answers_ranges(
    aiff: Track, member: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/api/v1/tracks/{aiff.pk}/audio"
    made: list[Path] = []
    write = playback.write_flac
    monkeypatch.setattr(
        playback, "write_flac", lambda path, to: made.append(path) or write(path, to)
    )
    whole = member.get(address)
    body = _body(whole)
    assert (whole.status_code, whole["Content-Type"]) == (200, "audio/flac")
    assert body.startswith(b"fLaC")
    for asked, part in (("bytes=0-1", body[:2]), ("bytes=-7", body[-7:])):
        answer = member.get(address, headers={"range": asked})
        assert (answer.status_code, _body(answer)) == (206, part)
    assert len(made) == 1
    download = member.get(address + "?download=1")
    assert _body(download) == Path(aiff.file.path).read_bytes()
    assert download["ETag"] != whole["ETag"]


def test_what_one_browser_cannot_play_is_sent_as_flac_when_asked(
    tmp_path: Path, member: Client
) -> None:
    path = write_audio(tmp_path / "sound.opus", _stereo())
    track = add_track(source=path, name="sound.opus").track
    sent = member.get(f"/api/v1/tracks/{track.pk}/audio?flac=1")
    assert (sent["Content-Type"], _body(sent)[:4]) == ("audio/flac", b"fLaC")


@pytest.mark.parametrize("suffix", [".aiff", ".wav"])
def test_what_the_asker_has_is_not_sent_again(suffix: str, tmp_path: Path, member: Client) -> None:
    path = write_audio(tmp_path / f"sound{suffix}", _stereo())
    address = f"/api/v1/tracks/{add_track(source=path, name=path.name).track.pk}/audio"
    first = member.get(address)
    size, etag, modified = len(_body(first)), first["ETag"], first["Last-Modified"]
    head = member.head(address)
    assert (head.status_code, head.content) == (200, b"")
    same = {name: head[name] for name in ("ETag", "Last-Modified", "Content-Type")}
    assert same == {name: first[name] for name in same}
    assert (head["Content-Length"], head["Accept-Ranges"]) == (str(size), "bytes")
    for known in ({"if-none-match": etag}, {"if-modified-since": modified}):
        answer = member.get(address, headers=known)
        assert (answer.status_code, answer["ETag"]) == (304, etag)
    older = http_date(0)
    for version, status in ((etag, 206), (modified, 206), ('"another"', 200), (older, 200)):
        part = member.get(address, headers={"range": "bytes=0-1", "if-range": version})
        assert (part.status_code, len(_body(part))) == (status, 2 if status == 206 else size)


def test_a_copy_goes_with_its_track_and_with_its_search(
    aiff: Track, member: Client, tmp_path: Path
) -> None:
    folder = Path(default_storage.path(playback.FOLDER))
    _body(member.get(f"/api/v1/tracks/{aiff.pk}/audio"))
    clip = write_audio(tmp_path / "clip.aiff", _stereo())
    search = Search.objects.create(user=get_user_model().objects.get(), clip=_kept(clip, ".aiff"))
    sent = member.get(f"/searches/{search.pk}/clip/")
    assert (sent["Content-Type"], _body(sent)[:4]) == ("audio/flac", b"fLaC")
    assert len(list(folder.iterdir())) == 2 * len(OF_A_COPY)
    delete_search(search)
    assert len(list(folder.iterdir())) == len(OF_A_COPY)
    delete_tracks([aiff.pk])
    assert list(folder.iterdir()) == []
    assert not Removal.objects.exists()


def test_who_comes_second_waits_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """And is told to come again when that takes long, rather than making another."""
    name = _kept(write_audio(tmp_path / "s.aiff", _stereo()))
    begun, go_on = Event(), Event()
    made: list[Path] = []
    write = playback.write_flac

    def slow(path: Path, to: Any) -> None:
        made.append(path)
        begun.set()
        go_on.wait(30)
        write(path, to)

    monkeypatch.setattr(playback, "write_flac", slow)
    with ThreadPoolExecutor(2) as people:
        first = people.submit(as_played, name)
        assert begun.wait(30)
        settings.QUERY_WAIT_S = 0
        with pytest.raises(Busy):
            as_played(name)
        settings.QUERY_WAIT_S = 30
        second = people.submit(as_played, name)
        go_on.set()
        assert first.result(30) == second.result(30)
    assert len(made) == 1


def test_copies_are_in_no_backup(aiff: Track, member: Client, tmp_path: Path) -> None:
    _body(member.get(f"/api/v1/tracks/{aiff.pk}/audio"))
    back_up(tmp_path / "kept", lambda what, done: None)
    assert {path.name for path in (tmp_path / "kept" / "files").iterdir()} == {"tracks"}


def test_a_copy_of_what_was_deleted_meanwhile_is_not_kept(
    aiff: Track, member: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = playback.write_flac

    def then_deleted(path: Path, to: Any) -> None:
        write(path, to)
        delete_tracks([aiff.pk])

    monkeypatch.setattr(playback, "write_flac", then_deleted)
    assert member.get(f"/api/v1/tracks/{aiff.pk}/audio").status_code == 404
    assert list(Path(default_storage.path(playback.FOLDER)).iterdir()) == []


def test_a_copy_outlives_no_file(tmp_path: Path) -> None:
    name = _kept(write_audio(tmp_path / "s.aiff", _stereo()))
    copy = as_played(name).path
    default_storage.delete(name)
    with pytest.raises(FileNotFoundError):
        as_played(name)
    assert not copy.exists()


def test_copies_take_no_more_room_than_they_may(tmp_path: Path, settings: Any) -> None:
    """Those played longest ago go first, and what was cut off an hour ago."""
    names = []
    for hz in (300, 400, 500):
        folder = tmp_path / f"{hz}-{tmp_path.name}"
        folder.mkdir()
        names.append(_kept(write_audio(folder / "s.aiff", tone(2, hz))))
    copies = [as_played(name).path for name in names[:2]]
    part = copies[0].with_suffix(".part")
    part.touch()
    for age, path in ((9_000, part), (8_000, copies[1]), (7_000, copies[0])):
        when = path.stat().st_mtime - age
        os.utime(path, (when, when))
    assert as_played(names[1]).path == copies[1]  # played, so that the other is older
    settings.PLAYBACK_CACHE_MB = (copies[0].stat().st_size * 2.5) / 2**20
    last = as_played(names[2]).path
    left = {path.name for path in last.parent.iterdir()}
    assert left == {path.with_suffix(of).name for path in (copies[1], last) for of in OF_A_COPY}


@pytest.mark.parametrize("damaged", ["copy", "digest", "nothing"])
def test_a_damaged_copy_is_made_anew(damaged: str, aiff: Track, member: Client) -> None:
    address = f"/api/v1/tracks/{aiff.pk}/audio"
    right = _body(member.get(address))
    [copy] = Path(default_storage.path(playback.FOLDER)).glob("*.flac")
    number = copy.stat().st_ino
    if damaged != "nothing":
        path = copy if damaged == "copy" else copy.with_suffix(".sha256")
        path.write_bytes(path.read_bytes()[:-2] + b"\xff\xff")
    assert list(verify(Track.objects.all())) == []
    assert copy.exists() == (damaged == "nothing")
    assert _body(member.get(address)) == right
    assert damaged != "nothing" or copy.stat().st_ino == number


def test_a_copy_that_a_power_cut_left_empty_is_made_anew(aiff: Track, member: Client) -> None:
    address = f"/api/v1/tracks/{aiff.pk}/audio"
    right = _body(member.get(address))
    [copy] = Path(default_storage.path(playback.FOLDER)).glob("*.flac")
    copy.write_bytes(b"")
    assert _body(member.get(address)) == right


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["wav", "aiff"])
def test_nothing_is_remembered_of_a_damaged_recording(kind: str, tmp_path: Path) -> None:
    """Neither that nothing decodes it, nor the copy that was made of it."""
    path = write_audio(tmp_path / f"s.{kind}", _stereo())
    track = add_track(source=path, name=path.name).track
    name, whole = str(track.file.name), path.read_bytes()
    stored = Path(default_storage.path(name))
    stored.write_bytes(b"\0" * 100 if kind == "wav" else whole[:-20_000])
    repair(verify(Track.objects.all()))
    damaged = as_played(name)
    content = damaged.path.read_bytes()
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    stored.write_bytes(whole)
    reconcile()
    played = as_played(name)
    assert played.media_type == {"wav": "audio/wav", "aiff": "audio/flac"}[kind]
    assert played.path.read_bytes() != content
