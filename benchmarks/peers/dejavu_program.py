"""Run in a checkout of dejavu, by an interpreter that has what it requires.

    python -c "$(cat dejavu_program.py)" URL WINDOW FOLDER QUERY…

Indexes the WAV files of FOLDER in the database at URL; the last line that it prints is a JSON list
of [track, score, offset in windows' steps] for each QUERY, track 0 for none.
"""

import json
import sys
from collections import Counter
from functools import partial
from importlib import import_module
from typing import Any


def main(url: str, window: str, folder: str, *queries: str) -> None:
    package: Any = import_module("dejavu")
    package.fingerprint = partial(package.fingerprint, wsize=int(window))
    dejavu = package.Dejavu({"database_type": "postgres", "database": {"dsn": url}})
    dejavu.fingerprint_directory(folder, [".wav"], 1)
    print(json.dumps([ask(dejavu, query) for query in queries]))


def ask(dejavu: Any, query: str) -> tuple[int, int, int]:
    """As its FileRecognizer does, which does not tell how many hashes agree on one moment."""
    hashes, _ = dejavu.get_file_fingerprints(query, None)
    matches, counts, _ = dejavu.find_matches(hashes)
    for best in dejavu.align_matches(matches, counts, len(hashes)):
        return int(best["song_name"]), max(Counter(matches).values()), int(best["offset"])
    return 0, 0, 0


if __name__ == "__main__":
    main(*sys.argv[1:])
