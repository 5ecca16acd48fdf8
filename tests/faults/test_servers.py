"""Redis, the vector index and PostgreSQL that go away during work, and come back."""

import http.cookiejar
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.faults.conftest import MakeSounds
from tests.faults.whole import (
    INDEX_S,
    SOON_S,
    ask,
    assert_red,
    assert_refused,
    assert_whole,
    is_live,
    settled,
    state_of,
    upload,
)
from tests.servers import Server, milvus_lite_process, postgres_process, redis_process
from tests.service import ROOT, Service, running

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@dataclass
class Stack:
    """A service with its three servers, and all files that it has been given."""

    service: Service
    redis: Server
    postgres: Server
    index: Server
    index_data: Path
    held: list[Path] = field(default_factory=list)

    def added(self) -> int:
        return len(self.service.tracks())

    def similar(self) -> str:
        """A search that takes no file: more like the oldest track."""
        return f"/api/v1/tracks/{self.service.tracks()[-1]['id']}/similar"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with (
        redis_process() as queue,
        postgres_process() as postgres,
        milvus_lite_process(folder / "index") as index,
        running(
            folder / "data",
            MILVUS_URI=index.url,
            REDIS_URL=queue.url,
            DATABASE_URL=postgres.url,
            SEARCHES_PER_MINUTE="0",
        ) as service,
    ):
        yield Stack(service, queue, postgres, index, folder / "index")


@pytest.fixture(autouse=True)
def some_tracks(stack: Stack, make_sounds: MakeSounds) -> None:
    """There is something to search for, and the process that searches is warm."""
    if not stack.held:
        stack.held += make_sounds(3)
        upload(stack.service, stack.held)
    stack.service.wait_for(lambda: settled(stack.service, len(stack.held)), 90)
    assert ask(stack.service, stack.similar())[0] == 200


@contextmanager
def away(server: Server, how: str = "stop") -> Iterator[None]:
    """A server that is not there, or that takes connections and says nothing."""
    back = server.resume if how == "pause" else server.start
    getattr(server, how)()
    try:
        yield
    finally:
        back()


@contextmanager
def importing(stack: Stack, files: list[Path]) -> Iterator[subprocess.Popen[str]]:
    """An import that has begun, and is not done."""
    before = stack.added()
    process = stack.service.begin("import", str(files[0].parent))
    stack.service.wait_for(lambda: stack.added() > before)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_two_workers_and_two_imports_of_one_folder(stack: Stack, make_sounds: MakeSounds) -> None:
    files = make_sounds(24)
    worker = [sys.executable, "-m", "celery", "--quiet", "-A", "audiosearch.background", "worker"]
    worker += ["--concurrency", "1", "--loglevel", "WARNING", "--hostname", "second@%h"]
    second = subprocess.Popen(worker, cwd=ROOT, env=stack.service.environment)
    try:
        both = [stack.service.begin("import", str(files[0].parent)) for _ in range(2)]
        said = [process.communicate(timeout=90)[0] for process in both]
        stack.held += files
        assert_whole(stack.service, stack.held)
    finally:
        second.terminate()
        second.wait(20)
    assert (counted(said, "added"), counted(said, "already there")) == (24, 24), said


def test_redis_stopped_and_flushed_during_an_import(stack: Stack, make_sounds: MakeSounds) -> None:
    files = make_sounds(24)
    similar = stack.similar()
    with importing(stack, files) as process:
        with away(stack.redis):
            assert_red(stack.service, "redis")
            status, found = ask(stack.service, similar)
            assert (status, len(found["hits"]) > 0) == (200, True)
            status, found = stack.service.call("POST", "/api/v1/search/", file=stack.held[0])
            assert (status, len(found["hits"]) > 0) == (200, True)
            late = make_sounds(1)
            upload(stack.service, late)
        assert process.wait(60) == 0, process.communicate()[0]
    redis.Redis.from_url(stack.redis.url).flushall()
    stack.held += [*files, *late]
    assert_whole(stack.service, stack.held)


def test_redis_flushed_while_a_worker_listens(stack: Stack, make_sounds: MakeSounds) -> None:
    files = make_sounds(8)
    client = redis.Redis.from_url(stack.redis.url)
    for file in files:
        upload(stack.service, [file])
        client.flushall()
    stack.held += files
    assert_whole(stack.service, stack.held)


