"""Which of several copies of a recording is the best, why, and in what they differ."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.catalog.models import Track
from apps.catalog.templatetags.sound import clock

LOSSLESS = {"WAV", "FLAC", "AIFF", "W64", "AU", "APE", "WavPack", "TTA", "TAK", "Shorten", "TrueHD"}
LOSSLESS |= {"M4A alac", "MKV flac", "Ogg flac", "MLP", "SPHERE", "IRCAM", "IFF"}
SHORTER, SHORTER_MS = 0.02, 1000
"""What a copy may be shorter by and still be as long."""


@dataclass(frozen=True)
class Proposal:
    """The best copy, and why in words."""

    track: Track
    reason: str


def bit_rate(track: Track) -> int:
    """kbit/s of the file, about."""
    return round(track.size_bytes * 8 / max(track.duration_ms, 1))


def propose(tracks: Sequence[Track]) -> Proposal:
    """The longest; of these the lossless, with most samples a second, then most bits; or the first.

    What a lossless file was made of, no file tells.
    """
    longest = max(track.duration_ms for track in tracks)
    least = longest * (1 - SHORTER) - SHORTER_MS
    ranked = [
        (lambda track: track.duration_ms >= least, "the longest"),
        (lambda track: track.format in LOSSLESS, "lossless"),
        (
            lambda track: track.sample_rate if track.format in LOSSLESS else 0,
            "most samples a second",
        ),
        (bit_rate, "most bits a second"),
    ]
    left, reasons = list(tracks), []
    for measure, words in ranked:
        best = max(measure(track) for track in left)
        better = [track for track in left if measure(track) == best]
        if len(better) < len(left):
            reasons.append(words)
        left = better
    chosen = min(left, key=lambda track: track.pk)
    if len(left) > 1:
        reasons.append("here first")
    return Proposal(chosen, ", ".join(reasons))


def differences(tracks: Sequence[Track]) -> list[tuple[str, list[str]]]:
    """What is not the same of all: its name, and its value of each track in order."""
    rows = {
        "Title": [track.title for track in tracks],
        "Artist": [track.artist for track in tracks],
        "Album": [track.album for track in tracks],
        "Format": [track.format for track in tracks],
        "Bit rate": [f"{bit_rate(track):,} kbit/s" for track in tracks],
        "Sample rate": [f"{track.sample_rate:,} Hz" for track in tracks],
        "Channels": [str(track.channels) for track in tracks],
        "Length": [clock(track.duration_ms) for track in tracks],
        "Size": [f"{track.size_bytes / 2**20:.2f} MB" for track in tracks],
        "Collection": [str(track.collection or "") for track in tracks],
        "Tags": [", ".join(tag.name for tag in track.tags.all()) for track in tracks],
        "Added": [f"{track.added_at:%Y-%m-%d %H:%M}" for track in tracks],
    }
    return [(name, values) for name, values in rows.items() if len(set(values)) > 1]
