"""Filters as conditions on columns, read two ways: tested on a payload here (the exact twin), and
spelled as an expression by `milvus_expressions`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from audiosearch.engine.indexes.payloads import EnrolmentPayload, Layout, Payload, TrackPayload


@dataclass(frozen=True)
class AnyOf:
    """The column's value is one of these; no values ask nothing."""

    column: str
    values: tuple[int, ...] | tuple[str, ...]

    def holds(self, payload: Payload) -> bool:
        return not self.values or getattr(payload, self.column) in self.values


@dataclass(frozen=True)
class NoneOf:
    """The column's value is none of these."""

    column: str
    values: tuple[int, ...] | tuple[str, ...]

    def holds(self, payload: Payload) -> bool:
        return getattr(payload, self.column) not in self.values


@dataclass(frozen=True)
class AllOf:
    """The column's list has all of these."""

    column: str
    values: tuple[str, ...]

    def holds(self, payload: Payload) -> bool:
        return set(self.values) <= set(getattr(payload, self.column))


@dataclass(frozen=True)
class Between:
    """The column's value lies between the bounds, both included; None is no bound."""

    column: str
    low: int | None = None
    high: int | None = None

    def holds(self, payload: Payload) -> bool:
        value = getattr(payload, self.column)
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


Condition = AnyOf | NoneOf | AllOf | Between


@dataclass(frozen=True, kw_only=True)
class Filter(ABC):
    """What a match must satisfy in a space of this layout; an empty field asks nothing.

    exclude_item_ids: none of these items.
    """

    layout: ClassVar[Layout]

    exclude_item_ids: tuple[int, ...] = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that a payload must satisfy."""
        return (*self._asked(), NoneOf(self.layout.item, self.exclude_item_ids))

    @abstractmethod
    def _asked(self) -> Iterable[Condition]:
        """What the filter's own fields ask."""


@dataclass(frozen=True, kw_only=True)
class TrackFilter(Filter):
    """Tracks. tags: all of them. kinds, collection_ids: any of them. exclude_…: none of them.

    Ranges include both ends.
    """

    layout = TrackPayload.layout

    collection_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    min_duration_ms: int | None = None
    max_duration_ms: int | None = None
    added_from: int | None = None
    added_to: int | None = None
    exclude_collection_ids: tuple[int, ...] = ()
    exclude_kinds: tuple[str, ...] = ()

    def _asked(self) -> Iterable[Condition]:
        return (
            AllOf("tags", self.tags),
            AnyOf("collection_id", self.collection_ids),
            AnyOf("kind", self.kinds),
            Between("duration_ms", self.min_duration_ms, self.max_duration_ms),
            Between("added_at", self.added_from, self.added_to),
            NoneOf("collection_id", self.exclude_collection_ids),
            NoneOf("kind", self.exclude_kinds),
        )


@dataclass(frozen=True, kw_only=True)
class EnrolmentFilter(Filter):
    """Enrolments. groups: all of them. speaker_ids: any of them. exclude_…: none of them.

    consent_at: seconds since 1970 UTC; only those whose consent lasts until then or longer.
    """

    layout = EnrolmentPayload.layout

    groups: tuple[str, ...] = ()
    speaker_ids: tuple[int, ...] = ()
    consent_at: int | None = None
    exclude_collection_ids: tuple[int, ...] = ()

    def _asked(self) -> Iterable[Condition]:
        return (
            AllOf("groups", self.groups),
            AnyOf("speaker_id", self.speaker_ids),
            Between("consent_until", low=self.consent_at),
            NoneOf("collection_id", self.exclude_collection_ids),
        )
