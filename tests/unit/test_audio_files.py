from pathlib import Path

import av
import numpy as np
import pytest

from tests.audio_files import ENCODINGS, noise, tone, write_audio

TAGS = {"title": "A tone", "artist": "Nobody", "album": "Tests"}


def read(path: Path) -> tuple[np.ndarray, int, dict[str, str], int]:
    """(channels, samples), sample rate, tags in lower case, number of video streams."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        converter = av.AudioResampler(format="fltp")
        blocks = [
            part.to_ndarray()
            for frame in container.decode(stream)
            for part in converter.resample(frame)
        ]
        tags = {**stream.metadata, **container.metadata}
        return (
            np.concatenate(blocks, axis=1),
            stream.codec_context.sample_rate,
            {name.lower(): value for name, value in tags.items()},
            len(container.streams.video),
        )


@pytest.mark.parametrize("suffix", ENCODINGS)
@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_reads_back_with_its_length_pitch_level_and_tags(
    tmp_path: Path, suffix: str, seconds: float
) -> None:
    path = write_audio(tmp_path / f"tone{suffix}", tone(seconds, hz=1000), tags=TAGS)
    samples, sample_rate, tags, videos = read(path)
    assert samples.shape[1] / sample_rate == pytest.approx(seconds, abs=0.12)
    spectrum = np.abs(np.fft.rfft(samples[0]))
    assert spectrum.argmax() * sample_rate / samples.shape[1] == pytest.approx(1000, abs=10)
    assert np.std(samples[0]) == pytest.approx(0.5 / np.sqrt(2), rel=0.15)
    assert tags.items() >= TAGS.items()
    assert videos == (suffix == ".mp4")


@pytest.mark.parametrize("suffix", ENCODINGS)
def test_keeps_stereo_channels_apart(tmp_path: Path, suffix: str) -> None:
    stereo = np.stack([tone(1.0, hz=500), np.zeros(32000, np.float32)])
    samples, _, _, _ = read(write_audio(tmp_path / f"stereo{suffix}", stereo))
    assert len(samples) == 2
    assert np.std(samples[0]) > 10 * np.std(samples[1])


@pytest.mark.parametrize("suffix", ENCODINGS)
def test_writes_44100_hz(tmp_path: Path, suffix: str) -> None:
    path = write_audio(tmp_path / f"cd{suffix}", tone(1.0, sample_rate=44100), 44100)
    samples, sample_rate, _, _ = read(path)
    assert sample_rate == (ENCODINGS[suffix].sample_rate or 44100)
    assert samples.shape[1] / sample_rate == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_lossless_formats_lose_only_rounding(tmp_path: Path, suffix: str) -> None:
    sound = noise(0.7)
    samples, _, _, _ = read(write_audio(tmp_path / f"noise{suffix}", sound))
    assert samples.shape == (1, len(sound))
    assert np.abs(samples[0] - sound).max() < 1 / 32000


def test_tone_and_noise_have_their_length_level_and_seed() -> None:
    assert tone(0.5).shape == noise(0.5).shape == (16000,)
    assert tone(0.5).dtype == noise(0.5).dtype == np.float32
    assert np.abs(tone(0.5, level=0.2)).max() == pytest.approx(0.2, abs=1e-3)
    assert np.abs(noise(0.5, level=0.2)).max() <= np.float32(0.2)
    assert np.array_equal(noise(0.5, seed=3), noise(0.5, seed=3))
    assert not np.array_equal(noise(0.5, seed=3), noise(0.5, seed=4))
