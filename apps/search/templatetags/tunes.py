"""How the pages write what two renderings of a tune differ in."""

from collections.abc import Iterable
from typing import Any

from django import template

register = template.Library()

INTERVALS = (
    "",
    "",
    "a whole tone",
    "a minor third",
    "a major third",
    "a fourth",
    "a tritone",
    "a fifth",
    "a minor sixth",
    "a major sixth",
    "a minor seventh",
    "a major seventh",
)
"""By semitones; one semitone has no better name."""
OCTAVES = ("", "an octave", "two octaves", "three octaves", "four octaves")
SAME_TEMPO = 0.03
"""A smaller difference is nothing that anybody hears."""


@register.filter
def key_words(semitones: float, than: str) -> str:
    """How much higher or lower, octaves included, as in "5 semitones higher than the song"."""
    count = abs(round(semitones))
    octaves, rest = divmod(count, 12)
    if not count:
        return "in the same key"
    way = f"{'higher' if semitones > 0 else 'lower'} than {than}"
    if octaves >= len(OCTAVES):
        return f"{count} semitones {way}"
    if not rest:
        return f"{OCTAVES[octaves]} {way}, so in the same key"
    told = f"{count} semitone{'' if count == 1 else 's'} {way}"
    named = INTERVALS[rest] or ("a semitone" if octaves else "")
    interval = " and ".join(filter(None, (OCTAVES[octaves], named)))
    return f"{told}, about {interval}" if interval else told


@register.filter
def tempo_words(speed: float, than: str) -> str:
    """How much faster or slower, 1 being as fast, as in "10 % slower than the song"."""
    if abs(speed - 1) < SAME_TEMPO:
        return f"as fast as {than}"
    return f"{abs(speed - 1) * 100:.0f} % {'faster' if speed > 1 else 'slower'} than {than}"


@register.filter
def by_track(hits: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hits of an answer as {"track", "sections"}, the best track first; sections in time."""
    found: dict[int, dict[str, Any]] = {}
    for hit in hits:
        track = hit["track"]
        found.setdefault(track["id"], {"track": track, "sections": []})["sections"].append(hit)
    for one in found.values():
        one["sections"].sort(key=lambda hit: hit["query_start_ms"] or 0)
    return list(found.values())