@pytest.mark.parametrize("how", ["stop", "kill", "pause"])
def test_the_index_gone_during_an_import_and_a_search(
    stack: Stack, make_sounds: MakeSounds, how: str
) -> None:
    files = make_sounds(12)
    service, similar = stack.service, stack.similar()
    with importing(stack, files) as process:
        with away(stack.index, how):
            for method, path, file in (
                ("GET", similar, None),
                ("GET", similar, None),
                ("POST", "/api/v1/search/", stack.held[0]),
            ):
                within_s = INDEX_S if how == "pause" else SOON_S
                sentence = assert_refused(service, method, path, file, within_s=within_s)
                assert "vector index" in sentence
            assert_red(service, "index")
            assert process.wait(60) == 0, process.communicate()[0]
        service.wait_for(lambda: ask(service, similar)[0] == 200)
    stack.held += files
    assert_whole(service, stack.held)


def test_the_index_lost_with_work_in_the_queue(stack: Stack, make_sounds: MakeSounds) -> None:
    """Its folder is gone; it comes back from the kept vectors, with what is added meanwhile."""
    files = make_sounds(6)
    with away(stack.index, "kill"):
        shutil.rmtree(stack.index_data)
        upload(stack.service, files[:3])
    upload(stack.service, files[3:])  # a worker writes to the index before anybody misses the rest
    stack.held += files
    assert_whole(stack.service, stack.held)


def test_a_search_says_that_the_index_was_lost(stack: Stack) -> None:
    """Before a worker builds it anew: not that there is nothing to find."""
    worker, similar = stack.service.children()["worker"], stack.similar()
    os.killpg(worker, signal.SIGSTOP)
    try:
        with away(stack.index, "kill"):
            shutil.rmtree(stack.index_data)
        for method, path, file in (
            ("GET", similar, None),
            ("POST", "/api/v1/search/", stack.held[0]),
        ):
            assert "built anew" in assert_refused(stack.service, method, path, file)
    finally:
        os.killpg(worker, signal.SIGCONT)
    stack.service.wait_for(lambda: ask(stack.service, similar)[0] == 200, 60)
    assert_whole(stack.service, stack.held)


def test_postgres_stopped_during_an_import_and_a_search(
    stack: Stack, make_sounds: MakeSounds, make_long: Callable[[], Path]
) -> None:
    """An import stops, and goes on when it is started again; a worker goes on by itself."""
    files = make_sounds(24)
    service, similar = stack.service, stack.similar()
    visit = logged_in(service)
    long = make_long()
    upload(service, [long])
    service.wait_for(lambda: state_of(service, long) == "listening")
    with importing(stack, files) as process:
        with away(stack.postgres):
            for method, path, file in (
                ("GET", similar, None),
                ("GET", "/api/v1/tracks/", None),
                ("POST", "/api/v1/search/", stack.held[0]),
                ("POST", "/api/v1/tracks/", files[0]),
            ):
                assert "database" in assert_refused(service, method, path, file)
            for page in ("/", "/library/", "/admin/"):
                status, text = visit(page)
                assert (status, "database does not answer" in text) == (503, True), text
            assert_red(service, "database")
            process.wait(60)
        service.wait_for(lambda: is_live(service) and ask(service, similar)[0] == 200)
    assert service.manage("import", str(files[0].parent)).returncode == 0
    stack.held += [long, *files]
    assert_whole(service, stack.held)


def counted(said: list[str], words: str) -> int:
    """The sum of what imports say."""
    return sum(int(number) for text in said for number in re.findall(rf"(\d+) {words}", text))


def logged_in(service: Service) -> Callable[[str], tuple[int, str]]:
    """A browser in which the administrator is logged in: its answer to an address."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    browser.open(f"{service.url}/login/").read()
    token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
    form = {
        "csrfmiddlewaretoken": token,
        "username": service.credentials["username"],
        "password": service.credentials["password"],
    }
    browser.open(f"{service.url}/login/", urllib.parse.urlencode(form).encode()).read()

    def visit(path: str) -> tuple[int, str]:
        try:
            with browser.open(service.url + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    assert visit("/")[0] == 200
    return visit
