"""What most unit tests begin with: a way to add sounds and have them listened to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from apps.analysis.worker import work
from apps.catalog.models import Track
from apps.catalog.services.adding import Added, add_track
from apps.voices.embedding import voice_space
from apps.voices.models import OperatingPoint
from tests.audio_files import tone, write_audio

AddTone = Callable[..., Track]


@pytest.fixture
def add_tone(tmp_path: Path, transactional_db: None) -> AddTone:
    """add_tone(hz, seconds=2, listen=True, **add_track's own): a track that holds one tone."""

    def add(hz: float, seconds: float = 2, *, listen: bool = True, **options: Any) -> Track:
        name = options.pop("name", f"{hz:g}.wav")
        path = write_audio(tmp_path / f"{hz:g}-{seconds:g}.wav", tone(seconds, hz))
        added: Added = add_track(source=path, name=name, **options)
        if listen:
            work()
        return added.track

    return add


@pytest.fixture
def clip(tmp_path: Path) -> Callable[[float, float], Path]:
    """clip(hz, seconds): a file to search with."""
    return lambda hz, seconds=2: write_audio(tmp_path / f"clip-{hz:g}.wav", tone(seconds, hz))


@pytest.fixture
def member(client: Client, transactional_db: None) -> Client:
    client.force_login(get_user_model().objects.create_user("member"))
    return client


@pytest.fixture
def curator(transactional_db: None) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_user("curator", is_staff=True))
    return client


@pytest.fixture
def synthesised_threshold(transactional_db: None) -> OperatingPoint:
    """Synthesised voices are more alike than people's, so they need a threshold of their own."""
    point = {
        **{"min_ms": 300, "threshold": 0.92, "far": 0.001, "frr": 0.05},
        **{"slope": 40.0, "intercept": -35.0, "impostor_mean": 0.75, "impostor_std": 0.04},
    }
    return OperatingPoint.objects.create(
        space=voice_space(),
        far_target=0.001,
        points=[point | {"intercept": -28.0}, point | {"min_ms": 5000}],
        source="synthesised voices",
        genuine=10,
        impostor=10,
        in_force=True,
    )


@pytest.fixture(scope="module")
def tiny_wavlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it is published, of a network as deep and far thinner."""
    import torch

    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models") / "wavlm"
    torch.manual_seed(0)
    config = transformers.WavLMConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        tdnn_dim=(32, 32, 32, 32, 64),
        xvector_output_dim=24,
    )
    model = transformers.WavLMForXVector(config).eval()
    config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    return folder
