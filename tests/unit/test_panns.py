"""Cnn14 from a checkpoint in the published format: export, parity, tags, refusals, silence."""

import csv
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.analyzers.embedding import panns
from audiosearch.engine.analyzers.embedding.audioset import CLASSES
from audiosearch.engine.errors import ModelUnavailable
from tests.audio_files import noise
from tests.checkpoints import write_random_cnn14

ROOT = Path(__file__).parents[2]
SECONDS_AND_BATCH = (
    (0.1, 2),
    (1, 4),
    *(pytest.param(*one, marks=pytest.mark.exhaustive) for one in ((0.31, 3), (10, 2))),
)
FORBIDDING = """
import sys
def forbid(event, arguments):
    assert event not in ("socket.connect", "socket.getaddrinfo", "os.system"), (event, arguments)
    assert event != "subprocess.Popen" or "wget" not in str(arguments), arguments
sys.addaudithook(forbid)
"""


def ignore(what: str, done: int, total: int) -> None:
    """No progress bar."""


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    models = tmp_path_factory.mktemp("models")
    folder = models / "panns_cnn14"
    folder.mkdir()
    write_random_cnn14(folder / panns.CHECKPOINT.name)
    assert panns.Cnn14.state(models) == "needs export"
    found = panns.Cnn14.prepare(models, ignore)
    assert found["embedding cosine"] > 0.99999
    assert found["probability cosine"] > 0.99999
    assert found["embedding largest difference"] < 1e-3
    assert found["probability largest difference"] < 1e-4
    assert sorted(path.name for path in folder.iterdir()) == [panns.CHECKPOINT.name, panns.EXPORT]
    yield models
    shutil.rmtree(models)  # 650 MB, of which pytest would keep three


@pytest.fixture(scope="session")
def torch_model(models_dir: Path) -> Any:
    from audiosearch.engine.analyzers.embedding.panns_export import load_torch_model

    return load_torch_model(models_dir / "panns_cnn14" / panns.CHECKPOINT.name)


@pytest.fixture(scope="session")
def encoder(models_dir: Path) -> panns.Cnn14:
    return panns.Cnn14(models_dir)


def sounds(seconds: float, count: int) -> FloatArray:
    """Tones of different heights and loudnesses, each in some noise.

    A tone alone leaves most mel bands to rounding errors, which no two programs share.
    """
    at = np.arange(round(seconds * panns.RATE)) / panns.RATE
    rows = [
        noise(seconds, n)[: at.size] * (n + 1) / 10
        + np.sin(2 * np.pi * 90 * 3**n * at) / (2 * n + 2)
        for n in range(count)
    ]
    return np.array(rows, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "batch"), SECONDS_AND_BATCH)
def test_vectors_and_tags_are_those_of_pytorch(
    models_dir: Path, torch_model: Any, seconds: float, batch: int
) -> None:
    import torch

    write_labels(models_dir)
    encoder = panns.Cnn14(models_dir)
    windows = sounds(seconds, batch)
    with torch.no_grad():
        heard = torch_model(torch.from_numpy(looped(windows)))
    theirs = heard["embedding"].numpy()
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = encoder.encode(windows)
    assert ours.embeddings.shape == (batch, 2048)
    assert ours.embeddings.dtype == np.float32
    assert (ours.embeddings * theirs).sum(axis=1).min() > 0.99999
    assert np.allclose(np.linalg.norm(ours.embeddings, axis=1), 1, atol=1e-5)
    assert ours.tag_probabilities is not None
    assert np.allclose(ours.tag_probabilities, heard["clipwise_output"].numpy(), atol=1e-4)


def looped(windows: FloatArray) -> FloatArray:
    """Sounds repeated up to the shortest that the network can hear, sample by sample."""
    length = max(panns.SHORTEST, windows.shape[1])
    return windows[:, np.arange(length) % windows.shape[1]]


def write_labels(models_dir: Path) -> None:
    with (models_dir / "panns_cnn14" / panns.LABELS.name).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["index", "mid", "display_name"])
        rows.writerows([n, f"/m/{n}", f"Tag, {n}"] for n in range(CLASSES))


@pytest.mark.slow
def test_the_random_checkpoint_tells_sounds_apart(encoder: panns.Cnn14) -> None:
    vectors = encoder.encode(sounds(1, 4)).embeddings
    likeness = (vectors @ vectors.T)[np.triu_indices(4, 1)]
    assert likeness.max() < 0.99


@pytest.mark.slow
def test_one_sample_less_is_too_short_for_the_network(torch_model: Any) -> None:
    import torch

    with torch.no_grad():
        torch_model(torch.zeros(1, panns.SHORTEST))
        with pytest.raises(RuntimeError, match="too small"):
            torch_model(torch.zeros(1, panns.SHORTEST - 1))


