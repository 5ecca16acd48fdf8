"""A backup restored elsewhere answers searches as before."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.access.models import ApiToken
from apps.access.tokens import issue_token
from apps.analysis.drift import find_drift
from apps.analysis.index import get_index
from apps.analysis.models import TrackAnalysis
from apps.analysis.reconcile import reconcile
from apps.catalog.models import Collection, Tag, Track
from apps.catalog.services.deleting import delete_tracks
from apps.jobs.models import Lock
from apps.ops.backups.folders import MANIFEST
from apps.ops.backups.making import back_up
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def catalogue(add_tone: AddTone) -> list[Track]:
    """Four tones with a collection and tags, and a user with a group and a token.

    The last is left out of searches.
    """
    tones = [add_tone(hz, for_enrolment=hz == 1760) for hz in (220, 440, 880, 1760)]
    tones[0].collection = Collection.objects.create(name="Low")
    tones[0].save()
    tones[0].tags.add(Tag.objects.create(name="deep"))
    user = get_user_model().objects.create_user("keeper", password="pw", is_staff=True)
    group = Group.objects.create(name="crew")
    group.permissions.add(Permission.objects.get(codename="change_track"))
    user.groups.add(group)
    issue_token(user=user, name="script")
    return tones


def lose_everything(settings: Any, tmp_path: Path) -> None:
    """Another machine: an empty database, no files, no index."""
    delete_tracks(list(Track.objects.values_list("pk", flat=True)))
    Collection.objects.all().delete()
    Tag.objects.all().delete()
    Group.objects.all().delete()
    Lock.objects.all().delete()
    get_user_model().objects.all().delete()
    admin = get_user_model().objects.create_superuser("admin", password="other")
    admin.groups.add(Group.objects.create(name="others"))
    for space in get_index().spaces():
        get_index().drop_space(space)
    media = Path(settings.MEDIA_ROOT)
    for path in media.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def hits(client: Client, path: Path) -> list[tuple[int, float]]:
    with path.open("rb") as file:
        found = client.post("/api/v1/search/", {"file": file}).json()["hits"]
    return [(hit["track"]["id"], hit["distance"]) for hit in found]


def test_a_restore_finds_the_same(
    catalogue: list[Track],
    clip: Callable[[float, float], Path],
    tmp_path: Path,
    settings: Any,
) -> None:
    client, asked = Client(), clip(450, 2)
    client.force_login(get_user_model().objects.get(username="keeper"))
    before = hits(client, asked)
    assert {pk for pk, _ in before} == {track.pk for track in catalogue[:3]}
    token = ApiToken.objects.get().digest
    ends = timezone.now() + timedelta(hours=6)
    Lock.objects.create(name="check", holder="elsewhere:1", expires_at=ends)
    out = StringIO()
    call_command("backup", str(tmp_path / "kept"), stdout=out)
    assert "secret key is not in it" in out.getvalue()
    lose_everything(settings, tmp_path)
    call_command("restore", str(tmp_path / "kept"), stdout=out)
    reconcile()
    keeper = get_user_model().objects.get()
    assert keeper.check_password("pw")
    assert keeper.has_perm("catalog.change_track")
    assert ApiToken.objects.get().digest == token
    assert not Lock.objects.filter(name="check").exists()
    client.force_login(keeper)
    assert hits(client, asked) == before
    first = Track.objects.get(pk=catalogue[0].pk)
    assert (first.collection.name, [tag.name for tag in first.tags.all()]) == ("Low", ["deep"])
    assert abs(first.added_at - catalogue[0].added_at) < timedelta(milliseconds=1)
    assert client.get(reverse("api-track-audio", args=[first.pk])).status_code == 200
    assert not TrackAnalysis.objects.filter(index_stale=True).exists()
    assert find_drift() == []
    assert Track.objects.create(
        title="next", sha256="0" * 64, duration_ms=1, sample_rate=1, channels=1, size_bytes=1
    ).pk > max(track.pk for track in catalogue)


def test_a_second_backup_copies_what_is_new(
    catalogue: list[Track], add_tone: AddTone, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    call_command("backup", str(folder), stdout=StringIO())
    made = {path: path.stat().st_ino for path in (folder / "files").rglob("*") if path.is_file()}
    add_tone(3000)
    call_command("backup", str(folder), stdout=StringIO())
    again = {path: path.stat().st_ino for path in (folder / "files").rglob("*") if path.is_file()}
    assert made.items() <= again.items()
    assert len(again) == len(made) + 4  # the recording, its vectors, its landmarks, its tune
    delete_tracks([catalogue[0].pk])
    call_command("backup", str(folder), stdout=StringIO())
    left = {path for path in (folder / "files").rglob("*") if path.is_file()}
    assert len(left) == len(again) - 4


def test_nobody_waits_for_a_backup(catalogue: list[Track], tmp_path: Path) -> None:
    """Another connection writes while the rows are read, and the backup does not see it."""

    def told(what: str, done: int) -> None:
        if what == "Collection":
            writer = Thread(target=write)
            writer.start()
            writer.join(10)
            assert not writer.is_alive()

    def write() -> None:
        Collection.objects.create(name=f"Meanwhile {Collection.objects.count()}")
        connection.close()

    made = back_up(tmp_path / "kept", told)
    assert made.manifest["rows"]["catalog.Collection"] == 1
    assert Collection.objects.count() == 2


def test_a_folder_of_others_is_left_alone(catalogue: list[Track], tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(CommandError, match="no backup; choose another"):
        call_command("backup", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".txt"] == ["letters.txt"]


def test_what_is_refused(catalogue: list[Track], tmp_path: Path, settings: Any) -> None:
    folder = tmp_path / "kept"
    call_command("backup", str(folder), stdout=StringIO())
    with pytest.raises(CommandError, match="There are 4 recordings here"):
        call_command("restore", str(folder))
    told = json.loads((folder / MANIFEST).read_text())
    told["migrations"]["catalog"] = "9999_of_another_version"
    (folder / MANIFEST).write_text(json.dumps(told))
    lose_everything(settings, tmp_path)
    with pytest.raises(CommandError, match="another version"):
        call_command("restore", str(folder))
    (folder / MANIFEST).unlink()
    with pytest.raises(CommandError, match="no whole backup"):
        call_command("restore", str(folder))
    assert get_user_model().objects.get().username == "admin"
