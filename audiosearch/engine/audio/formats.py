"""What is known of audio files without decoding them: formats, limits, and what a file is."""

from dataclasses import dataclass, field

SILENCE_PEAK = 2 / 2**15
"""Two steps of 16-bit audio, -84 dBFS: what dither makes of silence. Quiet sound is louder."""
FORMATS = (
    "WAV, FLAC, MP3, Ogg Vorbis, Opus, M4A/AAC, AIFF, WMA, AC-3, AMR, CAF, WebM, Matroska, MOV or"
    " MP4"
)
_SUFFIXES = (
    "wav wave bwf rf64 w64 flac mp3 mp2 mpa mpga ogg oga ogv opus spx m4a m4b m4r aac adts "
    "mp4 m4v mov qt 3gp 3g2 aif aiff aifc caf au snd webm weba mkv mka amr awb ac3 ec3 eac3 "
    "dts wma wmv asf ape wv tta tak mpc dsf dff voc ts mts m2ts mpg mpeg avi flv sph qcp"
)
SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())

BY_DEMUXER = {
    "aac": "AAC",
    "ac3": "AC-3",
    "aiff": "AIFF",
    "amr": "AMR",
    "ape": "APE",
    "asf": "WMA",
    "au": "AU",
    "avi": "AVI",
    "caf": "CAF",
    "dsf": "DSF",
    "dts": "DTS",
    "dtshd": "DTS",
    "eac3": "E-AC-3",
    "flac": "FLAC",
    "flv": "FLV",
    "iff": "IFF",
    "ircam": "IRCAM",
    "loas": "AAC",
    "mlp": "MLP",
    "mpc": "Musepack",
    "mpc8": "Musepack",
    "mpeg": "MPEG",
    "mpegts": "MPEG-TS",
    "nistsphere": "SPHERE",
    "nut": "NUT",
    "oma": "OMA",
    "qcp": "QCP",
    "rm": "RealMedia",
    "shn": "Shorten",
    "tak": "TAK",
    "truehd": "TrueHD",
    "tta": "TTA",
    "voc": "VOC",
    "w64": "W64",
    "wav": "WAV",
    "wv": "WavPack",
}
BY_SUFFIX = {
    "opus": ".ogg",
    "ac-3": ".ac3",
    "e-ac-3": ".eac3",
    "musepack": ".mpc",
    "mpeg": ".mpg",
    "mpeg-ts": ".ts",
    "realmedia": ".rm",
    "shorten": ".shn",
    "sphere": ".sph",
    "truehd": ".thd",
    "wavpack": ".wv",
    "ircam": ".sf",
}


@dataclass(frozen=True)
class AudioInfo:
    """What a file is: duration in milliseconds, sample rate in Hz, and its own tags.

    stream: the number of the sound track that is heard; None when there is but one, or when a
    chain of containers leaves it to each.
    """

    format: str
    duration_ms: int
    sample_rate: int
    channels: int
    tags: dict[str, str] = field(default_factory=dict)
    stream: int | None = None


def format_name(demuxer: str, codec: str, *, brand: str, pictures: bool, webm: bool) -> str:
    """What people call a file, by FFmpeg's names of its container and codec.

    brand: the major brand of an MP4 file, "" for none. pictures: whether it has moving ones.
    """
    if demuxer == "mp3":
        return codec.upper()  # MP1 and MP2 are read by the same code
    if demuxer == "ogg":
        return {"vorbis": "Ogg Vorbis", "opus": "Opus"}.get(codec, f"Ogg {codec}")
    if demuxer == "matroska":
        return f"{'WebM' if webm else 'MKV'} {codec}"
    if demuxer == "mov":
        if brand.strip() in ("", "qt"):
            return "MOV"
        if brand.startswith(("3gp", "3g2")):
            return "3GP"
        return "MP4" if pictures else f"M4A {codec}"
    if demuxer == "asf" and pictures:
        return "WMV"
    return BY_DEMUXER.get(demuxer, demuxer.upper())


def suffix_of(name: str) -> str:
    """The suffix that files of a format (AudioInfo's) have, whatever theirs is: ".flac"."""
    kind = name.partition(" ")[0].lower()
    return BY_SUFFIX.get(kind, f".{kind}")
