"""What happens to files on their way, and what somebody does to them who means harm.

Each kind of damage is a function of the file and a random generator, so a seed is the whole file.
"""

from collections.abc import Callable, Mapping

import numpy as np

Damage = Callable[[bytearray, np.random.Generator, Mapping[str, bytes]], bytearray]

HEADER = 512
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
            0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF)  # fmt: skip

# Where a format keeps sizes, rates and counts: (offset from the marker, bytes).
FIELDS: Mapping[bytes, tuple[tuple[int, int], ...]] = {
    b"RIFF": ((4, 4),),
    b"RF64": ((4, 4),),
    b"ds64": ((4, 4), (8, 8), (16, 8), (24, 8), (32, 4)),
    b"fmt ": ((4, 4), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2), (22, 2), (24, 2), (28, 4)),
    b"fact": ((4, 4), (8, 4)),
    b"data": ((4, 4),),
    b"LIST": ((4, 4),),
    b"FORM": ((4, 4),),
    b"COMM": ((4, 4), (8, 2), (10, 4), (14, 2), (16, 2), (18, 8), (26, 4)),
    b"SSND": ((4, 4), (8, 4), (12, 4)),
    b"fLaC": ((4, 1), (5, 1), (8, 2), (10, 2), (18, 4), (22, 4)),
    b"OggS": ((4, 1), (5, 1), (6, 8), (14, 4), (18, 4), (26, 1), (27, 1)),
    b"OpusHead": ((8, 1), (9, 1), (10, 2), (12, 4), (16, 2), (18, 1)),
    b"OpusTags": ((8, 4),),
    b"\x01vorbis": ((7, 4), (11, 1), (12, 4), (16, 4), (28, 1)),
    b"\x03vorbis": ((7, 4),),
    b"ID3": ((3, 1), (5, 1), (6, 4), (14, 4)),
    b"Xing": ((4, 4), (8, 4), (12, 4)),
    b"Info": ((4, 4), (8, 4), (12, 4)),
    b"\xff\xfb": ((2, 1), (3, 1)),
    b"\xff\xf1": ((2, 1), (3, 1), (4, 1), (5, 1)),
    b"ftyp": ((-4, 4),),
    b"moov": ((-4, 4),),
    b"mdat": ((-4, 4),),
    b"mvhd": ((-4, 4), (16, 4), (20, 4)),
    b"mdhd": ((-4, 4), (4, 1), (16, 4), (20, 4)),
    b"elst": ((-4, 4), (8, 4), (12, 4), (16, 4)),
    b"stsd": ((-4, 4), (8, 4)),
    b"mp4a": ((-4, 4), (20, 2), (22, 2), (28, 4)),
    b"alac": ((-4, 4), (8, 4), (12, 4), (16, 4), (20, 2), (22, 2), (28, 4)),
    b"esds": ((-4, 4), (4, 4), (8, 4)),
    b"stts": ((-4, 4), (8, 4), (12, 4), (16, 4)),
    b"stsc": ((-4, 4), (8, 4), (12, 4), (16, 4)),
    b"stsz": ((-4, 4), (8, 4), (12, 4), (16, 4)),
    b"stco": ((-4, 4), (8, 4), (12, 4)),
    b"\x1a\x45\xdf\xa3": ((4, 1), (4, 8)),
    b"\x18\x53\x80\x67": ((4, 8),),  # Segment
    b"\x16\x54\xae\x6b": ((4, 8),),  # Tracks
    b"\x1f\x43\xb6\x75": ((4, 8),),  # Cluster
    b"\x2a\xd7\xb1": ((3, 1), (4, 2)),  # TimestampScale
    b"\x44\x89": ((2, 1), (3, 8)),  # Duration
    b"\xb5\x88": ((1, 1), (2, 8)),  # SamplingFrequency
    b"\x9f\x81": ((1, 1), (2, 1)),  # Channels
}


def damaged(originals: Mapping[str, bytes], seed: list[int]) -> tuple[str, bytes]:
    """One of the files after one to four kinds of damage, and in words what was done to it."""
    rng = np.random.default_rng(seed)
    name = sorted(originals)[rng.integers(len(originals))]
    data = bytearray(originals[name])
    done = []
    for _ in range(rng.integers(1, 5)):
        how = list(KINDS)[rng.integers(len(KINDS))]
        data = KINDS[how](data, rng, originals)
        done.append(how)
    if b"OggS" in data and rng.random() < 0.7:  # else the demuxer drops every page that we touched
        data = _sealed(data)
        done.append("sealed")
    return f"{name}: {', '.join(done)}", bytes(data)


def _flip_bits(
    data: bytearray, rng: np.random.Generator, _: Mapping[str, bytes], end: int | None = None
) -> bytearray:
    for at in rng.integers(0, max(1, len(data[:end])), size=rng.integers(1, 65)):
        data[at : at + 1] = bytes(byte ^ (1 << rng.integers(8)) for byte in data[at : at + 1])
    return data


