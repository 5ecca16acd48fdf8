"""Celery's queue of files, of which no process ever sees one that is half written.

Kombu's own creates a file, then locks and fills it; a worker that looks in between takes an empty
message, which ends it, and the message is lost.
"""

import os
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Files get the names that others look for once they are whole."""

    def _put(  # type: ignore[override]  # as that of kombu's, which differs from its base
        self, queue: str, payload: Any, **kwargs: Any
    ) -> None:
        folder = Path(self.data_folder_out)
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        _aside(folder / name, dumps(payload)).rename(folder / name)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        file = self._exchange_file(exchange)
        if not file.exists():
            self.control_folder.mkdir(exist_ok=True)
            empty = _aside(file, "[]")
            try:
                os.link(empty, file)  # unlike a rename it takes the place of nobody's table
            except FileExistsError:
                pass
            finally:
                empty.unlink()
        super()._queue_bind(exchange, routing_key, pattern, queue)


class Transport(filesystem.Transport):
    """The transport of `filesystem://`; see `audiosearch.celery`."""

    Channel = Channel


def _aside(path: Path, text: str) -> Path:
    """A new file beside `path`, under a name that nobody looks for."""
    beside = path.with_name(f"{uuid.uuid4()}.part")
    beside.write_text(text)
    return beside
