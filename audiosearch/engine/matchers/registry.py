"""The registry of matchers: one line each, imported on first use."""

from functools import cache
from importlib import import_module
from typing import Any

from audiosearch.engine.matchers.base import Matcher

MATCHERS = {
    "sounds_alike": "audiosearch.engine.matchers.sounds_alike.SoundsAlike",
    "same_recording": "audiosearch.engine.matchers.same_recording.SameRecording",
    "same_tune": "audiosearch.engine.matchers.same_tune.SameTune",
}


def matcher_names() -> list[str]:
    """Names of all matchers."""
    return list(MATCHERS)


@cache
def load_matcher(name: str) -> Matcher[Any]:
    """The matcher registered under `name`; raises KeyError for an unknown name."""
    module, _, attribute = MATCHERS[name].rpartition(".")
    found: type[Matcher[Any]] = getattr(import_module(module), attribute)
    return found()
