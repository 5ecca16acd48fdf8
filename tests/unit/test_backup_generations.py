"""Generations of backups: cheap, whole or not there, and never worse than the one before."""

import errno
import json
import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.analysis.reconcile import reconcile
from apps.analysis.representations import kept_name
from apps.catalog.models import Track
from apps.catalog.services.deleting import delete_tracks
from apps.jobs.models import Lock
from apps.ops.backups import files, making
from apps.ops.backups.folders import (
    MANIFEST,
    SUMS,
    generations,
    next_name,
    read_manifest,
    read_sums,
)
from apps.ops.backups.making import CannotBackUp, back_up
from apps.ops.backups.recording import last_backup
from apps.ops.backups.restoring import restore
from apps.ops.backups.verifying import verify
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)


def quiet(what: str, done: int) -> None:
    return


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def manage(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def recording_of(track: Track) -> Path:
    return Path(track.file.path)


def vectors_of(track: Track) -> Path:
    return Path(track.file.storage.path(kept_name("fake-v1", track.pk)))


def in_backup(folder: Path, track: Track) -> Path:
    return folder / "files" / str(track.file.name)


def damage(path: Path) -> None:
    """Other bytes, but as many of them and of the same time."""
    at = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))


def problems(folder: Path) -> dict[str, str]:
    return {name: why for each in verify(folder, quiet) for name, why in each.problems.items()}


def test_so_many_are_kept_and_share_what_is_unchanged(add_tone: AddTone, folder: Path) -> None:
    first, second = add_tone(440), add_tone(550)
    assert "files are in" in manage("backup", str(folder), "--keep", "2")
    (oldest,) = generations(folder)
    delete_tracks([second.pk])
    add_tone(660)
    manage("backup", str(folder), "--keep", "2")
    _, newer = generations(folder)
    assert in_backup(newer, first).samefile(in_backup(oldest, first))
    assert not in_backup(newer, second).exists()
    assert in_backup(oldest, second).exists()
    manage("backup", str(folder), "--keep", "2")
    assert generations(folder)[0] == newer
    assert {path.name for path in folder.iterdir()} == {
        ".audiosearch-backup",
        *(path.name for path in generations(folder)),
    }
    assert manage("backup", str(folder), "--verify").count("is intact") == 2
    check = ["sha256sum", "--check", "--quiet", SUMS]
    assert subprocess.run(check, cwd=newer, check=False).returncode == 0