def _flip_header_bits(
    data: bytearray, rng: np.random.Generator, originals: Mapping[str, bytes]
) -> bytearray:
    return _flip_bits(data, rng, originals, HEADER)


def _cut_off(data: bytearray, rng: np.random.Generator, _: Mapping[str, bytes]) -> bytearray:
    end = HEADER if rng.random() < 0.3 else len(data) + 1
    return data[: rng.integers(0, end)]


def _stretch(data: bytearray, rng: np.random.Generator) -> slice:
    size = int(2 ** rng.uniform(0, np.log2(len(data) + 2)))
    start = int(rng.integers(0, len(data) + 1))
    return slice(start, start + size)


def _repeat(data: bytearray, rng: np.random.Generator, _: Mapping[str, bytes]) -> bytearray:
    chosen = _stretch(data, rng)
    return data[: chosen.stop] + data[chosen] * int(rng.integers(1, 4)) + data[chosen.stop :]


def _leave_out(data: bytearray, rng: np.random.Generator, _: Mapping[str, bytes]) -> bytearray:
    del data[_stretch(data, rng)]
    return data


def _swap(data: bytearray, rng: np.random.Generator, _: Mapping[str, bytes]) -> bytearray:
    a, b, c = sorted(int(at) for at in rng.integers(0, len(data) + 1, size=3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def _overwrite(data: bytearray, rng: np.random.Generator, _: Mapping[str, bytes]) -> bytearray:
    chosen = _stretch(data, rng)
    size = len(data[chosen])
    data[chosen] = rng.bytes(size) if rng.random() < 0.7 else bytes(size)
    return data


def _extreme(data: bytearray, rng: np.random.Generator, at: int, size: int) -> bytearray:
    value = EXTREMES[rng.integers(len(EXTREMES))] % 256**size
    order = "little" if rng.random() < 0.5 else "big"
    if at >= 0 and at + size <= len(data):
        data[at : at + size] = value.to_bytes(size, order)  # type: ignore[arg-type]
    return data


def _extreme_field(data: bytearray, rng: np.random.Generator, _: Mapping[str, bytes]) -> bytearray:
    there = [marker for marker in FIELDS if marker in data]
    if not there:
        return _extreme_anywhere(data, rng, _)
    marker = there[rng.integers(len(there))]
    places = [at for at in range(len(data)) if data.startswith(marker, at)][:50]
    offset, size = FIELDS[marker][rng.integers(len(FIELDS[marker]))]
    return _extreme(data, rng, places[rng.integers(len(places))] + offset, size)


def _extreme_anywhere(
    data: bytearray, rng: np.random.Generator, _: Mapping[str, bytes]
) -> bytearray:
    at = int(rng.integers(0, min(len(data), HEADER) + 1))
    return _extreme(data, rng, at, int(rng.choice([1, 2, 4, 8])))


def _splice(data: bytearray, rng: np.random.Generator, originals: Mapping[str, bytes]) -> bytearray:
    other = originals[sorted(originals)[rng.integers(len(originals))]]
    start = 0 if rng.random() < 0.3 else int(rng.integers(0, len(other)))
    return data[: rng.integers(0, len(data) + 1)] + other[start:]


def _tail(data: bytearray, rng: np.random.Generator, _: Mapping[str, bytes]) -> bytearray:
    size = int(rng.integers(1, 20_000))
    return data + (rng.bytes(size) if rng.random() < 0.7 else bytes(size))


KINDS: Mapping[str, Damage] = {
    "bits flipped": _flip_bits,
    "bits of the header flipped": _flip_header_bits,
    "cut off": _cut_off,
    "a stretch repeated": _repeat,
    "a stretch left out": _leave_out,
    "two stretches swapped": _swap,
    "a stretch overwritten": _overwrite,
    "an extreme value in a field": _extreme_field,
    "an extreme value anywhere": _extreme_anywhere,
    "spliced with another": _splice,
    "a tail": _tail,
}


def _sealed(data: bytearray) -> bytearray:
    """The Ogg pages with checksums that fit what is in them now (RFC 3533, 6)."""
    starts = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        if end - start >= 27:
            data[start + 22 : start + 26] = bytes(4)
            checksum = 0
            for byte in data[start : _page_end(data, start, end)]:
                checksum = (checksum << 8 & 0xFFFFFFFF) ^ OGG_TABLE[checksum >> 24 ^ byte]
            data[start + 22 : start + 26] = checksum.to_bytes(4, "little")
    return data


def _page_end(data: bytearray, start: int, end: int) -> int:
    segments = data[start + 26]
    told = start + 27 + segments + sum(data[start + 27 : start + 27 + segments])
    return min(told, end)


def _ogg_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


OGG_TABLE = _ogg_table()
