"""Training a voice encoder: it learns, it goes on where it was, and it becomes an encoder."""

import csv
import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from audiosearch.engine.analyzers.registry import (
    add_trained,
    analyzer_class,
    analyzer_names,
    load_analyzer,
)
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.training import trainer as training
from audiosearch.engine.training.augment import SPEEDS, SpecAugment, at_speed, augment_speech
from audiosearch.engine.training.corpus import Utterance, cut_noises, cut_speech, read_samples
from audiosearch.engine.training.losses import Margin, MarginSoftmax
from audiosearch.engine.training.trainer import Settings, Trainer
from audiosearch.engine.voice.speech import RATE
from tests.voices import speak

SMALL = Settings(channels=16, crop_s=1.0, batch=8, epochs=4, learning_rate=3e-3, patience=9)


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "HEARD_S", 1.0)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight voices, twice each, and a file in which nobody speaks."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = [("silence.wav", "nobody")]
    soundfile.write(folder / "silence.wav", np.zeros(RATE), RATE)
    for seed in range(8):
        for words in range(2):
            name = f"{seed}-{words}.wav"
            soundfile.write(folder / name, speak(seed, 5, words), RATE)
            rows.append((name, f"voice {seed}"))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "speaker"), *rows])
    return folder / "labels.csv"


@pytest.fixture(scope="module")
def speech(labels: Path) -> tuple[list[Utterance], list[Utterance]]:
    with labels.open() as file:
        rows = [(labels.parent / row["path"], row["speaker"]) for row in csv.DictReader(file)]
    counted: list[int] = []
    found, left_out = cut_speech(rows, labels.parent / "speech", counted.append)
    assert counted == list(range(1, 18))
    assert len(found) == 16
    assert left_out[0].startswith("silence.wav: ")
    again, _ = cut_speech(rows, labels.parent / "speech", counted.append)
    assert again == found
    unseen = [one for one in found if one.speaker in ("voice 6", "voice 7")]
    return [one for one in found if one not in unseen], unseen


@pytest.mark.exhaustive
@pytest.mark.parametrize("loss", ["aam", "am"])
def test_the_loss_falls(
    speech: tuple[list[Utterance], list[Utterance]], tmp_path: Path, loss: Margin
) -> None:
    said: list[tuple[int, int, int, float]] = []
    settings = Settings(**{**vars(SMALL), "loss": loss, "epochs": 2})
    trainer = Trainer(settings, *speech, tmp_path, said=lambda *told: said.append(told))
    history = trainer.run().history
    losses = [one.loss for one in history if one.loss is not None]
    assert losses[-1] < losses[0]
    assert history[0].loss is None
    assert len(said) == 2 * trainer.steps
    assert len(json.loads((tmp_path / "history.json").read_text())) == 3
    assert list((tmp_path / "tensorboard").iterdir())