def test_where_nothing_can_be_linked_it_is_copied(
    add_tone: AddTone, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = add_tone(440)
    one = back_up(folder, quiet, keep=2).folder

    def refuse(*paths: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    two = back_up(folder, quiet, keep=2).folder
    assert not in_backup(two, track).samefile(in_backup(one, track))
    assert problems(folder) == {}


@pytest.mark.parametrize("keep", [0, 2])
@pytest.mark.parametrize("harm", ["missing", "damaged"])
@pytest.mark.parametrize("path_of", [recording_of, vectors_of])
def test_what_is_lost_is_named_and_its_last_good_copy_stays(
    add_tone: AddTone, folder: Path, keep: int, harm: str, path_of: Callable[[Track], Path]
) -> None:
    lost, other = add_tone(440), add_tone(550)
    good = path_of(lost).read_bytes()
    name = f"files/{path_of(lost).relative_to(lost.file.storage.location)}"
    back_up(folder, quiet, keep)
    damage(path_of(lost)) if harm == "damaged" else path_of(lost).unlink()
    options = ["--keep", str(keep)] if keep else []
    for _ in range(3):
        with pytest.raises(CommandError, match=rf"{name}: .*it") as told:
            manage("backup", str(folder), *options)
        assert "the last good copy is in this backup" in str(told.value)
    newest = generations(folder)[-1] if keep else folder
    assert (newest / name).read_bytes() == good
    assert in_backup(newest, other).exists()
    assert list(read_manifest(newest)["damaged"]) == [name]
    assert "When it was made, these were damaged" in manage("backup", str(newest), "--verify")
    last = last_backup()
    assert last is not None
    assert (last.problem, last.damaged) == ("1 file missing or damaged", 1)


def test_what_was_never_whole_is_backed_up_as_it_is(add_tone: AddTone, folder: Path) -> None:
    lost, gone = add_tone(440), add_tone(550)
    damage(recording_of(lost))
    recording_of(gone).unlink()
    made = back_up(folder, quiet, keep=1)
    assert in_backup(made.folder, lost).read_bytes() == recording_of(lost).read_bytes()
    assert set(made.damaged) == {f"files/{lost.file.name}", f"files/{gone.file.name}"}
    assert not any("good copy" in why for why in made.damaged.values())
    assert problems(folder) == {}


def test_a_copy_that_rotted_is_noticed_and_made_again(add_tone: AddTone, folder: Path) -> None:
    track = add_tone(440)
    one = back_up(folder, quiet, keep=3).folder
    damage(in_backup(one, track))
    with pytest.raises(CommandError, match=f"{one} is not intact:\nfiles/tracks.* is damaged"):
        manage("backup", str(folder), "--verify")
    two = back_up(folder, quiet, keep=3)
    assert two.damaged == {}
    assert in_backup(two.folder, track).read_bytes() == recording_of(track).read_bytes()
    assert not in_backup(two.folder, track).samefile(in_backup(one, track))


@pytest.mark.parametrize("lost", ["database/auth.User.jsonl.gz", SUMS, "files/tracks"])
def test_a_verification_misses_nothing(add_tone: AddTone, folder: Path, lost: str) -> None:
    add_tone(440)
    made = back_up(folder, quiet).folder
    assert problems(folder) == {}
    for path in [made / lost] if (made / lost).is_file() else (made / lost).rglob("*.wav"):
        path.unlink()
    found = problems(folder)
    assert set(found.values()) == {"it is missing"}
    assert all(name.startswith(lost) for name in found)


def test_what_broke_off_leaves_the_older_ones_and_is_gone_on_with(
    add_tone: AddTone, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it breaks off: while it copies, before it has its name, while an older one goes."""
    track = add_tone(440)
    kept = back_up(folder, quiet, keep=1).folder
    add_tone(550)
    for where, name in ((files, "copy_file"), (making, "next_name"), (making.shutil, "rmtree")):

        def crash(*arguments: Any, **options: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(where, name, crash)
            with pytest.raises(KeyboardInterrupt):
                back_up(folder, quiet, keep=1)
        assert problems(folder) == {}
        assert kept in generations(folder) or name == "rmtree"
    made = back_up(folder, quiet, keep=1).folder
    assert generations(folder) == [made]
    assert sorted(path.name for path in folder.iterdir()) == [".audiosearch-backup", made.name]
    assert in_backup(made, track).exists()
    assert len(read_sums(made)) == sum(path.is_file() for path in made.rglob("*")) - 3


def test_a_backup_that_was_stopped_gives_way(add_tone: AddTone, folder: Path) -> None:
    """Its lock ended meanwhile, and another process has begun one."""
    add_tone(440)

    def told(what: str, done: int) -> None:
        Lock.objects.filter(name="backup").update(holder="elsewhere:1")

    with pytest.raises(CannotBackUp, match="stopped for so long"):
        back_up(folder, told, keep=1)
    assert generations(folder) == []
    with pytest.raises(CommandError, match="Another backup is being made"):
        manage("backup", str(folder), "--keep", "1")
    assert last_backup() is None


def test_a_clock_set_back_makes_no_new_one_the_oldest(folder: Path) -> None:
    ahead = (timezone.now() + timedelta(days=9)).strftime("%Y-%m-%dT%H-%M-%SZ")
    (folder / ahead).mkdir(parents=True)
    assert next_name(folder) > ahead


def test_one_kind_of_folder_is_not_made_the_other(add_tone: AddTone, tmp_path: Path) -> None:
    plain, many = tmp_path / "plain", tmp_path / "many"
    back_up(plain, quiet)
    back_up(many, quiet, keep=1)
    with pytest.raises(CannotBackUp, match="without generations; choose another"):
        back_up(plain, quiet, keep=1)
    with pytest.raises(CannotBackUp, match="add --keep N"):
        back_up(many, quiet)
    assert problems(plain) == problems(many) == {}


def test_a_folder_of_what_is_backed_up_is_refused(settings: Any) -> None:
    with pytest.raises(CannotBackUp, match="is in a folder that is backed up"):
        back_up(Path(settings.MEDIA_ROOT) / "kept", quiet)


def test_the_newest_whole_one_is_restored_and_its_damage_told(
    add_tone: AddTone, folder: Path, clip: Callable[[float, float], Path]
) -> None:
    track = add_tone(440)
    back_up(folder, quiet, keep=3)
    made = back_up(folder, quiet, keep=3).folder
    (folder / "unfinished-1").mkdir()
    copy = in_backup(made, track)
    copy.write_bytes(b"x" + copy.read_bytes()[1:])
    delete_tracks([track.pk])
    reconcile()
    with pytest.raises(CommandError, match=f"missing or damaged:\nfiles/{track.file.name}"):
        manage("restore", str(folder))
    assert Track.objects.count() == 1
    delete_tracks([track.pk])
    rows = made / "database" / "catalog.Track.jsonl.gz"
    rows.write_bytes(rows.read_bytes()[:-1])
    with pytest.raises(CommandError, match="is damaged; restore an older backup"):
        manage("restore", str(folder))
    assert Track.objects.count() == 0
    assert restore(generations(folder)[0], quiet).folder == generations(folder)[0]


def test_a_backup_of_before_has_no_checksums_and_is_restored(
    add_tone: AddTone, folder: Path
) -> None:
    track = add_tone(440)
    back_up(folder, quiet)
    (folder / SUMS).unlink()
    told = json.loads((folder / MANIFEST).read_text())
    del told["checksums"], told["damaged"]
    (folder / MANIFEST).write_text(json.dumps(told))
    with pytest.raises(CommandError, match="kept no checksums; make a new one"):
        manage("backup", str(folder), "--verify")
    delete_tracks([track.pk])
    assert "is restored" in manage("restore", str(folder))
    manage("backup", str(folder))
    assert "is intact" in manage("backup", str(folder), "--verify")
