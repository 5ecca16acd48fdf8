"""Real servers for the tests that need them, each started once, at first use."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import connection
from django.test import TransactionTestCase

from apps.analysis.index import get_index, get_landmark_index
from audiosearch.engine.analyzers.registry import ANALYZERS
from audiosearch.loading import loading
from tests import servers
from tests.databases import copy_migrated, new_postgres_database
from tests.reporting import PartReport
from tests.scheduling import ByModule
from tests.turns import Turns, shared_folder


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(PartReport(config))


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(Turns(shared_folder(session.config)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with loading():
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule | None:
    return ByModule(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def run_folder(pytestconfig: pytest.Config) -> Path:
    """A folder that all workers of a run see."""
    return shared_folder(pytestconfig)


@pytest.fixture(scope="session")
def milvus_lite_uri(run_folder: Path) -> Iterator[str]:
    start = partial(servers.milvus_lite, run_folder / "lite")
    with servers.shared(run_folder, "lite", start) as uri:
        yield uri


@pytest.fixture(scope="session")
def milvus_server_uri(run_folder: Path) -> Iterator[str]:
    with _milvus_server(run_folder) as uri:
        yield uri


@pytest.fixture(scope="session", autouse=True)
def early_milvus_server(request: pytest.FixtureRequest, run_folder: Path) -> Iterator[None]:
    """It takes longest to start: that goes on beside the tests before the first that needs it."""
    needed = any("milvus_server_uri" in item.fixturenames for item in request.session.items)
    with ExitStack() as stack, ThreadPoolExecutor(1) as starter:
        if needed:
            starter.submit(stack.enter_context, _milvus_server(run_folder))
        yield


def _milvus_server(folder: Path) -> AbstractContextManager[str]:
    return servers.shared(folder, "milvus", partial(servers.milvus_server, folder / "milvus"))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Of this worker alone, as tests empty it."""
    with servers.redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url(run_folder: Path) -> Iterator[str]:
    with servers.shared(run_folder, "postgres", servers.postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def new_database(postgres_url: str) -> Callable[[], str]:
    """Make a migrated database on the PostgreSQL server, which no other test sees; its URL."""
    return partial(new_postgres_database, postgres_url)


@pytest.fixture
def own_database(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """A worker's test database begins as a copy."""
    copy_migrated(Path(connection.settings_dict["TEST"]["NAME"]))


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    return True


def _delete_rows(case: TransactionTestCase) -> None:
    """Empty the tables, but those that Django would then spend most of the time on filling anew."""
    kept = {model._meta.db_table for model in (ContentType, Permission)}
    tables = [name for name in connection.introspection.django_table_names() if name not in kept]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables))


TransactionTestCase._fixture_teardown = _delete_rows  # type: ignore[method-assign]
ANALYZERS["fake"] = "tests.fake_encoder.Fake"
ANALYZERS["fake_two"] = "tests.fake_encoder.FakeTwo"


@pytest.fixture(autouse=True)
def fresh_index() -> Iterator[None]:
    """No test sees the index or the files of another."""
    yield
    get_index.cache_clear()
    get_landmark_index.cache_clear()
    shutil.rmtree(settings.MEDIA_ROOT, ignore_errors=True)
