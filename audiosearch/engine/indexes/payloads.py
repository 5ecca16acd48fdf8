"""What an index holds of an item beside its vectors: the columns that searches filter by."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Layout:
    """The columns of a payload by type, each named as the payload's attribute.

    item: the column of the item's id, an integer too.
    """

    item: str
    integers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    text_lists: tuple[str, ...] = ()


@dataclass(frozen=True)
class Payload:
    """Copied onto every window of its item; each subclass has a layout, and spaces of its own."""

    layout: ClassVar[Layout]

    @property
    def item_id(self) -> int:
        return int(getattr(self, self.layout.item))


@dataclass(frozen=True)
class TrackPayload(Payload):
    """added_at in whole seconds since 1970 UTC; collection_id 0 means none."""

    layout = Layout(
        item="track_id",
        integers=("collection_id", "duration_ms", "added_at"),
        texts=("kind",),
        text_lists=("tags",),
    )

    track_id: int
    kind: str = "sound"
    collection_id: int = 0
    tags: tuple[str, ...] = ()
    duration_ms: int = 0
    added_at: int = 0


@dataclass(frozen=True)
class EnrolmentPayload(Payload):
    """consent_until: the last second since 1970 UTC in which the voice may be matched.

    collection_id: of the recording; 0 means none.
    """

    layout = Layout(
        item="enrolment_id",
        integers=("speaker_id", "consent_until", "collection_id"),
        text_lists=("groups",),
    )

    enrolment_id: int
    speaker_id: int
    groups: tuple[str, ...] = ()
    consent_until: int = 0
    collection_id: int = 0
