"""Tags in every encoding that programs have written them in: readable, or not there at all."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from apps.catalog.services.adding import add_track
from audiosearch.engine.audio import charsets
from audiosearch.engine.audio.charsets import readable
from audiosearch.engine.audio.sandbox import inspect
from audiosearch.engine.audio.tags import MAX_APE_BYTES, ape_tags
from tests.audio_files import tone, write_audio

SONGS = {  # encoding: title, artist
    "cp1251": ("Этот город", "Браво"),
    "koi8_r": ("Группа крови", "Кино"),
    "gb18030": ("月亮代表我的心", "邓丽君"),
    "big5": ("月亮代表我的心", "鄧麗君"),
    "cp932": ("千と千尋の神隠し", "久石譲"),
    "cp949": ("사랑이 다른 사랑으로", "김건모"),
    "cp1253": ("Τα παιδιά του Πειραιά", "Μελίνα"),
    "cp1252": ("Señor Óscar", "Björk"),
    "utf-8": ("Señor Óscar", "Björk"),
}


def id3v1(title: bytes, artist: bytes = b"", album: bytes = b"") -> bytes:
    return b"TAG" + struct.pack("30s30s30s4s30sB", title, artist, album, b"1999", b"", 255)


def id3v2(frames: dict[str, bytes], encoding: int = 0) -> bytes:
    """Version 2.3; encoding 0 says that the texts are Latin-1."""
    body = b"".join(
        key.encode() + struct.pack(">IHB", len(text) + 1, 0, encoding) + text
        for key, text in frames.items()
    )
    size = bytes(len(body) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body


def apev2(items: dict[str, bytes], flags: int = 0) -> bytes:
    body = b"".join(
        struct.pack("<II", len(value), flags) + key.encode() + b"\0" + value
        for key, value in items.items()
    )
    footer = struct.pack("<8sIIII8x", b"APETAGEX", 2000, len(body) + 32, len(items), 1 << 31)
    return footer[:20] + struct.pack("<I8x", 0xA0000000) + body + footer


def mp3(folder: Path, before: bytes = b"", behind: bytes = b"", hz: float = 440) -> Path:
    path = write_audio(folder / "plain.mp3", tone(1, hz))
    sound = path.read_bytes()
    start = 10 + sum(byte << shift for byte, shift in zip(sound[6:10], (21, 14, 7, 0), strict=True))
    tagged = folder / "tagged.mp3"
    tagged.write_bytes(before + sound[start:] + behind)
    return tagged


def tags_of(path: Path) -> dict[str, str]:
    return inspect(path, max_duration_ms=60_000).tags


@pytest.mark.parametrize("encoding", SONGS)
@pytest.mark.parametrize("version", ["ID3v1", "ID3v2"])
def test_titles_in_an_untold_encoding_can_be_read(
    tmp_path: Path, encoding: str, version: str
) -> None:
    title, artist = SONGS[encoding]
    told = {"TIT2": title.encode(encoding), "TPE1": artist.encode(encoding)}
    made = {"before": id3v2(told)} if version == "ID3v2" else {"behind": id3v1(*told.values())}
    found = tags_of(mp3(tmp_path, **made))
    assert title.startswith(found["title"])  # 30 bytes may cut it
    assert len(found["title"]) >= 6
    assert found["artist"] == artist


def test_a_text_that_tells_its_encoding_is_believed(tmp_path: Path) -> None:
    for title in ("Señor Óscar", "ÆØÅ", "Ýmir", "Этот город", "さくら", "Żółć"):
        frames = {"TIT2": b"\xff\xfe" + title.encode("utf-16-le")}
        assert tags_of(mp3(tmp_path, before=id3v2(frames, 1)))["title"] == title
        path = write_audio(tmp_path / "x.flac", tone(1), tags={"title": title})
        assert tags_of(path)["title"] == title


def test_riff_texts_are_in_the_code_page_of_windows(tmp_path: Path) -> None:
    sound = write_audio(tmp_path / "x.wav", tone(1)).read_bytes()
    for encoding, title in (("cp1252", "Café Müller"), ("cp1251", "Этот город")):
        text = title.encode(encoding) + b"\0"
        text += b"\0" * (len(text) % 2)
        info = b"INFOINAM" + struct.pack("<I", len(text)) + text
        body = b"WAVELIST" + struct.pack("<I", len(info)) + info + sound[12:]
        path = tmp_path / "y.wav"
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        assert tags_of(path)["title"] == title


def test_what_cannot_be_read_is_left_to_the_name_of_the_file(
    tmp_path: Path, transactional_db: None
) -> None:
    lost = [b"\x81\x8d\xff\x90\x9d\xfe", b"???? ?????", "Lost \ufffd\ufffd".encode()]
    for number, title in enumerate(lost):
        path = mp3(tmp_path, behind=id3v1(title, b"Plain"), hz=440 + number)
        track = add_track(source=path, name="01 The name.mp3").track
        assert (track.title, track.artist) == ("01 The name", "Plain")


def test_an_apev2_tag_is_read(tmp_path: Path) -> None:
    """It counts for more than an ID3v1 tag behind it, and for less than an ID3v2 tag."""
    ape = apev2({"Title": "Этот город".encode(), "Artist": "Браво\0Другие".encode()})
    assert tags_of(mp3(tmp_path, behind=ape)) | {"encoder": ""} == {
        "title": "Этот город",
        "artist": "Браво; Другие",
        "encoder": "",
    }
    behind = ape + id3v1(b"Cut off", b"Cut", b"Album")
    both = tags_of(mp3(tmp_path, behind=behind))
    assert (both["title"], both["album"]) == ("Этот город", "Album")
    three = tags_of(mp3(tmp_path, before=id3v2({"TIT2": b"Best"}), behind=behind))
    assert (three["title"], three["artist"]) == ("Best", "Браво; Другие")


@pytest.mark.parametrize("size", [0, 31, 33, 2**32 - 1, MAX_APE_BYTES])
@pytest.mark.parametrize("count", [0, 2**32 - 1])
def test_a_hostile_apev2_tag_is_bounded(size: int, count: int) -> None:
    footer = struct.pack("<8sIIII8x", b"APETAGEX", 2000, size, count, 0)
    items = b"\xff" * 40 + struct.pack("<II", 2**32 - 1, 0) + b"Title\0x" + b"\0" * 500
    for packed in (footer, items + footer, apev2({"Title": b"x"})[:-32] + footer):
        assert all(len(value) <= len(packed) for value in ape_tags(io.BytesIO(packed)).values())
    assert ape_tags(io.BytesIO(apev2({"Cover": b"\x89PNG"}, flags=0b10))) == {}


@pytest.mark.parametrize("title", ["Été", "Ænima", "þú og ég", "Ça va", "Don’t stop", "naïve “x”"])
def test_the_encoding_of_the_format_is_believed_if_it_makes_sense(title: str) -> None:
    assert readable([title.encode("cp1252")], own="cp1252") == [title]


def test_bytes_that_end_otherwise_than_they_began_are_not_read() -> None:
    text = "город ".encode("cp1251") * 1000 + b"\x98"
    assert readable([text, b"plain"], own="cp1252") == ["", "plain"]


def test_many_long_texts_are_read_by_a_sample_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    price = charsets._price

    def noted(texts: Sequence[bytes], *options: Any) -> Any:
        looked_at.append(sum(map(len, texts)))
        return price(texts, *options)

    monkeypatch.setattr(charsets, "_price", noted)
    text = "Этот город ".encode("cp1251") * 1000
    found = readable([text] * 100, own="cp1252")
    assert found == [text.decode("cp1251")] * 100
    assert max(looked_at) <= charsets.SAMPLE_BYTES
