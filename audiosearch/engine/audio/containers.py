"""Which container a file is, and where it begins in it: told by content, never by the name.

Strong marks are looked for first. What has none (MP3, AC-3 …) is told by FFmpeg's probing, which
may only answer with demuxers of our list: none opens further files or addresses, as playlists do.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import av
from av.error import FFmpegError

from audiosearch.engine.audio.placed import Placed
from audiosearch.engine.audio.tags import RAW

DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,ircam,loas,matroska,mlp,"
    "mov,mp3,mpc,mpc8,mpeg,mpegts,nistsphere,nut,ogg,oma,qcp,rm,shn,tak,truehd,tta,voc,w64,wav,wv"
)
_CODECS = (
    "aac aac_latm ac3 adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_swf adpcm_yamaha alac als "
    "amr_nb amr_wb ape atrac1 atrac3 atrac3p cook dsd_lsbf dsd_lsbf_planar dsd_msbf "
    "dsd_msbf_planar dst dts eac3 flac g722 g723_1 g726 g726le g729 gsm gsm_ms ilbc mace3 "
    "mace6 mlp mp1 mp2 mp3 musepack7 musepack8 nellymoser opus pcm_alaw pcm_bluray pcm_dvd "
    "pcm_f32be pcm_f32le pcm_f64be pcm_f64le pcm_mulaw pcm_s16be pcm_s16le pcm_s24be "
    "pcm_s24le pcm_s32be pcm_s32le pcm_s64be pcm_s64le pcm_s8 pcm_u16be pcm_u16le pcm_u24be "
    "pcm_u24le pcm_u32be pcm_u32le pcm_u8 qcelp qdm2 ra_144 ra_288 sbc shorten sipr speex tak "
    "truehd truespeech tta vorbis wavpack wmalossless wmapro wmav1 wmav2 wmavoice"
)
CODECS = frozenset(_CODECS.split())
MARKS = {
    rb"RIFF....WAVE|RIFX....WAVE|RF64....WAVE|BW64....WAVE": "wav",
    rb"riff\x2e\x91\xcf\x11": "w64",
    rb"FORM....AIF[FC]": "aiff",
    rb"fLaC": "flac",
    rb"OggS": "ogg",
    rb"\x1a\x45\xdf\xa3": "matroska",
    rb"....ftyp|....moov|....wide....mdat|....mdat....moov": "mov",
    rb"caff\x00\x01": "caf",
    rb"#!AMR": "amr",
    rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",
    rb"wvpk": "wv",
    rb"MAC ": "ape",
    rb"TTA1": "tta",
}
BURIED = MARKS.keys() - {rb"MAC ", rb"TTA1"}
"""Marks that are long enough, or common enough, to be looked for behind other bytes."""
JUNK_BYTES = 64 * 1024
OTHERS = (b"PK\x03\x04", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"Rar!", b"7z\xbc", b"BM")
"""Files of other kinds, in which sound may lie that is not theirs to play."""
EXTENSIBLE = 0xFFFE
AU_CODINGS = {(1, 16): 3, (1, 24): 4, (1, 32): 5, (3, 32): 6, (3, 64): 7, (7, 8): 1, (6, 8): 27}
"""AU's number for what WAV tells by a tag and the bits of a sample."""
NO_PROTOCOLS = {"protocol_whitelist": ""}


@dataclass(frozen=True)
class Part:
    """Bytes of a file that are a container of their own: the demuxer, and where they lie.

    head: a header for them that FFmpeg understands, where it does not their own.
    """

    demuxer: str
    start: int = 0
    end: int | None = None
    head: bytes = b""


class View(Placed):
    """A part of a file as a file; it has no name, so FFmpeg can't judge by one."""

    def __init__(self, file: IO[bytes], part: Part) -> None:
        self._file, self._head, self._start = file, part.head, part.start
        end = file.seek(0, io.SEEK_END) if part.end is None else part.end
        self._size = len(part.head) + max(0, end - part.start)

    def readable(self) -> bool:
        return True

    def size(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self.at)
        size = left if size < 0 else min(size, left)
        data = self._head[self.at : self.at + size]
        if size > len(data):
            self._file.seek(self._start + self.at + len(data) - len(self._head))
            data += self._file.read(size - len(data))
        self.at += len(data)
        return data


