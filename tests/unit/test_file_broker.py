"""Celery's queue of files, looked into at each moment of its writing."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

import audiosearch.celery  # noqa: F401  so that its transport is known
from audiosearch import file_broker


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    (tmp_path / "queue").mkdir()
    options = {
        **dict.fromkeys(("data_folder_in", "data_folder_out"), str(tmp_path / "queue")),
        "control_folder": str(tmp_path / "control"),
    }
    with Connection("filesystem://", transport_options=options) as connection:
        yield connection


def test_no_file_is_seen_before_it_is_whole(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    write = Path.write_text

    def look_then_write(path: Path, text: str) -> int:
        path.touch()
        seen.extend(f for folder in ("queue", "control") for f in _files(tmp_path / folder))
        return write(path, text)

    monkeypatch.setattr(file_broker.Path, "write_text", look_then_write)
    queue = connection.SimpleQueue("tasks")
    queue.put({"task": "analyse"})
    assert len(seen) == 3, "two tables and a message"
    assert {Path(name).suffix for name in seen} <= {".part", ".exchange"}
    assert queue.get(timeout=5).payload == {"task": "analyse"}
    assert not list((tmp_path / "queue").iterdir())


def test_messages_of_many_all_arrive(connection: Connection) -> None:
    def put(number: int) -> None:
        with connection.clone() as own:
            queue = own.SimpleQueue("many")
            for each in range(20):
                queue.put({"number": 20 * number + each})

    queue, got = connection.SimpleQueue("many"), list[Any]()
    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while len(got) < 80:
        message = queue.get(timeout=10)
        message.ack()
        got.append(message.payload["number"])
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(80))


def test_a_table_that_is_there_is_kept(connection: Connection) -> None:
    exchange = Exchange("one", type="direct")
    for name in ("first", "second"):
        Queue(name, exchange, routing_key=name)(connection.channel()).declare()
    channel = connection.channel()
    assert {queue for _, _, queue in channel.get_table("one")} == {"first", "second"}


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []
