"""Real servers for the tests that need them, each started once, at first use."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings

from apps.analysis.index import get_index
from audiosearch.engine.analyzers.registry import ANALYZERS
from tests import servers


@pytest.fixture(scope="session")
def milvus_lite_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.milvus_lite(_folder(tmp_path_factory, "lite")) as uri:
        yield uri


@pytest.fixture(scope="session")
def milvus_server_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.milvus_server(_folder(tmp_path_factory, "milvus")) as uri:
        yield uri


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with servers.redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with servers.postgres_server() as url:
        yield url


@pytest.fixture
def own_database(postgres_url: str) -> str:
    """A new database on the PostgreSQL server, which no other test sees; its URL."""
    name = f"own_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{postgres_url.rpartition('/')[0]}/{name}"


def _folder(factory: pytest.TempPathFactory, name: str) -> Path:
    return factory.mktemp(name) / "data"


ANALYZERS["fake"] = "tests.fake_encoder.Fake"
ANALYZERS["fake_two"] = "tests.fake_encoder.FakeTwo"


@pytest.fixture(autouse=True)
def fresh_index() -> Iterator[None]:
    """No test sees the index or the files of another."""
    yield
    get_index.cache_clear()
    shutil.rmtree(settings.MEDIA_ROOT, ignore_errors=True)
