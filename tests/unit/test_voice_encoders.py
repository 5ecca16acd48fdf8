"""ECAPA-TDNN and WavLM: our networks beside those whose weights they load."""

from pathlib import Path

import numpy as np
import pytest
import torch

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.analyzers.registry import analyzer_class, load_analyzer
from audiosearch.engine.analyzers.speaker.ecapa_network import EcapaTdnn, load_speechbrain
from audiosearch.engine.analyzers.speaker.onnx_encoder import LONGEST, RATE, SHORTEST
from audiosearch.engine.errors import ModelUnavailable

PUBLISHED = {
    512: (
        (-0.03242778, -0.01437578, 0.01968477, 0.07249538, -0.16748132, -0.04343100),
        (-0.05285495, 0.01033589, 0.05457461, 0.03518775, -0.21140936, -0.07259618),
    ),
    1024: (
        (-0.01466250, -0.01973957, -0.08223104, -0.09849633, 0.00832322, -0.11067180),
        (-0.01899279, -0.05384527, -0.06554729, -0.13000177, 0.01617677, -0.05770465),
    ),
}
"""The first six values of the unit embeddings of `sounds()` as SpeechBrain 1.1.2 gives them (its
ECAPA_TDNN, STFT and Filterbank, the mean over time taken off) with `weights()`."""


def sounds() -> FloatArray:
    times = np.arange(40_000) / RATE
    one = 0.3 * np.sin(2 * np.pi * 220 * times) * np.sin(2 * np.pi * 3 * times)
    one += 0.05 * np.sin(2 * np.pi * 1730 * times)
    other = 0.2 * np.sin(2 * np.pi * (300 * times + 80 * times**2))
    other += 0.1 * np.sin(2 * np.pi * 910 * times)
    return np.stack([one, other]).astype(np.float32)


def weights(channels: int) -> dict[str, torch.Tensor]:
    """A checkpoint as SpeechBrain writes it, drawn at random."""
    shapes = {_their_name(name): value for name, value in EcapaTdnn(channels).state_dict().items()}
    rng, drawn = np.random.default_rng(0), {}
    for name, value in sorted(shapes.items()):
        if name.endswith("num_batches_tracked"):
            drawn[name] = torch.zeros((), dtype=torch.int64)
            continue
        if name.endswith("running_var"):
            found = rng.uniform(0.5, 1.5, value.shape)
        elif value.ndim > 1:
            found = rng.normal(0, np.sqrt(2 / np.prod(value.shape[1:])), value.shape)
        elif name.endswith("norm.weight"):
            found = rng.uniform(0.5, 1.5, value.shape)
        else:
            found = rng.normal(0, 0.1, value.shape)
        drawn[name] = torch.from_numpy(found.astype(np.float32))
    return drawn


def _their_name(name: str) -> str:
    *parents, leaf = name.split(".")
    wrapper = "norm" if parents[-1] in ("norm", "asp_bn") else "conv"
    return ".".join([*parents, wrapper, leaf])


@pytest.mark.parametrize("channels", [512, 1024])
def test_the_same_embeddings_as_speechbrain(channels: int, tmp_path: Path) -> None:
    torch.save(weights(channels), tmp_path / "embedding_model.ckpt")
    network = load_speechbrain(tmp_path / "embedding_model.ckpt")
    with torch.no_grad():
        found = torch.nn.functional.normalize(network(torch.from_numpy(sounds()))).numpy()
    assert np.abs(found[:, :6] - PUBLISHED[channels]).max() < 1e-5


def test_ecapa_is_pulled_exported_and_hears(tmp_path: Path) -> None:
    folder = tmp_path / "ecapa"
    folder.mkdir()
    ecapa = analyzer_class("ecapa")
    assert ecapa.state(tmp_path) == "missing"
    with pytest.raises(ModelUnavailable, match="models pull ecapa"):
        ecapa(tmp_path)
    torch.save(weights(512), folder / "embedding_model.ckpt")
    assert ecapa.state(tmp_path) == "needs export"
    assert ecapa.prepare(tmp_path, lambda *_: None)["embedding cosine"] > 0.9999
    assert ecapa.state(tmp_path) == "ready"
    encoder = load_analyzer("ecapa", tmp_path, threads=1)
    found = encoder.encode(sounds()).embeddings
    assert np.abs(found[:, :6] - PUBLISHED[512]).max() < 1e-4
    short = sounds()[:1, : RATE // 2]
    assert np.allclose(
        encoder.encode(short).embeddings,
        encoder.encode(np.resize(short, (1, SHORTEST))).embeddings,
    )
    long = encoder.encode(np.resize(sounds()[:1], (1, LONGEST + RATE))).embeddings
    assert long.shape == (1, 192)
    assert np.isclose(np.linalg.norm(long), 1, atol=1e-5)


def test_weights_that_are_not_of_ecapa(tmp_path: Path) -> None:
    for content in (b"", b"junk", b"PK\x03\x04junk"):
        (tmp_path / "junk.ckpt").write_bytes(content)
        with pytest.raises(ModelUnavailable, match="does not hold"):
            load_speechbrain(tmp_path / "junk.ckpt")
    torch.save({"a.b.c": torch.zeros(1)}, tmp_path / "other.ckpt")
    with pytest.raises(ModelUnavailable, match="does not hold"):
        load_speechbrain(tmp_path / "other.ckpt")


@pytest.mark.exhaustive
def test_wavlm_says_what_its_package_says(tiny_wavlm: Path) -> None:
    import transformers

    wavlm = analyzer_class("wavlm")
    models = tiny_wavlm.parent
    assert wavlm.state(models) == "needs export"
    assert wavlm.prepare(models, lambda *_: None)["embedding cosine"] > 0.9999
    encoder = load_analyzer("wavlm", models, threads=1)
    ours = encoder.encode(sounds()).embeddings
    model = transformers.WavLMForXVector.from_pretrained(tiny_wavlm, local_files_only=True).eval()
    listen = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    heard = listen(list(sounds()), sampling_rate=RATE, return_tensors="pt")
    with torch.no_grad():
        theirs = torch.nn.functional.normalize(model(heard.input_values).embeddings).numpy()
    assert np.abs(ours - theirs).max() < 1e-4
    assert (ours[0] @ ours[1]) < 0.99999


@pytest.mark.exhaustive
def test_a_folder_that_holds_no_wavlm(tmp_path: Path) -> None:
    folder = tmp_path / "wavlm"
    folder.mkdir()
    with pytest.raises(ModelUnavailable, match="these are missing: config"):
        analyzer_class("wavlm").prepare(tmp_path, lambda *_: None)
    for name in ("config.json", "preprocessor_config.json", "pytorch_model.bin"):
        (folder / name).write_text("{}")
    with pytest.raises(ModelUnavailable, match="does not hold"):
        analyzer_class("wavlm").prepare(tmp_path, lambda *_: None)
