"""Who answers what: the registry of `settings.ANSWERS`, imported on first use."""

from functools import cache
from importlib import import_module
from typing import Any

from django.conf import settings

from apps.analysis.answers import Answerer

DEFAULT = "sounds_alike"


def answer_names() -> list[str]:
    """All that one may ask, in the order in which a page answers."""
    return list(settings.ANSWERS)


def askable_by(user: Any) -> list[str]:
    """What this user may ask, in the same order."""
    return [name for name in answer_names() if answerer_of(name).may_ask(user)]


def answerer_of(name: str) -> Answerer:
    """Who answers what is registered as `name`; raises KeyError for an unknown name."""
    return _load(settings.ANSWERS[name])


@cache
def _load(path: str) -> Answerer:
    module, _, attribute = path.rpartition(".")
    found: type[Answerer] = getattr(import_module(module), attribute)
    return found()