@pytest.mark.exhaustive
def test_a_training_that_was_stopped_is_the_same_training(
    speech: tuple[list[Utterance], list[Utterance]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Trainer(SMALL, *speech, tmp_path / "whole")
    whole.run()

    monkeypatch.setattr(training, "CHECKPOINT_S", -1)

    def stop(epoch: int, step: int, steps: int, loss: float) -> None:
        if (epoch, step) == (2, 3):
            raise KeyboardInterrupt

    stopped = Trainer(SMALL, *speech, tmp_path / "stopped", said=stop)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    again = Trainer(SMALL, *speech, tmp_path / "stopped")
    again._resume()
    assert (again.progress.epoch, again.progress.step) == (1, 2)
    again.run()
    assert again.progress.history == whole.progress.history
    for name, value in whole.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value), name
    other = Settings(**{**vars(SMALL), "margin": 0.3})
    with pytest.raises(ModelUnavailable, match="other settings"):
        Trainer(other, *speech, tmp_path / "stopped").run()
    fewer = (speech[0][1:], speech[1])
    with pytest.raises(ModelUnavailable, match="other settings or recordings"):
        Trainer(SMALL, *fewer, tmp_path / "stopped").run()


def test_training_ends_when_unseen_speakers_gain_nothing(
    speech: tuple[list[Utterance], list[Utterance]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Trainer, "_unseen_eer", lambda self: 0.25)
    settings = Settings(**{**vars(SMALL), "epochs": 50, "patience": 2})
    assert Trainer(settings, *speech, tmp_path).run().epoch == 2


def test_margins_make_the_right_answer_harder() -> None:
    torch.manual_seed(0)
    embeddings, labels = torch.randn(6, 8), torch.arange(6)
    kinds: tuple[Margin, ...] = ("aam", "am")
    for kind in kinds:
        easy = MarginSoftmax(kind, 8, 6, margin=0.0, scale=30)
        hard = MarginSoftmax(kind, 8, 6, margin=0.2, scale=30)
        hard.load_state_dict(easy.state_dict())
        plain = torch.nn.functional.cross_entropy(30 * easy.cosines(embeddings), labels)
        assert torch.allclose(easy(embeddings, labels), plain, atol=1e-4)
        assert hard(embeddings, labels) > plain


def test_what_speech_is_put_through(tmp_path: Path) -> None:
    samples = speak(1, 2)
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    noises, _ = cut_noises([tmp_path / "noise.wav"], tmp_path)
    for seed in range(20):
        found = augment_speech(samples, np.random.default_rng(seed), noises if seed % 2 else [])
        again = augment_speech(samples, np.random.default_rng(seed), noises if seed % 2 else [])
        assert found.shape == samples.shape
        assert found.dtype == np.float32
        assert np.abs(found).max() <= 1
        assert np.array_equal(found, again)
    for speed in SPEEDS:
        assert at_speed(samples, speed).shape == samples.shape
    features = torch.ones(4, 80, 100)
    masked = SpecAugment().train()(features)
    assert (masked == 0).any()
    assert (masked == 1).float().mean() > 0.7
    assert torch.equal(SpecAugment().eval()(features), features)


def test_noises_are_decoded_once(tmp_path: Path) -> None:
    """Ten seconds of each are kept as they are; later nobody looks at the recordings."""
    sound = 0.3 * np.random.default_rng(0).uniform(-1, 1, 12 * RATE)
    soundfile.write(tmp_path / "noise.wav", sound, RATE, subtype="FLOAT")
    (tmp_path / "broken.wav").write_bytes(b"nothing that plays")
    names = ["noise.wav", "broken.wav", "missing.wav"]
    noises, left_out = cut_noises([tmp_path / name for name in names], tmp_path / "kept")
    assert [line.partition(":")[0] for line in left_out] == ["broken.wav", "missing.wav"]
    kept_at = noises[0].stat().st_mtime_ns
    assert cut_noises([tmp_path / "noise.wav"], tmp_path / "kept") == (noises, [])
    assert noises[0].stat().st_mtime_ns == kept_at
    assert np.allclose(read_samples(noises[0]), sound[: 10 * RATE], atol=1e-4)
    (tmp_path / "noise.wav").unlink()
    quiet = np.full(RATE, 1e-3, np.float32)
    plain = [augment_speech(quiet, np.random.default_rng(seed), []) for seed in range(9)]
    noisy = [augment_speech(quiet, np.random.default_rng(seed), noises) for seed in range(9)]
    changed = [not np.array_equal(one, other) for one, other in zip(plain, noisy, strict=True)]
    assert any(changed)


@pytest.mark.exhaustive
def test_the_command_makes_an_encoder(labels: Path, tmp_path: Path) -> None:
    out, errors = StringIO(), StringIO()
    asked = ["--data", str(labels), "--name", "small_test", "--channels", "16", "--crop-s", "1"]
    asked += ["--epochs", "1", "--batch", "8"]
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    (tmp_path / "broken.wav").write_bytes(b"nothing that plays")
    noise = ["--noise", str(tmp_path)]
    call_command("train_speaker", *asked, *noise, stdout=out, stderr=errors)
    assert "left out: silence.wav" in errors.getvalue()
    assert "left out: broken.wav" in errors.getvalue()
    assert "epoch   1  loss" in out.getvalue()
    assert "VOICE_ENCODER=small_test" in out.getvalue()
    add_trained(django_settings.MODELS_DIR)
    assert "small_test" in analyzer_names()
    spec = analyzer_class("small_test").spec
    assert (spec.space, spec.dimension, spec.kind) == ("small_test-v1", 192, "speaker")
    encoder = load_analyzer("small_test", django_settings.MODELS_DIR, threads=1)
    assert encoder.encode(speak(1, 2)[None]).embeddings.shape == (1, 192)
    call_command("train_speaker", *asked, *noise, stdout=out, stderr=errors)
    add_trained(django_settings.MODELS_DIR)
    assert analyzer_class("small_test").spec.space == "small_test-v1"
    call_command("train_speaker", *asked, "--restart", "--seed", "1", stdout=out, stderr=errors)
    add_trained(django_settings.MODELS_DIR)
    assert analyzer_class("small_test").spec.space == "small_test-v2"
    for name in ("speech", "noise"):
        assert not (django_settings.MODELS_DIR / "small_test" / name).exists()


@pytest.mark.parametrize("name", ["ecapa", "../elsewhere", "two words", "", "é", "n" * 61])
def test_names_that_cannot_be(labels: Path, name: str) -> None:
    with pytest.raises(CommandError, match="letters, digits"):
        call_command("train_speaker", "--data", str(labels), "--name", name)


def test_too_few_speakers(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speak(1, 3), RATE)
    (tmp_path / "labels.csv").write_text("path,speaker\na.wav,one\n")
    with pytest.raises(CommandError, match="better hundreds"):
        call_command("train_speaker", "--data", str(tmp_path / "labels.csv"), "--name", "few")


@pytest.mark.exhaustive
def test_wavlm_is_tuned_from_what_was_pretrained(
    speech: tuple[list[Utterance], list[Utterance]], tiny_wavlm: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable, match="pretrained weights"):
        training.build_network(Settings(model="wavlm"))
    settings = Settings(**{**vars(SMALL), "model": "wavlm", "pretrained": str(tiny_wavlm)})
    settings = Settings(**{**vars(settings), "epochs": 2})
    whole = Trainer(settings, *speech, tmp_path / "whole")
    frozen = whole.network.model.wavlm.feature_extractor.state_dict()
    before = {name: value.clone() for name, value in frozen.items()}
    history = whole.run().history
    assert [one.epoch for one in history] == [0, 1, 2]
    for name, value in whole.network.model.wavlm.feature_extractor.state_dict().items():
        assert torch.equal(value, before[name])
    assert whole.best_network()(torch.zeros(1, RATE)).shape == (1, 24)
