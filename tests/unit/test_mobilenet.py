"""EfficientAT's MobileNets: our spectrogram, network and export beside the authors' code."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.analyzers.embedding.audioset import CLASSES, LABELS
from audiosearch.engine.analyzers.embedding.mobilenet import EXPORT, MobileNet
from audiosearch.engine.analyzers.embedding.mobilenet_mels import RATE, SHORTEST, log_mels
from audiosearch.engine.analyzers.embedding.mobilenet_network import MobileNetV3, load_network
from audiosearch.engine.analyzers.model_store import install_file, pull, unverified_files
from audiosearch.engine.analyzers.registry import analyzer_class
from audiosearch.engine.errors import DownloadFailed, ModelUnavailable
from tests.checkpoints import write_random_mobilenet
from tests.download_host import serving

# What the authors' code gives for `sounds(1.5)` (https://github.com/fschmid56/EfficientAT, with
# `write_random_mobilenet`): bands 0, 20, 60 and 127 of the first, middle and last frame, and the
# first six values of the unit embeddings and four of the probabilities.
MELS = (
    ((-1.3331764, -1.1788183, -1.3399775), (-0.2388927, -0.4903854, -0.2786727),
     (0.2102967, 0.5102435, -0.1577010), (1.1947629, 1.2857940, 1.2716756)),
    ((-0.0943739, -1.2349069, -0.8750645), (0.0982029, 1.0732372, 0.3866156),
     (0.2186351, 0.4329699, 0.4943841), (1.4123900, 1.2187119, 1.2353266)),
)  # fmt: skip
EMBEDDINGS = {
    0.4: ((0.00788341, 0.01295571, 0.00713140, 0.00307228, 0.00152242, 0.04891262),
          (0.0, 0.01872891, 0.03811451, 0.00803431, 0.00995150, 0.06291372)),
    1.0: ((0.02153600, 0.00346481, 0.00982434, 0.00297503, 0.07452224, 0.00216126),
          (0.02442406, 0.00298658, 0.00416253, 0.00776510, 0.06291546, 0.00364396)),
}  # fmt: skip
ENCODERS = {0.4: "mn04", 1.0: "mn10"}


def sounds(seconds: float) -> FloatArray:
    times = np.arange(round(seconds * RATE)) / RATE
    one = 0.3 * np.sin(2 * np.pi * 220 * times) * np.sin(2 * np.pi * 3 * times)
    one += 0.05 * np.sin(2 * np.pi * 1730 * times)
    other = 0.2 * np.sin(2 * np.pi * (300 * times + 80 * times**2))
    other += 0.1 * np.sin(2 * np.pi * 910 * times)
    noise = np.random.default_rng(0).normal(0, 0.02, (2, times.size))
    return (np.stack([one, other]) + noise).astype(np.float32)


def ignore(what: str, done: int, total: int) -> None:
    """No progress bar."""


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    encoder = mobilenet("mn10")
    (models / "mn10").mkdir()
    write_random_mobilenet(models / "mn10" / encoder.spec.weights[0].name, 1.0)
    assert encoder.state(models) == "needs export"
    found = encoder.prepare(models, ignore)
    assert min(found["embedding cosine"], found["probability cosine"]) > 0.99999
    return models


def mobilenet(name: str) -> type[MobileNet]:
    found = analyzer_class(name)
    assert issubclass(found, MobileNet)
    return found


def test_the_spectrogram_is_the_authors() -> None:
    found = log_mels(sounds(1.5))
    assert found.shape == (2, 128, 150)
    assert np.abs(found[:, [0, 20, 60, 127]][:, :, [0, 75, -1]] - MELS).max() < 1e-4


@pytest.mark.parametrize("width", [0.4, 1.0])
def test_the_same_embeddings_as_the_authors(width: float, tmp_path: Path) -> None:
    network = load_network(write_random_mobilenet(tmp_path / "weights.pt", width), width)
    with torch.no_grad():
        embeddings, _ = network(torch.from_numpy(log_mels(sounds(1.5))))
    unit = torch.nn.functional.normalize(embeddings).numpy()
    assert unit.shape[1] == mobilenet(ENCODERS[width]).spec.dimension
    ours, theirs = unit[:, :6], np.array(EMBEDDINGS[width])
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() > 0.99999
    assert np.abs(ours - theirs).max() < 1e-4  # float32 noise of the spectrogram, through 17 layers


def test_the_published_weights_have_as_many_tensors_and_values() -> None:
    state = MobileNetV3(1.0).state_dict()
    assert len(state) == 312
    assert sum(value.numel() for value in state.values()) == 4_901_277
    assert state["features.4.block.2.conc_se_layers.0.fc1.weight"].shape == (24, 72)
    assert state["classifier.5.weight"].shape == (CLASSES, 1280)


@pytest.mark.parametrize("spoil", ["too much", "too little", "another width", "no weights"])
def test_other_weights_are_refused(spoil: str, tmp_path: Path) -> None:
    file = write_random_mobilenet(tmp_path / "weights.pt", 0.4)
    weights = torch.load(file, weights_only=True)
    if spoil == "too much":
        torch.save({**weights, "more": torch.zeros(1)}, file)
    elif spoil == "too little":
        weights.pop("classifier.5.bias")
        torch.save(weights, file)
    elif spoil == "no weights":
        file.write_bytes(b"<html>")
    with pytest.raises(ModelUnavailable, match="does not hold the weights"):
        load_network(file, 1.0 if spoil == "another width" else 0.4)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 10])
def test_one_and_many_of_any_length_are_those_of_pytorch(models_dir: Path, seconds: float) -> None:
    encoder = mobilenet("mn10")(models_dir)
    network = load_network(models_dir / "mn10" / encoder.spec.weights[0].name, 1.0)
    windows = sounds(seconds)
    with torch.no_grad():
        theirs, _ = network(torch.from_numpy(log_mels(windows)))
    together = encoder.encode(windows).embeddings
    assert together.shape == (2, 960)
    assert (together * torch.nn.functional.normalize(theirs).numpy()).sum(1).min() > 0.9999
    alone = [encoder.encode(windows[at : at + 1]).embeddings for at in range(2)]
    assert np.allclose(np.concatenate(alone), together, atol=1e-5)


def test_sounds_shorter_than_the_shortest_are_repeated() -> None:
    short = sounds(0.02)
    looped = short[:, np.arange(SHORTEST) % short.shape[1]]
    assert np.array_equal(log_mels(short), log_mels(looped))
    assert np.isfinite(log_mels(np.zeros((1, RATE), np.float32))).all()


def test_tags_come_with_the_label_file_only(models_dir: Path) -> None:
    labels = models_dir / "mn10" / LABELS.name
    assert mobilenet("mn10")(models_dir).encode(sounds(0.5)).tag_probabilities is None
    with labels.open("w", newline="") as file:
        rows = [(at, f"/m/{at}", f"Tag, {at}") for at in range(CLASSES)]
        csv.writer(file).writerows([("index", "mid", "display_name"), *rows])
    encoder = mobilenet("mn10")(models_dir)
    labels.unlink()
    found = encoder.encode(sounds(0.5)).tag_probabilities
    assert encoder.tag_names[526] == "Tag, 526"
    assert found is not None
    assert found.shape == (2, CLASSES)
    assert 0 <= found.min() < found.max() <= 1


def test_pulled_from_a_host_and_a_damaged_download_is_thrown_away(tmp_path: Path) -> None:
    spec = mobilenet("mn04").spec
    content = write_random_mobilenet(tmp_path / "weights.pt", 0.4).read_bytes()
    with serving(content) as host:
        with pytest.raises(ModelUnavailable, match="What came from"):
            sized = replace(spec.weights[0], size=len(content), sha256="0" * 64)
            pull(replace(spec, weights=(sized,)), tmp_path, ignore, base_url=host.url)
        host.cut_after = len(content) // 2
        only = replace(spec, weights=spec.weights[:1])
        with pytest.raises(DownloadFailed, match="models pull mn04 --from"):
            pull(only, tmp_path, ignore, base_url=host.url)
        assert mobilenet("mn04").state(tmp_path) == "missing"
        host.cut_after = None
        pull(only, tmp_path, ignore, base_url=host.url)
    assert unverified_files(spec, tmp_path) == [spec.weights[0].name]
    mobilenet("mn04").prepare(tmp_path, ignore)
    assert (tmp_path / "mn04" / EXPORT).exists()
    assert mobilenet("mn04")(tmp_path).encode(sounds(0.5)).embeddings.shape == (2, 384)


def test_weights_of_ones_own_need_trust(tmp_path: Path) -> None:
    spec = mobilenet("mn10").spec
    file = write_random_mobilenet(tmp_path / "mine.pt", 1.0)
    with pytest.raises(ModelUnavailable, match="is not the published mn10"):
        install_file(spec, tmp_path, file)
    install_file(spec, tmp_path, file, trust=True)
    assert unverified_files(spec, tmp_path) == ["mn10_as_mAP_471.pt"]


def test_without_its_files_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="models pull mn10"):
        mobilenet("mn10")(tmp_path)
    with pytest.raises(ModelUnavailable, match="models pull mn10"):
        mobilenet("mn10").prepare(tmp_path, ignore)
