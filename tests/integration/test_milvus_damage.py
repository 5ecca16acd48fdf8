"""Files of Milvus Lite that are truncated: told without paths, and built anew by themselves."""

import os
from pathlib import Path

import pytest
from django.test import Client
from pymilvus.exceptions import MilvusException

from apps.analysis.drift import find_drift
from apps.analysis.index import get_index
from apps.analysis.index_folder import begin_anew, new_is_asked_for
from apps.analysis.reconcile import reconcile
from apps.analysis.space_indexes import index_of
from apps.analysis.spaces import active_space
from apps.ops import api
from audiosearch.engine.errors import IndexUnavailable, IndexUnreadable
from audiosearch.engine.indexes.milvus_connection import UNEXPECTED, _translate
from tests.servers import milvus_lite_process
from tests.unit.conftest import AddTone, add_tone  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


def red(client: Client) -> str:
    """What `ready/` says of the index; empty when it is well."""
    api._probe_index.cache_clear()
    return str(client.get("/api/v1/ready/").json()["dependencies"]["index"]["message"])


@pytest.mark.parametrize(
    "damaged", [pytest.param("*.json", marks=pytest.mark.exhaustive), "*.parquet"]
)
def test_truncated_files_are_told_and_built_anew(
    damaged: str,
    tmp_path: Path,
    settings: object,
    client: Client,
    add_tone: AddTone,  # noqa: F811
) -> None:
    folder = tmp_path / "milvus"
    with milvus_lite_process(folder) as server:
        settings.MILVUS_URI, settings.DATA_DIR = server.url, tmp_path  # type: ignore[attr-defined]
        (tmp_path / "run").mkdir()
        get_index.cache_clear()
        track = add_tone(440)
        reconcile()
        assert red(client) == ""
        server.stop()
        for path in folder.rglob(damaged):
            os.truncate(path, path.stat().st_size // 2)
        server.start()
        with pytest.raises(IndexUnreadable) as told:
            index_of(active_space()).probe()
        assert str(tmp_path) not in str(told.value)
        assert red(client) == str(told.value)
        reconcile()
        assert new_is_asked_for()
        server.stop()
        begin_anew()
        server.start()
        assert list(tmp_path.glob("milvus-unreadable-*"))
        assert "built anew" in red(client)
        reconcile()
        assert red(client) == ""
        assert get_index().window_counts("fake-v1") == {track.pk: 1}
        assert find_drift() == []
        assert not new_is_asked_for()
        assert not list(tmp_path.glob("milvus-unreadable-*"))


def test_a_full_disk_is_no_damage() -> None:
    """Lite has one number for both; files that only lack room are not set aside."""
    error = MilvusException(UNEXPECTED, "[Errno 28] No space left on device: '/data/milvus/x'")
    told = _translate(error, "http://127.0.0.1:1", lite=True)
    assert type(told) is IndexUnavailable
    assert "/data" not in str(told)