def open_part(file: IO[bytes], part: Part) -> Any:
    """The container that a part of a file is. Raises FFmpegError or ValueError."""
    return av.open(
        View(file, part),
        "r",
        format=part.demuxer,
        metadata_encoding=RAW,
        options=dict(NO_PROTOCOLS),
    )


def locate(file: IO[bytes]) -> Part | None:
    """Where in a file its container begins, and the demuxer for it; None when it has none we know.

    ID3 tags may stand before anything, and up to 64 KB of other bytes.
    """
    start = _after_id3(file)
    file.seek(start)
    head = file.read(JUNK_BYTES)
    for mark, demuxer in MARKS.items():
        if re.match(mark, head, re.DOTALL):
            return (head[:4] == b"RIFX" and _big_endian(head, start)) or Part(demuxer, start)
    if head.startswith(OTHERS):
        return None
    if demuxer := _probed(file, start) or "":
        return Part(demuxer)  # with the tag, which is its own
    buried = [
        (found.start(), MARKS[mark]) for mark in BURIED for found in [_found(mark, head)] if found
    ]
    if buried:
        at, demuxer = min(buried)
        return Part(demuxer, start + at)
    if start or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return Part("aac" if len(head) > 1 and head[1] & 0xF6 == 0xF0 else "mp3")
    return None


def _found(mark: bytes, head: bytes) -> re.Match[bytes] | None:
    return re.search(mark, head, re.DOTALL)


def _big_endian(head: bytes, start: int) -> Part | None:
    """The PCM of a RIFX file under the header of AU, which is big-endian, too; None for others."""
    at, kind = 12, b""
    while at + 8 <= len(head):
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "big")
        if name == b"fmt " and size >= 16:
            kind = head[at + 8 : at + 8 + size]
        elif name == b"data":
            break
        at += 8 + size + size % 2
    else:
        return None
    tag, channels = int.from_bytes(kind[:2], "big"), int.from_bytes(kind[2:4], "big")
    bits = int.from_bytes(kind[14:16], "big")
    if tag == EXTENSIBLE:
        tag = int.from_bytes(kind[24:26], "big")
    coding = AU_CODINGS.get((tag, bits))
    if not coding:
        return None
    fields = (24, 2**32 - 1, coding, int.from_bytes(kind[4:8], "big"), channels)
    header = b".snd" + b"".join(field.to_bytes(4, "big") for field in fields)
    return Part("au", start + at + 8, start + at + 8 + size, header)


def _after_id3(file: IO[bytes]) -> int:
    """Where the ID3v2 tags end that a file begins with; 0 without any."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
            return at
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += 10 + size + (10 if head[5] & 0x10 else 0)


def _probed(file: IO[bytes], start: int) -> str | None:
    options = {**NO_PROTOCOLS, "format_whitelist": DEMUXERS}
    try:
        with av.open(
            View(file, Part("", start)), "r", metadata_encoding=RAW, options=options
        ) as found:
            name: str = found.format.name.split(",")[0]
            return name
    except (FFmpegError, ValueError):
        return None


def parts_of(file: IO[bytes]) -> Iterator[Part]:
    """The containers that a file is a chain of: one, but for chained Ogg streams."""
    whole = locate(file)
    if whole is None:
        return
    if whole.demuxer != "ogg":
        yield whole
        return
    start = whole.start
    for at in _links(file, start):
        yield Part("ogg", start, at)
        start = at
    yield Part("ogg", start)


def _links(file: IO[bytes], start: int) -> Iterator[int]:
    """Where in a chain of Ogg streams each begins but the first (RFC 3533, 4)."""
    overlap, at = b"", start
    group_ends = start
    while True:
        file.seek(at)
        block = file.read(1 << 20)
        if not block:
            return
        data, base = overlap + block, at - len(overlap)
        for found in re.finditer(rb"OggS\x00[\x02\x03\x06\x07]", data):
            place = base + found.start()
            end = _page_end(file, place)
            if place > group_ends and end:
                yield place
            group_ends = max(group_ends, end) if place <= group_ends else end or group_ends
        overlap, at = data[-5:], at + len(block)


def _page_end(file: IO[bytes], at: int) -> int:
    file.seek(at)
    head = file.read(27 + 255)
    if len(head) < 28:
        return 0
    return at + 27 + head[26] + sum(head[27 : 27 + head[26]])
