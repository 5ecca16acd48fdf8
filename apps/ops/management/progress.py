"""Progress of a copy on one line of the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from apps.ops.backups.files import Told


@contextmanager
def shown_progress() -> Iterator[Told]:
    """Shows what is being copied and how much of it is done; nothing where no terminal is."""
    with tqdm(disable=None, bar_format="{desc}: {n_fmt} [{elapsed}, {rate_fmt}]") as bar:

        def told(what: str, done: int) -> None:
            bar.set_description_str(what, refresh=False)
            bar.update(done - bar.n)

        yield told
