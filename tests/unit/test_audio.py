"""The decoder: every format, every kind of bad input, stretches, windows and peaks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiosearch.engine import errors
from audiosearch.engine.analyzers.waveform.peaks import PeakMeter
from audiosearch.engine.analyzers.windows import windows_of
from audiosearch.engine.audio import decoding as audio
from audiosearch.engine.audio import sandbox
from tests.audio_files import ENCODINGS, noise, tone, write_audio, write_nothing
from tests.fake_encoder import Fake

LIMIT_MS = 60 * 60 * 1000


@pytest.mark.parametrize("suffix", ENCODINGS)
def test_every_format_decodes_to_the_same_sound(tmp_path: Path, suffix: str) -> None:
    path = write_audio(tmp_path / f"a{suffix}", tone(3, 440), tags={"title": "T", "artist": "A"})
    info = audio.inspect(path, max_duration_ms=LIMIT_MS)
    assert abs(info.duration_ms - 3000) < 120
    samples = sandbox.decode(path, 16000)
    spectrum = np.abs(np.fft.rfft(samples[8000:24000]))
    assert spectrum.argmax() == 440
    if suffix != ".webm":
        assert info.tags["title"] == "T"


@pytest.mark.parametrize("channels", [2, 6, 8, 16])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "surround.wav"
    one = tone(1, 440)
    quiet = np.stack([one * number / channels for number in range(channels)], 1)
    soundfile.write(path, quiet, 16000, format="WAVEX", subtype="FLOAT")
    assert sandbox.inspect(path, max_duration_ms=LIMIT_MS).channels == channels
    assert np.allclose(sandbox.decode(path, 16000), quiet.mean(axis=1), atol=1e-3)


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.flac", tone(1))
    renamed = path.rename(tmp_path / "a.mp3")
    assert audio.inspect(renamed, max_duration_ms=LIMIT_MS).format == "FLAC"


BAD = {
    "empty": (b"", errors.EmptyAudio),
    "text": (b"#EXTM3U\nfile:///etc/passwd\n", errors.UnsupportedAudio),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(200), errors.UnsupportedAudio),
    "only a header": (b"RIFF\x24\x00\x00\x00WAVE", errors.CorruptAudio),
    "flac of zeros": (b"fLaC" + bytes(4000), errors.CorruptAudio),
    "ogg of noise": (b"OggS" + np.random.default_rng(0).bytes(4000), errors.CorruptAudio),
    "mp3 of zeros": (b"ID3" + bytes(4000), errors.CorruptAudio),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_get_the_error_that_says_why(tmp_path: Path, kind: str) -> None:
    content, expected = BAD[kind]
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(expected):
        audio.inspect(path, max_duration_ms=LIMIT_MS)


def test_silent_short_long_and_truncated_are_refused(tmp_path: Path) -> None:
    silent = write_audio(tmp_path / "s.wav", tone(1, level=0.0))
    short = write_audio(tmp_path / "t.wav", tone(0.05))
    long = write_audio(tmp_path / "l.wav", tone(3))
    whole = write_audio(tmp_path / "w.flac", noise(5)).read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 5])
    hour = write_audio(tmp_path / "hour.flac", noise(1800, sample_rate=8000), 8000)
    assert audio.inspect(hour, max_duration_ms=LIMIT_MS).duration_ms == 1_800_000
    (tmp_path / "long-cut.flac").write_bytes(hour.read_bytes()[: hour.stat().st_size // 3])
    for path, limit, expected in (
        (silent, LIMIT_MS, errors.SilentAudio),
        (short, LIMIT_MS, errors.TooShort),
        (long, 2000, errors.TooLong),
        (tmp_path / "cut.flac", LIMIT_MS, errors.CorruptAudio),
        (tmp_path / "long-cut.flac", LIMIT_MS, errors.CorruptAudio),
    ):
        with pytest.raises(expected):
            audio.inspect(path, max_duration_ms=limit)


def test_a_long_silence_is_not_decoded_to_its_end_when_it_comes(tmp_path: Path) -> None:
    heard = []
    path = write_nothing(tmp_path / "hour.wav", 3600, sample_rate=8000, channels=1)
    info = audio.inspect(path, max_duration_ms=4 * 10**6, beat=lambda: heard.append(1))
    assert info.duration_ms == 3_600_000
    assert len(heard) <= 602
    path = write_nothing(tmp_path / "minutes.wav", 599, sample_rate=8000, channels=1)
    with pytest.raises(errors.SilentAudio):
        audio.inspect(path, max_duration_ms=4 * 10**6)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"RIFF????WAVE", b"fLaC", b"OggS", b"ID3", b"\xff\xfb"]),
)
def test_garbage_is_refused_and_never_crashes(body: bytes, magic: bytes) -> None:
    path = Path(f"/tmp/audiosearch-garbage-{len(body)}")  # noqa: S108
    path.write_bytes(magic + body)
    try:
        with pytest.raises(errors.AudioError):
            audio.inspect(path, max_duration_ms=LIMIT_MS)
    finally:
        path.unlink()


def test_a_stretch_is_the_same_as_that_part_of_the_whole(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "n.flac", noise(20), 32000)
    whole = sandbox.decode(path, 32000)
    part = sandbox.decode(path, 32000, start_ms=12_000, end_ms=13_000)
    assert len(part) == 32000
    assert np.abs(part - whole[12 * 32000 : 13 * 32000]).max() < 1e-3


def test_windows_cover_everything_and_pad_nothing() -> None:
    samples = np.arange(2350, dtype=np.float32)
    blocks = [samples[:700], samples[700:701], samples[701:]]
    spec = replace(Fake.spec, sample_rate=1000, window_ms=1000, hop_ms=500)
    cut = list(windows_of(spec, blocks))
    assert [w.start for w in cut] == [0, 500, 1000, 1350]
    assert all((w.samples == samples[w.start : w.start + 1000]).all() for w in cut)
    short = list(windows_of(spec, [samples[:30]]))
    assert [(w.start, len(w.samples)) for w in short] == [(0, 30)]
    exact = list(windows_of(spec, [samples[:1500]]))
    assert [w.start for w in exact] == [0, 500]


def test_peaks_follow_loudness() -> None:
    samples = np.concatenate([tone(1, level=0.1), tone(1, level=1.0)])
    meter = PeakMeter(len(samples))
    for block in (samples[:1000], samples[1000:1000], samples[1000:]):
        meter.feed(block)
    peaks = meter.finish().peaks
    assert len(peaks) <= 1000
    assert max(peaks[:450]) < 40
    assert min(peaks[550:900]) > 200
