"""The toy analyzer and the toy matcher of docs/extending.md work as it says."""

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from django.conf import settings

from apps.analysis.drift import find_drift, repair
from apps.analysis.holdings import HOLDINGS
from apps.analysis.index import get_index
from apps.analysis.models import TrackAnalysis
from apps.analysis.representations import load_kept
from apps.analysis.spaces import ensure_spaces
from apps.analysis.worker import work
from apps.catalog.services.editing import edit_track
from apps.jobs.models import State
from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.analyzers.registry import ANALYZERS
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.matchers.registry import MATCHERS, load_matcher
from tests.fake_encoder import Fake
from tests.unit.conftest import AddTone

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The module of an example, importable as `example`."""
    spec = importlib.util.spec_from_file_location("example", EXAMPLES / request.param)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["example"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["example"]


@pytest.mark.parametrize("example", ["loudness.py"], indirect=True)
def test_another_analyzer_is_two_lines(
    example: ModuleType, add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = add_tone(440, seconds=3)
    monkeypatch.setitem(ANALYZERS, "loudness", "example.LoudnessAnalyzer")
    monkeypatch.setattr(settings, "ANALYSES", settings.ANALYSES | {"loudness": ("loudness",)})
    ensure_spaces()
    work()
    after = add_tone(450, seconds=2)
    for track, seconds in ((before, 3), (after, 2)):
        assert TrackAnalysis.objects.get(track=track, space__kind="loudness").state == State.READY
        levels = load_kept("loudness-v1", track.pk, example.Loudness).levels
        assert levels.shape == (seconds,)
        assert levels.min() > 0.01


class Texture(Fake):
    """Vectors of tracks of another kind."""

    spec = replace(Fake.spec, name="texture", kind="texture")


def test_another_kind_of_vectors_follows_edits_and_lost_files(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANALYZERS, "texture", f"{__name__}.Texture")
    monkeypatch.setattr(settings, "ANALYSES", settings.ANALYSES | {"texture": ("texture",)})
    monkeypatch.setitem(HOLDINGS, "texture", "apps.analysis.holdings.TrackHoldings")
    track = add_tone(440, tags=["old"])
    spaces = {"fake-v1", "texture-v1"}

    def found(tag: str) -> set[str]:
        asked = TrackFilter(tags=(tag,))
        return {space for space in spaces if get_index().count_items(space, asked)}

    assert found("old") == spaces
    edit_track(track=track, changes={}, tags=["new"])
    assert (found("old"), found("new")) == (set(), spaces)
    Path(track.file.path).unlink()
    repair(find_drift())
    assert found("new") == set()


@pytest.mark.parametrize("example", ["same_sound.py"], indirect=True)
def test_another_matcher_is_one_line(
    example: ModuleType, add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MATCHERS, "same_sound", "example.SameSound")
    one = add_tone(440)
    add_tone(4000)
    matcher = load_matcher("same_sound")
    load_matcher.cache_clear()
    query = load_kept("fake-v1", one.pk, Embeddings)
    found = matcher.match(query, get_index(), "fake-v1", top_k=5, where=TrackFilter())
    assert [match.item_id for match in found] == [one.pk]
    away = Embeddings(np.roll(query.embeddings, 7, axis=1), query.spans)
    assert not matcher.match(away, get_index(), "fake-v1", top_k=5, where=TrackFilter())
