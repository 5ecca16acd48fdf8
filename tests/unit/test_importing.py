"""Importing tells of every file what came of it, and takes nothing it should not."""

import csv
import io
import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.catalog.models import Tag, Track
from apps.catalog.services import importing
from apps.catalog.services.adding import add_track
from apps.catalog.services.zip_names import member_names
from audiosearch.engine.errors import UnsupportedAudio
from tests.audio_files import tone, write_audio

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    write_audio(folder / "good.wav", tone(1))
    return folder


def run(folder: Path, *paths: Path, **options: Any) -> tuple[str, dict[str, tuple[str, str]]]:
    """What an import printed, and its report: outcome and reason by path below `folder`."""
    out, report = io.StringIO(), folder.parent / "report.csv"
    call_command("import", *map(str, paths or (folder,)), report=report, stdout=out, **options)
    return out.getvalue(), read(report, folder)


def read(report: Path, folder: Path) -> dict[str, tuple[str, str]]:
    with report.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["file"].removeprefix(f"{folder}/"): (row["outcome"], row["reason"]) for row in rows}


def zipped(path: Path, members: list[tuple[str, bytes]]) -> Path:
    """A zip file whose names are put in as they are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def untold(path: Path, names: list[bytes], content: bytes) -> Path:
    """A zip file whose names are bytes of no told encoding."""
    fillers = [f"{number:05}".ljust(len(name), "x") for number, name in enumerate(names)]
    zipped(path, [(filler, content) for filler in fillers])
    packed = path.read_bytes()
    for filler, name in zip(fillers, names, strict=True):
        packed = packed.replace(filler.encode(), name)
    path.write_bytes(packed)
    return path


def sound(hz: float, folder: Path) -> bytes:
    return write_audio(folder / "one.wav", tone(0.5, hz)).read_bytes()


def test_everything_that_is_passed_over_is_named_with_its_reason(sounds: Path) -> None:
    write_audio(sounds / "._hidden.wav", tone(1, 500))
    (sounds / ".Trashes").mkdir()
    write_audio(sounds / ".Trashes" / "thrown away.wav", tone(1, 510))
    for name in ("Thumbs.db", "notes.txt", "README", "inner.zip"):
        (sounds / name).write_bytes(b"x")
    (sounds / "folder link").symlink_to(sounds)
    (sounds / "broken.wav").symlink_to(sounds / "gone.wav")
    (sounds / "loop.wav").symlink_to(sounds / "loop.wav")
    os.mkfifo(sounds / "pipe.wav")
    (sounds / "bad.wav").write_bytes(b"RIFF")
    said, report = run(sounds)
    assert "1 added, 0 already there, 1 refused, 10 passed over; 2 files" in said
    reasons = {
        "._hidden.wav": "hidden",
        ".Trashes": "hidden",
        "Thumbs.db": "hidden",
        "notes.txt": "ends in .txt",
        "README": "has no ending",
        "inner.zip": "a zip file in a folder",
        "folder link": "a link to a folder",
        "broken.wav": "leads nowhere",
        "loop.wav": "leads nowhere",
        "pipe.wav": "neither",
    }
    for name, reason in reasons.items():
        assert report[name][0] == "passed over", name
        assert reason in report[name][1], name
        assert f"{sounds}/{name}: {report[name][1]}" in said
    assert report["good.wav"] == ("added", "")
    assert report["bad.wav"][0] == "refused"
    assert len(report) == 12


def test_the_terminal_is_told_of_twenty_and_the_report_of_all(sounds: Path) -> None:
    for number in range(30):
        (sounds / f"{number}.txt").touch()
    said, report = run(sounds)
    assert said.count("passed over:") == 20
    assert "… and 10 more; --report" in said
    assert len(report) == 31


def test_our_own_data_is_never_imported(sounds: Path, settings: Any) -> None:
    """Neither from above, nor by its own name, nor by a link, whatever leads there."""
    data = sounds / "data"
    (data / "uploads").mkdir(parents=True)
    settings.DATA_DIR = data
    query = write_audio(data / "uploads" / "query.wav", tone(1, 600))
    (sounds / "link.wav").symlink_to(query)
    (sounds / "linked").symlink_to(data)
    said, report = run(sounds, sounds, data, query, data / "uploads", sounds / "linked")
    assert "1 added, 0 already there, 0 refused, 7 passed over" in said
    named = {name for name, (_, reason) in report.items() if "own data" in reason}
    assert named == {"data", "data/uploads", "data/uploads/query.wav", "link.wav", "linked"}
    assert Track.objects.count() == 1


def test_books_and_web_audio_in_a_folder_are_added(sounds: Path) -> None:
    book = write_audio(sounds / "x.m4a", tone(1, 500))
    book.rename(sounds / "book.m4b")
    web = write_audio(sounds / "x.webm", tone(1, 600))
    web.rename(sounds / "web.weba")
    assert run(sounds)[1] == dict.fromkeys(["book.m4b", "good.wav", "web.weba"], ("added", ""))


def test_a_file_that_vanishes_does_not_end_the_import(
    sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_audio(sounds / "later.wav", tone(1, 500))
    add = add_track

    def vanish(**options: Any) -> Any:
        (sounds / "later.wav").unlink(missing_ok=True)
        return add(**options)

    monkeypatch.setattr(importing, "add_track", vanish)
    said, report = run(sounds)
    assert "1 added, 0 already there, 1 refused" in said
    assert report["later.wav"] == ("refused", "It has gone meanwhile.")


def test_ctrl_c_ends_in_a_summary(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_audio(sounds / "later.wav", tone(1, 500))
    add, woken = add_track, []

    def interrupted(**options: Any) -> Any:
        if options["name"] == "later.wav":
            raise KeyboardInterrupt
        return add(**options)

    monkeypatch.setattr(importing, "add_track", interrupted)
    monkeypatch.setattr(importing, "enqueue", woken.append)
    out = io.StringIO()
    with pytest.raises(CommandError, match="goes on where it stopped") as told:
        call_command("import", str(sounds), report=sounds.parent / "report.csv", stdout=out)
    assert told.value.returncode == 130
    assert "1 added, 0 already there, 0 refused; 1 files" in out.getvalue()
    assert read(sounds.parent / "report.csv", sounds) == {"good.wav": ("added", "")}
    assert woken[-1:] == [importing.ANALYSE]


def test_a_report_that_cannot_be_written_is_told_before_anything_is_done(sounds: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("import", str(sounds), report=sounds / "no" / "report.csv")
    assert not Track.objects.exists()


def test_nothing_to_import_is_told_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    out = io.StringIO()
    with pytest.raises(CommandError, match="no audio files"):
        call_command("import", str(tmp_path), stdout=out)
    assert "ends in .txt" in out.getvalue()


def test_members_of_one_name_are_both_added(tmp_path: Path) -> None:
    same = [("same.wav", sound(hz, tmp_path)) for hz in (440, 550)]
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped(tmp_path / "two.zip", same)
    assert "2 added" in run(tmp_path, path)[0]


def test_litter_links_and_zips_in_a_zip_are_named(tmp_path: Path) -> None:
    content = sound(440, tmp_path)
    names = ("__MACOSX/._x.wav", ".hidden/x.wav", "Thumbs.db", "in.zip", "no.txt", "folder/")
    path = zipped(tmp_path / "all.zip", [(name, content) for name in ("x.wav", *names)])
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link.wav")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "x.wav")
    said, report = run(tmp_path, path)
    assert "1 added, 0 already there, 0 refused, 6 passed over" in said
    for name, reason in (
        ("__MACOSX/._x.wav", "hidden"),
        (".hidden/x.wav", "hidden"),
        ("Thumbs.db", "hidden"),
        ("in.zip", "unpack it first"),
        ("no.txt", "ends in .txt"),
        ("link.wav", "a link"),
    ):
        assert reason in report[f"all.zip/{name}"][1]


@pytest.mark.parametrize("damage", [b"PK\x01\x02", b"PK\x03\x04"])
def test_a_damaged_zip_is_told_and_the_rest_goes_on(sounds: Path, damage: bytes) -> None:
    path = zipped(sounds.parent / "bad.zip", [("a.wav", sound(500, sounds.parent))])
    path.write_bytes(path.read_bytes().replace(damage, b"PK\0\0"))
    said, _ = run(sounds, path, sounds)
    assert "1 added" in said
    assert "bad.zip" in said
    assert "It cannot be read" in said


def test_names_in_a_zip_can_be_read_and_give_the_tags_of_folders(tmp_path: Path) -> None:
    names = {
        "Моя папка/Песня.wav": "cp866",
        "新建文件夹/北京欢迎你.wav": "gb18030",
        "録音ファイル/さくら.wav": "cp932",
        "Été/Chanson été.wav": "utf-8",
        "Übung/Größe.wav": "cp437",
        "Drums\\Kick\\kick01.wav": "ascii",
    }
    for number, (name, encoding) in enumerate(names.items()):
        path = tmp_path / f"{number}.zip"
        untold(path, [name.encode(encoding)], sound(440 + number, tmp_path))
        assert "1 added" in run(tmp_path, path, folder_tags=True)[0]
        track = Track.objects.latest("pk")
        *_, folder, last = name.replace("\\", "/").split("/")
        assert track.original_name == last
        assert [tag.name for tag in track.tags.all()] == [folder.lower()]


def test_names_that_cannot_be_read_are_numbers(tmp_path: Path) -> None:
    path = untold(tmp_path / "odd.zip", [b"\x01\x9b\xff\xf0\x02.wav"], sound(440, tmp_path))
    assert run(tmp_path, path)[1] == {"odd.zip/odd 1.wav": ("added", "")}
    assert Track.objects.get().title == "odd 1"


def test_the_unicode_path_of_info_zip_is_believed_if_it_is_of_this_name() -> None:
    for name, crc, shown in ((b"x\x82.wav", 0, "xé.wav"), (b"x\x82.wav", 1, "ж.wav")):
        member = zipfile.ZipInfo(name.decode("cp437"))
        member.flag_bits = 0
        field = struct.pack("<BI", 1, zlib.crc32(name) if crc else 0) + "ж.wav".encode()
        member.extra = struct.pack("<HH", 0x7075, len(field)) + field
        assert member_names([member], unreadable="x") == [shown]


def test_names_on_disk_are_kept_in_nfc_and_in_text(tmp_path: Path) -> None:
    folder = tmp_path / "E\u0301te\u0301"
    folder.mkdir()
    for hz, name in ((440, "Cafe\u0301.wav".encode()), (450, b"caf\xe9 au lait.wav")):
        write_audio(tmp_path / "x.wav", tone(0.5, hz))
        shutil.move(tmp_path / "x.wav", os.fsencode(folder) + b"/" + name)
    run(tmp_path, folder, folder_tags=True)
    assert set(Track.objects.values_list("title", flat=True)) == {"Café", "café au lait"}
    assert Tag.objects.get().name == "été"


@pytest.mark.parametrize("name", ["._x.wav", ".x.wav", "Thumbs.db", "folder\\desktop.ini"])
def test_litter_is_not_added_in_any_other_way(tmp_path: Path, name: str) -> None:
    path = write_audio(tmp_path / "x.wav", tone(1))
    with pytest.raises(UnsupportedAudio, match="file managers"):
        add_track(source=path, name=name)
