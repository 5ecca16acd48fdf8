"""What a search asks and what it answers; the same for the page and the API."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.urls import reverse

from apps.analysis.index import indexed_kind
from apps.catalog.id_map import TrackCard
from apps.catalog.models import Kind
from audiosearch.engine.indexes.filters import TrackFilter


@dataclass(frozen=True)
class SearchSettings:
    """top_k 1 to 100; start_ms and end_ms choose a stretch of the query; the rest filters tracks.

    Tags must all be there, any of the kinds and collections will do, ranges include both ends.
    include_enrolments: find recordings, too, that were brought to enrol a speaker. as_recorded: the
    query is neither faster nor slower than what it was taken from, nor at another pitch.
    """

    top_k: int = 10
    start_ms: int | None = None
    end_ms: int | None = None
    collections: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    min_duration_ms: int | None = None
    max_duration_ms: int | None = None
    added_from: datetime | None = None
    added_to: datetime | None = None
    include_enrolments: bool = False
    as_recorded: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether no stretch was chosen."""
        return self.start_ms is None and self.end_ms is None

    def as_filter(
        self, exclude_item_ids: tuple[int, ...] = (), hidden: tuple[int, ...] = ()
    ) -> TrackFilter:
        """The part that the index applies; `hidden` collections are never found."""
        kinds, brought = self.kinds, _as_enrolments(Kind.values)
        if self.include_enrolments:
            kinds, brought = (*kinds, *_as_enrolments(kinds)), ()
        return TrackFilter(
            collection_ids=self.collections,
            tags=self.tags,
            kinds=kinds,
            min_duration_ms=self.min_duration_ms,
            max_duration_ms=self.max_duration_ms,
            added_from=int(self.added_from.timestamp()) if self.added_from else None,
            added_to=int(self.added_to.timestamp()) if self.added_to else None,
            exclude_item_ids=exclude_item_ids,
            exclude_collection_ids=hidden,
            exclude_kinds=brought,
        )

    def as_json(self) -> dict[str, Any]:
        """Only what was asked for, in JSON's types."""
        values = {
            key: value
            for key, value in asdict(self).items()
            if value not in (None, ()) and value is not False
        }
        for key in ("added_from", "added_to"):
            if key in values:
                values[key] = values[key].isoformat()
        return values


def _as_enrolments(kinds: Iterable[str]) -> tuple[str, ...]:
    return tuple(indexed_kind(kind, for_enrolment=True) for kind in kinds)


def track_json(card: TrackCard) -> dict[str, Any]:
    """A track as a hit shows it."""
    track = asdict(card)
    del track["path"]
    track["audio"] = reverse("api-track-audio", args=[card.id])
    return track


@dataclass(frozen=True)
class Hit:
    """A track, its cosine distance (0 same to 2 opposite), and the moment that matched, in ms.

    query_start_ms, query_end_ms: the window of what was asked with that is nearest to it.
    """

    track: TrackCard
    distance: float
    start_ms: int
    end_ms: int
    query_start_ms: int
    query_end_ms: int

    @property
    def similarity(self) -> float:
        """Cosine similarity in percent, 0 to 100, one decimal."""
        return round(100 * min(1.0, max(0.0, 1 - self.distance)), 1)

    def as_json(self) -> dict[str, Any]:
        return {
            "track": track_json(self.track),
            "distance": round(self.distance, 6),
            "similarity": self.similarity,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
        }


@dataclass
class Took:
    """Milliseconds spent in each stage of a search."""

    decode: float = 0.0
    encode: float = 0.0
    index: float = 0.0
    total: float = 0.0

    def as_json(self) -> dict[str, float]:
        return {key: round(value, 2) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Explanation:
    """Why nothing was found: tracks before any filter, what each filter in turn left, in words."""

    searchable: int
    filters: list[dict[str, Any]]
    message: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SearchResult:
    """query: what was searched with; hits: best first; explanation: only when there are none."""

    query: dict[str, Any]
    hits: list[Hit]
    took: Took = field(default_factory=Took)
    explanation: Explanation | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "query": self.query,
            "hits": [hit.as_json() for hit in self.hits],
            "explanation": self.explanation.as_json() if self.explanation else None,
            "took_ms": self.took.as_json(),
        }
