"""The demo catalogue: enough of it, well-formed, and the same every time."""

from collections import Counter
from hashlib import sha256
from itertools import islice

import av
import numpy as np
import pytest
import soxr

from apps.ops.demo.catalogue import demo_sounds
from apps.ops.demo.flac import write_flac, write_noisy_excerpt
from apps.ops.demo.shaping import RATE, finish
from apps.ops.management.commands.demo import EXCERPT_OF
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.matchers.same_recording import identify
from tests.landmark_sounds import analysed

pytestmark = pytest.mark.exhaustive  # all of it is rendered


@pytest.fixture(scope="module")
def catalogue():
    return list(demo_sounds())


def test_counts_and_families(catalogue):
    sounds = Counter(sound.family for sound in catalogue if sound.kind == "sound")
    tunes = Counter(sound.family for sound in catalogue if sound.kind == "music")
    assert len(sounds) >= 10
    assert set(sounds.values()) == {7}
    assert sum(tunes.values()) == 20
    assert len(tunes) >= 5
    assert not sounds.keys() & tunes.keys()


def test_every_entry_is_named_and_described(catalogue):
    assert len({sound.title for sound in catalogue}) == len(catalogue)
    for sound in catalogue:
        assert sound.title.strip() and sound.description.endswith(".")
        assert sound.tags and all(tag == tag.strip().lower() for tag in sound.tags)
        assert not set(sound.title) & set('/\\:*?"<>|'), "the title becomes a file name"


def test_durations(catalogue):
    for sound in catalogue:
        low, high = (1.0, 6.0) if sound.kind == "sound" else (8.0, 20.0)
        assert low <= len(sound.samples) / RATE <= high, sound.title


def test_samples_are_clean(catalogue):
    for sound in catalogue:
        samples = sound.samples
        assert samples.dtype == np.float32 and samples.ndim == 1, sound.title
        assert np.isfinite(samples).all(), sound.title
        peak_db = 20 * np.log10(np.max(np.abs(samples)))
        assert -11.0 <= peak_db <= -2.99, sound.title
        assert abs(samples.mean()) < 1e-4, sound.title


def test_both_ends_are_faded(catalogue):
    for sound in catalogue:
        few = RATE // 5000
        peak = np.max(np.abs(sound.samples))
        assert sound.samples[0] == sound.samples[-1] == 0.0, sound.title
        assert np.max(np.abs(sound.samples[:few])) < 0.02 * peak, sound.title
        assert np.max(np.abs(sound.samples[-few:])) < 0.001 * peak, sound.title


def test_no_two_sounds_of_a_family_are_alike(catalogue):
    spectra = {}
    for sound in catalogue:
        power = np.abs(np.fft.rfft(sound.samples[:32_000])) ** 2
        bands = np.log10(np.add.reduceat(power, np.arange(0, 16_000, 125)) + 1e-9)
        for title, other in spectra.setdefault(sound.family, {}).items():
            assert np.sqrt(np.mean((bands - other) ** 2)) > 0.05, (title, sound.title)
        spectra[sound.family][sound.title] = bands


def test_the_same_sound_gives_the_same_file(catalogue, tmp_path):
    digests = []
    for number, sound in enumerate([catalogue[0], *islice(demo_sounds(), 1)]):
        path = tmp_path / f"{number}.flac"
        write_flac(path, sound)
        digests.append(sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_files_carry_their_tags_and_samples(catalogue, tmp_path):
    for sound in (catalogue[0], catalogue[-1]):
        path = tmp_path / "sound.flac"
        write_flac(path, sound)
        with av.open(str(path)) as container:
            tags = {key.lower(): value for key, value in container.metadata.items()}
            pcm = np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)])
            assert container.streams.audio[0].rate == RATE
        assert tags["title"] == sound.title
        assert tags["artist"] == "audiosearch demo"
        assert tags["album"] == sound.family
        assert b"Lavf" not in path.read_bytes()[:4096]
        assert np.max(np.abs(pcm / 32767 - sound.samples)) <= 0.6 / 32767


def test_the_noisy_excerpt_is_recognised_among_the_tunes(catalogue, tmp_path):
    index = ExactLandmarkIndex()
    index.create_space("s", TrackPayload.layout)
    tunes = [sound for sound in catalogue if sound.kind == "music"]
    for number, tune in enumerate(tunes):
        landmarks = analysed(soxr.resample(tune.samples, RATE, SAMPLE_RATE))
        index.upsert("s", [LandmarkEntry(TrackPayload(track_id=number), landmarks)])
    (number,) = (number for number, tune in enumerate(tunes) if tune.title == EXCERPT_OF)
    write_noisy_excerpt(tmp_path / "excerpt.flac", tunes[number])
    with av.open(str(tmp_path / "excerpt.flac")) as container:
        heard = np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)])
    answer = identify(heard.astype(np.float32) / 32767, RATE, index, "s")
    assert (answer.verdict, answer.hits[0].item_id) == ("match", number)


def test_finish_takes_away_dc_and_sets_the_peak():
    wave = 0.7 + np.sin(np.arange(32_000) * 0.1)
    clean = finish(wave, -6.0)
    assert abs(clean.mean()) < 1e-3
    assert np.max(np.abs(clean)) == pytest.approx(10 ** (-6 / 20), rel=1e-3)
