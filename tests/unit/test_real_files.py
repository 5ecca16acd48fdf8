"""Healthy files that careless readers refuse: by container, by time stamps, and by level."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiosearch.engine.audio import sandbox
from audiosearch.engine.audio.channels import Mixer
from audiosearch.engine.audio.formats import AudioInfo, suffix_of
from audiosearch.engine.errors import (
    SilentAudio,
    TooLong,
    UnsupportedAudio,
)
from tests.audio_files import FloatArray, noise, tone, write_audio
from tests.real_files import RATE, chained_ogg, id3, wav_bytes, write_streams

LIMIT_MS = 4 * 3600 * 1000
HOLDERS = {
    "mp3": ("mp3", "libmp3lame", "MP3"),
    "mp2": ("mp2", "mp2", "MP2"),
    "aac": ("adts", "aac", "AAC"),
    "ac3": ("ac3", "ac3", "AC-3"),
    "eac3": ("eac3", "eac3", "E-AC-3"),
    "wma": ("asf", "wmav2", "WMA"),
    "mkv": ("matroska", "flac", "MKV flac"),
    "weba": ("webm", "libopus", "WebM opus"),
    "caf": ("caf", "pcm_s16be", "CAF"),
    "w64": ("w64", "pcm_s16le", "W64"),
    "au": ("au", "pcm_s16be", "AU"),
    "mov": ("mov", "pcm_s16le", "MOV"),
    "3gp": ("3gp", "aac", "3GP"),
    "tta": ("tta", "tta", "TTA"),
    "wv": ("wv", "wavpack", "WavPack"),
    "ts": ("mpegts", "mp2", "MPEG-TS"),
    "avi": ("avi", "libmp3lame", "AVI"),
    "amr": ("amr", "libopencore_amrnb", "AMR"),
}
CODEC_RATES = {
    "wmav2": 44_100,
    "ac3": 32_000,
    "eac3": 32_000,
    "libopus": 48_000,
    "libopencore_amrnb": 8_000,
}


BEFORE = (id3(0), id3(2_000_000), bytes(731), b"\xef\xbb\xbf", b"x\n" * 9)


def inspected(path: Path) -> AudioInfo:
    return sandbox.inspect(path, max_duration_ms=LIMIT_MS)


def pitch(samples: FloatArray) -> float:
    """The strongest frequency in a second of sound at RATE."""
    return float(np.abs(np.fft.rfft(samples[:RATE] * np.hanning(RATE))).argmax())


def starts_at(samples: FloatArray) -> float:
    """The second in which something sounds first."""
    return float(np.argmax(np.abs(samples) > 0.05)) / RATE


@pytest.mark.parametrize("kind", HOLDERS)
def test_containers_are_told_by_content_and_named_for_what_they_are(
    tmp_path: Path, kind: str
) -> None:
    container, codec, name = HOLDERS[kind]
    rate = CODEC_RATES.get(codec, RATE)
    path = tmp_path / "sound.mp3"
    write_streams(path, container, codec, [[(0.0, tone(2.5, 440, rate))]], rate=rate)
    info = inspected(path)
    assert info.format == name
    assert info.duration_ms == pytest.approx(2500, abs=150)
    assert pitch(sandbox.decode(path, RATE, start_ms=500)) == 440
    assert suffix_of(name).removeprefix(".") in {kind, "webm"}


@pytest.mark.parametrize(
    "before", [id3(0), id3(2_000_000), bytes(731), b"\xef\xbb\xbf", b"x\n" * 9]
)
@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "m4a", "webm", "aac"])
def test_tags_and_junk_before_the_first_frame(tmp_path: Path, before: bytes, suffix: str) -> None:
    path = tmp_path / f"plain.{suffix}"
    if suffix == "aac":
        write_streams(path, "adts", "aac", [[(0.0, tone(2, 440, RATE))]])
    else:
        write_audio(path, tone(2, 440))
    behind = tmp_path / "behind"
    behind.write_bytes(before + path.read_bytes())
    assert inspected(behind).format == inspected(path).format
    assert inspected(behind).duration_ms == pytest.approx(2000, abs=130)
    assert pitch(sandbox.decode(behind, RATE, start_ms=500)) == 440


@pytest.mark.parametrize("magic", [b"RIFF", b"RIFX", b"BW64"])
def test_wav_under_all_its_names(tmp_path: Path, magic: bytes) -> None:
    path = tmp_path / "sound"
    path.write_bytes(wav_bytes(tone(2, 440, RATE), magic=magic))
    assert inspected(path) == AudioInfo("WAV", 2000, RATE, 1)
    assert pitch(sandbox.decode(path, RATE)) == 440


def test_quicktime_that_begins_with_moov_or_has_no_brand(tmp_path: Path) -> None:
    options = {"movflags": "faststart"}
    sound = [[(0.0, tone(2, 440, RATE))]]
    path = write_streams(tmp_path / "a.mov", "mov", "pcm_s16le", sound, options=options)
    whole = path.read_bytes()
    size = int.from_bytes(whole[:4], "big")
    assert whole[4:8] == b"ftyp"
    path.write_bytes(whole[:4] + b"wide" + bytes(size - 8) + whole[size:])
    assert len(path.read_bytes()) == len(whole), "the places in it are still right"
    assert inspected(path).format == "MOV"
    assert pitch(sandbox.decode(path, RATE)) == 440


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\n",
        b"PK\x03\x04" + bytes(26) + wav_bytes(tone(1, 440, RATE)),
        b"%PDF-1.7\n" + bytes(300) + wav_bytes(tone(1, 440, RATE)),
    ],
)
def test_playlists_and_other_files_are_not_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    with pytest.raises(UnsupportedAudio):
        inspected(path)


@pytest.mark.parametrize("second", [1, 2])
def test_chained_ogg_with_another_rate_and_layout(tmp_path: Path, second: int) -> None:
    high = np.stack([tone(3, 5000, 44_100)] * second)
    links = [(tone(2, 440, RATE), RATE), (high, 44_100), (tone(1, 880, 8_000), 8_000)]
    path = tmp_path / "chained.ogg"
    path.write_bytes(chained_ogg(tmp_path, links))
    info = inspected(path)
    assert info.format == "Ogg Vorbis"
    assert info.duration_ms == pytest.approx(6000, abs=50)
    quick = sandbox.inspect(path, max_duration_ms=LIMIT_MS, thorough=False)
    assert quick.duration_ms == pytest.approx(6000, abs=100)
    whole = sandbox.decode(path, RATE)
    assert len(whole) / RATE == pytest.approx(6, abs=0.05)
    assert [pitch(whole[at * RATE :]) for at in (0, 3, 5)] == pytest.approx([440, 5000, 880], abs=9)
    part = sandbox.decode(path, RATE, start_ms=5_050, end_ms=5_950)
    assert len(part) == pytest.approx(0.9 * RATE, abs=800)
    assert pitch(np.resize(part, RATE)) == pytest.approx(880, abs=9)


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize(("silent", "default"), [(0, None), (0, 1), (1, 0), (0, 0)])
def test_of_several_sound_tracks_one_that_sounds(
    tmp_path: Path, container: str, silent: int, default: int | None
) -> None:
    tracks = [[(0.0, tone(2, 440, RATE, level=float(number != silent)))] for number in range(2)]
    path = write_streams(tmp_path / "two", container, "aac", tracks, default=default)
    inspected(path)
    assert pitch(sandbox.decode(path, RATE, start_ms=500)) == 440


@pytest.mark.parametrize("default", [0, 1])
def test_of_several_tracks_that_sound_the_default_one(tmp_path: Path, default: int) -> None:
    tracks = [[(0.0, tone(2, hz, RATE))] for hz in (440, 880)]
    path = write_streams(tmp_path / "two", "matroska", "aac", tracks, default=default)
    assert pitch(sandbox.decode(path, RATE, start_ms=500)) == (440, 880)[default]


@pytest.mark.parametrize(("container", "codec"), [("mp3", "libmp3lame"), ("adts", "aac")])
def test_estimated_durations_are_not_held_against_a_file(
    tmp_path: Path, container: str, codec: str
) -> None:
    silence_first = np.concatenate([np.zeros(6 * RATE, np.float32), noise(20, sample_rate=RATE)])
    options = {"write_xing": "0"} if container == "mp3" else {}
    path = write_streams(
        tmp_path / "a", container, codec, [[(0.0, silence_first)]], options=options
    )
    for thorough in (True, False):
        info = sandbox.inspect(path, max_duration_ms=LIMIT_MS, thorough=thorough)
        assert info.duration_ms == pytest.approx(26_000, abs=150)
    assert starts_at(sandbox.decode(path, RATE)) == pytest.approx(6, abs=0.1)
    part = sandbox.decode(path, RATE, start_ms=20_000)
    assert len(part) / RATE == pytest.approx(6, abs=0.15)


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("mp4", "aac")])
def test_gaps_between_time_stamps_are_silence(tmp_path: Path, container: str, codec: str) -> None:
    rate = CODEC_RATES.get(codec, RATE)
    stretches = [(0.0, tone(2, 440, rate)), (12.0, tone(2, 880, rate))]
    path = write_streams(tmp_path / "paused", container, codec, [stretches], rate=rate)
    assert inspected(path).duration_ms == pytest.approx(14_000, abs=100)
    whole = sandbox.decode(path, RATE)
    assert starts_at(whole[RATE * 5 :]) == pytest.approx(7, abs=0.05)
    assert np.abs(whole[3 * RATE : 11 * RATE]).max() == 0
    part = sandbox.decode(path, RATE, start_ms=11_500, end_ms=13_000)
    assert starts_at(part) == pytest.approx(0.5, abs=0.05)
    assert pitch(part[RATE // 2 :]) == pytest.approx(880, abs=2)


def test_sound_that_starts_late_and_ends_before_the_picture(tmp_path: Path) -> None:
    sound = [(7.0, tone(3, 440, RATE))]
    path = write_streams(tmp_path / "a", "matroska", "aac", [sound], picture_s=30)
    assert inspected(path).duration_ms == pytest.approx(10_000, abs=130)
    assert starts_at(sandbox.decode(path, RATE)) == pytest.approx(7, abs=0.05)
    assert starts_at(sandbox.decode(path, RATE, start_ms=6_500)) == pytest.approx(0.5, abs=0.05)


def test_gaps_of_hours_are_neither_kept_nor_let_in(tmp_path: Path) -> None:
    days = [(0.0, tone(1, 440, RATE)), (90_000.0, tone(1, 440, RATE))]
    path = write_streams(tmp_path / "a", "matroska", "aac", [days])
    assert inspected(path).duration_ms == pytest.approx(2000, abs=200)
    assert len(sandbox.decode(path, RATE)) < 3 * RATE
    hours = [(3000.0 * number, tone(1, 440, RATE)) for number in range(3)]
    write_streams(path, "matroska", "aac", [hours])
    with pytest.raises(TooLong):
        sandbox.inspect(path, max_duration_ms=3_600_000)


@pytest.mark.parametrize("right", [-1.0, -0.95])
def test_what_channels_cancel_is_heard(tmp_path: Path, right: float) -> None:
    left = noise(3, sample_rate=RATE)
    path = tmp_path / "antiphase.wav"
    soundfile.write(path, np.stack([left, right * left], 1), RATE, subtype="FLOAT")
    inspected(path)
    assert np.allclose(sandbox.decode(path, RATE), left, atol=1e-4)


def test_ordinary_stereo_is_its_mean_to_the_bit() -> None:
    left, right = noise(2, 1), noise(2, 2)
    packed = np.stack([left, right], 1)
    expected = packed @ np.full(2, 0.5, np.float32)
    mixer = Mixer(2)
    found = [mixer.mix(packed[:32_000]), mixer.mix(packed[32_000:])]
    assert np.array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize("offset", [0.001, 0.01, -0.1])
def test_an_offset_is_taken_away(tmp_path: Path, offset: float) -> None:
    plain = np.concatenate([np.zeros(RATE, np.float32), tone(1.3, 440, RATE, level=0.2)])
    path = tmp_path / "offset.wav"
    soundfile.write(path, plain + offset, RATE, subtype="FLOAT")
    found = sandbox.decode(path, RATE)
    assert np.abs(found - plain).max() < 1e-4


@pytest.mark.parametrize(
    ("subtype", "level", "heard"),
    [
        ("PCM_16", 1.4 / 2**15, False),
        ("PCM_16", 5 / 2**15, True),
        ("PCM_24", 1e-4, True),
        ("PCM_24", 1.4 / 2**23, False),
        ("FLOAT", 1e-5, True),
    ],
)
def test_quiet_is_not_silence(tmp_path: Path, subtype: str, level: float, heard: bool) -> None:
    path = tmp_path / "quiet.wav"
    soundfile.write(path, tone(1, 440, RATE, level=level), RATE, subtype=subtype)
    if heard:
        assert inspected(path).duration_ms == 1000
    else:
        with pytest.raises(SilentAudio):
            inspected(path)


def test_a_constant_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "constant.wav"
    soundfile.write(path, np.full(RATE, 0.25, np.float32), RATE)
    with pytest.raises(SilentAudio):
        inspected(path)
