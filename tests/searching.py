"""A search by a clip for what sounds alike, by nobody in particular too."""

from pathlib import Path
from typing import Any

from apps.search.queries import clip_question
from apps.search.results import SearchResult, SearchSettings
from apps.search.services import alike_rate, find_alike


def search_by_clip(*, clip: Path, name: str, asked: SearchSettings, by: Any) -> SearchResult:
    """The nearest tracks to an audio file, best first; raises as `find_alike`."""
    return find_alike(clip_question(clip, name, [alike_rate()], asked, by))