@pytest.mark.slow
def test_a_vector_does_not_depend_on_its_batch_nor_on_the_thread(encoder: panns.Cnn14) -> None:
    windows = sounds(1, 4)
    together = encoder.encode(windows).embeddings
    with ThreadPoolExecutor(4) as pool:
        alone = pool.map(lambda row: encoder.encode(windows[row : row + 1]).embeddings, range(4))
        assert np.allclose(np.concatenate(list(alone)), together, atol=1e-5)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_tags_come_with_the_whole_label_file_only(models_dir: Path) -> None:
    labels = models_dir / "panns_cnn14" / panns.LABELS.name
    windows = sounds(1, 1)
    write_labels(models_dir)
    assert panns.Cnn14(models_dir).tag_names[526] == "Tag, 526"
    for partial in ("", "<html>\n" * 528):
        labels.write_text(partial)  # what a failed wget leaves is an empty file
        encoder = panns.Cnn14(models_dir)
        assert encoder.tag_names == ()
        assert encoder.encode(windows).tag_probabilities is None
    labels.unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda bias: bias.add_(0.5), marks=pytest.mark.exhaustive, id="elsewhere"),
        pytest.param(lambda bias: bias.fill_(np.nan), id="no numbers"),
    ],
)
def test_an_export_that_differs_is_not_faithful(
    models_dir: Path, torch_model: Any, spoil: Any
) -> None:
    from audiosearch.engine.analyzers.embedding.panns_export import compare

    bias = torch_model.fc1.bias.data
    kept = bias.clone()
    spoil(bias)
    found = compare(torch_model, models_dir / "panns_cnn14" / panns.EXPORT)
    bias.copy_(kept)
    assert not found["embedding"].faithful


@pytest.mark.slow
@pytest.mark.exhaustive
def test_an_unfaithful_export_leaves_nothing(torch_model: Any, tmp_path: Path) -> None:
    import torch

    folder = tmp_path / "panns_cnn14"
    folder.mkdir()
    weights = {**torch_model.state_dict(), "fc1.bias": torch.full((2048,), torch.nan)}
    torch.save({"model": weights}, folder / panns.CHECKPOINT.name)
    with pytest.raises(ModelUnavailable, match="not faithful to PyTorch"):
        panns.Cnn14.prepare(tmp_path, ignore)
    assert [path.name for path in folder.iterdir()] == [panns.CHECKPOINT.name]
    assert panns.Cnn14.state(tmp_path) == "needs export"
    (folder / panns.CHECKPOINT.name).unlink()


@pytest.mark.slow
@pytest.mark.exhaustive
def test_an_export_that_does_not_fit_leaves_the_one_before(models_dir: Path) -> None:
    folder = models_dir / "panns_cnn14"
    before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50 << 20, hard))
    try:
        with pytest.raises(ModelUnavailable, match=r"could not be written to .*: File too large"):
            panns.Cnn14.prepare(models_dir, ignore)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()) == before


def test_without_its_files_it_says_what_to_run(tmp_path: Path) -> None:
    assert panns.Cnn14.state(tmp_path) == "missing"
    for ask in (lambda: panns.Cnn14(tmp_path), lambda: panns.Cnn14.prepare(tmp_path, ignore)):
        with pytest.raises(ModelUnavailable, match="models pull panns_cnn14"):
            ask()


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"<html>" * 1000, "code", "list"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes | str) -> None:
    import torch

    folder = tmp_path / "panns_cnn14"
    folder.mkdir()
    file = folder / panns.CHECKPOINT.name
    if content == "code":
        torch.save({"model": Path(tmp_path)}, file)
    elif content == "list":
        torch.save([1, 2], file)
    else:
        file.write_bytes(content)
    with pytest.raises(ModelUnavailable, match="does not hold the weights"):
        panns.Cnn14.prepare(tmp_path, ignore)
    assert panns.Cnn14.state(tmp_path) == "needs export"


@pytest.mark.slow
@pytest.mark.parametrize("core", [b"numpy._core", b"numpy.core"])
def test_arrays_beside_the_weights_are_let_through(tmp_path: Path, core: bytes) -> None:
    import torch

    from audiosearch.engine.analyzers.embedding.panns_export import read_weights

    file = tmp_path / "trained.pth"
    sampler = {"indexes": np.arange(9), "weight": np.float32(1), "rate": np.float64(0.5)}
    content = {"iteration": np.int64(3), "model": {"w": torch.ones(2)}, "sampler": sampler}
    torch.save(content, file, _use_new_zipfile_serialization=False)
    file.write_bytes(file.read_bytes().replace(b"numpy._core", core))
    assert torch.equal(read_weights(file)["w"], torch.ones(2))


def test_importing_it_is_light_and_silent(tmp_path: Path) -> None:
    run_at_home(
        tmp_path,
        "from audiosearch.engine.analyzers.embedding import panns\n"
        "heavy = {'torch', 'onnxruntime', 'panns_inference', 'librosa'} & set(sys.modules)\n"
        "assert not heavy, heavy\n",
    )


@pytest.mark.slow
@pytest.mark.exhaustive
def test_building_it_fetches_nothing_and_writes_nothing_at_home(tmp_path: Path) -> None:
    run_at_home(
        tmp_path,
        "from audiosearch.engine.analyzers.embedding import panns_export\n"
        "panns_export.build_torch_model()\n"
        "left = {'panns_inference', 'matplotlib', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not left, left\n",
    )


@pytest.mark.slow
def test_onnx_runtime_keeps_no_identifier_at_home(models_dir: Path, tmp_path: Path) -> None:
    run_at_home(
        tmp_path,
        "import pathlib\n"
        "from audiosearch.engine.analyzers.embedding.panns import Cnn14\n"
        f"Cnn14(pathlib.Path({str(models_dir)!r}))\n"
        "assert 'onnxruntime' in sys.modules\n",
    )


def run_at_home(tmp_path: Path, code: str) -> None:
    """Run code with an empty home folder, no programs, and no network; home stays empty."""
    home = tmp_path / "home"
    home.mkdir()
    reporting = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "XDG_CACHE_HOME")
    kept = {name: value for name, value in os.environ.items() if name not in reporting}
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDING + code],
        cwd=ROOT,
        env={**kept, "HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
