"""What is known of audio files without decoding them: formats, limits, and what a file is."""

from dataclasses import dataclass, field

SILENCE_PEAK = 10 ** (-72 / 20)  # -72 dBFS, about eight steps of 16-bit audio
FORMATS = "WAV, FLAC, MP3, Ogg Vorbis, Opus, M4A/AAC, AIFF, WebM or MP4"
SUFFIXES = frozenset(
    [
        ".wav",
        ".wave",
        ".flac",
        ".mp3",
        ".ogg",
        ".oga",
        ".opus",
        ".m4a",
        ".m4b",
        ".aac",
        ".aif",
        ".aiff",
        ".aifc",
        ".webm",
        ".weba",
        ".mp4",
    ]
)


@dataclass(frozen=True)
class AudioInfo:
    """What a file is: duration in milliseconds, sample rate in Hz, and its own tags."""

    format: str
    duration_ms: int
    sample_rate: int
    channels: int
    tags: dict[str, str] = field(default_factory=dict)


def sniff(head: bytes) -> str | None:
    """The demuxer for a file that begins with `head` (12 bytes or more), told by content alone.

    Naming the demuxer keeps FFmpeg from guessing, so playlists and other formats that open
    further files or addresses are never tried.
    """
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] == b"ftyp":
        return "mov"
    for magic, demuxer in (
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"ID3", "mp3"),
    ):
        if head.startswith(magic):
            return demuxer
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "aac" if head[1] & 0x06 == 0 else "mp3"
    return None


def suffix_of(name: str) -> str:
    """The suffix that files of a format (AudioInfo's) have, whatever theirs is: ".flac"."""
    kind = name.partition(" ")[0].lower()
    return {"opus": ".ogg"}.get(kind, f".{kind}")
