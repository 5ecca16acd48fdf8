"""The built-in encoder: invariances, odd input, and how well it finds real sounds."""

import csv
from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.analyzers.embedding.spectral import Spectral
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.scoring.retrieval import cosine_distances, leave_one_out
from tests.audio_files import noise, tone

ESC10 = Path(__file__).parents[3] / "shared" / "data" / "esc10"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Spectral:
    return Spectral(tmp_path_factory.mktemp("models"))


def test_vectors_have_unit_length_and_do_not_depend_on_the_batch(encoder: Spectral) -> None:
    windows = np.stack([noise(2, seed) for seed in range(3)])
    together = encoder.encode(windows).embeddings
    alone = np.concatenate([encoder.encode(window[None]).embeddings for window in windows])
    assert together.shape == (3, 128)
    assert together.dtype == np.float32
    assert np.allclose(together, alone, atol=1e-6)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_loudness_and_silence_around_do_not_matter(encoder: Spectral) -> None:
    sound = noise(2)
    padded = np.concatenate([np.zeros(32000, np.float32), sound])
    one, soft, later = (
        encoder.encode(samples[None]).embeddings[0] for samples in (sound, 0.1 * sound, padded)
    )
    other = encoder.encode(tone(2)[None]).embeddings[0]
    assert one @ soft > 0.98
    assert one @ later > one @ other


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(3200, np.float32),
        np.ones(3200, np.float32),
        np.eye(1, 320000, 1000, dtype=np.float32)[0],
        np.full(32000, 1e-20, np.float32),
        noise(10, level=1.0),
    ],
)
def test_odd_sounds_give_finite_vectors(encoder: Spectral, samples: np.ndarray) -> None:
    assert np.isfinite(encoder.encode(samples[None]).embeddings).all()


def test_a_part_of_a_sound_is_nearest_to_its_whole(encoder: Spectral) -> None:
    sounds = [tone(8, 300), tone(8, 3000), noise(8), noise(8) * np.abs(tone(8, 2))]
    wholes = np.concatenate([encoder.encode(sound[None]).embeddings for sound in sounds])
    for number, sound in enumerate(sounds):
        part = encoder.encode(sound[None, 70000:150000]).embeddings[0]
        assert (wholes @ part).argmax() == number


@pytest.mark.exhaustive
def test_real_sounds_are_found(encoder: Spectral) -> None:
    if not ESC10.exists():
        pytest.skip("needs the ESC-10 clips beside the project")
    with (ESC10 / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    vectors = np.concatenate(
        [encoder.encode(decode(ESC10 / row["path"], 32000)[None]).embeddings for row in rows]
    )
    found = leave_one_out(
        cosine_distances(vectors),
        [row["label"] for row in rows],
        [row["freesound_id"] for row in rows],
    )
    assert found.mean_average_precision > 0.57
    assert found.precision_at_1 > 0.78
