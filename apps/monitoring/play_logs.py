"""Play logs as they are kept, by number only, and as somebody may see them.

A play of a track that the reader may not know of, by now, is no play: its stretch is among the
gaps, as if nothing of the catalogue had been heard, since a stretch without a name would tell that
something hidden was. What else is told, overlaps and repeats, follows from the plays that are left.
"""

from dataclasses import asdict, dataclass
from typing import Any

from apps.catalog.id_map import TrackCard, cards_of
from apps.catalog.selectors import shown_as
from apps.jobs.pieces import in_pieces
from audiosearch.engine.matchers.recording.play_log import (
    Play,
    PlayLog,
    Stretch,
    gaps_of,
    overlaps_of,
    repeats_of,
)


@dataclass(frozen=True)
class ShownPlay:
    """A play with the track as it is now.

    track_start_ms, track_end_ms: in the track, of which `coverage` was played; play: the how
    manieth of this track it is; copies: other tracks that hold the same recording.
    """

    start_ms: int
    end_ms: int
    track: TrackCard
    track_start_ms: int
    track_end_ms: int
    coverage: float
    speed: float
    probability: float
    aligned: int
    of: int
    play: int
    copies: tuple[TrackCard, ...]


@dataclass(frozen=True)
class ShownLog:
    """plays: by their start; overlaps tell plays by their numbers, from 0."""

    duration_ms: int
    plays: list[ShownPlay]
    gaps: list[Stretch]
    overlaps: list[Stretch]


def kept_plays(log: PlayLog) -> list[dict[str, Any]]:
    """As a row keeps them."""
    return [_kept(play) for play in log.plays]


def play_log_of(duration_ms: int, plays: list[dict[str, Any]], viewer: Any) -> ShownLog:
    """What `viewer` (None: the service itself) may know of plays as they are kept."""
    ids = {each["track"] for play in plays for each in (play, *play["copies"])}
    shown: dict[int, int] = {}
    for piece in in_pieces(sorted(ids)):
        shown |= shown_as(viewer, piece)
    cards = cards_of(shown.values())
    known = {track_id: at for track_id, at in shown.items() if at in cards}
    left = [found for play in plays if (found := _seen(play, known))]
    repeats = repeats_of([play["track"] for play in left])
    log = [_shown(play, cards, number) for play, number in zip(left, repeats, strict=True)]
    spans = [(play.start_ms, play.end_ms) for play in log]
    return ShownLog(duration_ms, log, gaps_of(duration_ms, spans), overlaps_of(spans))


def _kept(play: Play) -> dict[str, Any]:
    told = asdict(play)
    told["track"] = told.pop("item_id")
    told["speed"] = round(play.speed, 4)
    told["probability"] = round(play.probability, 4)
    told["score"] = round(play.score, 2)
    told["copies"] = [{"track": each.pop("item_id"), **each} for each in told["copies"]]
    return told


def _seen(play: dict[str, Any], known: dict[int, int]) -> dict[str, Any] | None:
    """A play by the first of its track and the copies that the viewer may know of.

    known: by track, the one as which it is shown; of a copy that was taken out, that of the kept.
    """
    names = ("track_start_ms", "track_end_ms")
    tracks: dict[int, dict[str, Any]] = {}
    for each in (play, *play["copies"]):
        if (track := known.get(each["track"])) is not None:
            tracks.setdefault(track, {"track": track, **{name: each[name] for name in names}})
    if not tracks:
        return None
    first, *copies = tracks.values()
    return {**play, **first, "copies": copies}


def _shown(play: dict[str, Any], cards: dict[int, TrackCard], number: int) -> ShownPlay:
    card = cards[play["track"]]
    end_ms = min(play["track_end_ms"], card.duration_ms)
    played = max(0, end_ms - play["track_start_ms"])
    return ShownPlay(
        start_ms=play["start_ms"],
        end_ms=play["end_ms"],
        track=card,
        track_start_ms=play["track_start_ms"],
        track_end_ms=end_ms,
        coverage=round(min(1.0, played / max(card.duration_ms, 1)), 4),
        speed=play["speed"],
        probability=play["probability"],
        aligned=play["aligned"],
        of=play["of"],
        play=number,
        copies=tuple(cards[copy["track"]] for copy in play["copies"]),
    )
