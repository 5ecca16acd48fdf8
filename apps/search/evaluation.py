"""How well an encoder finds what sounds alike, and the index compared with exact search."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings

from apps.analysis.index import get_index
from audiosearch.engine.analyzers.base import Encoder, FloatArray
from audiosearch.engine.analyzers.clips import embed_clip
from audiosearch.engine.analyzers.registry import load_encoder
from audiosearch.engine.audio.sandbox import stream
from audiosearch.engine.indexes.base import Entry, VectorIndex
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.scoring.labels import name_in_errors, read_rows
from audiosearch.engine.scoring.retrieval import Retrieval, leave_one_out, recall_at_k

GROUP_COLUMNS = ("group", "freesound_id", "source")
TOP_K = 10


@dataclass(frozen=True)
class Evaluation:
    """Retrieval figures, recall@10 of the index against exact search, and seconds per file."""

    retrieval: Retrieval
    index_recall: float
    seconds_per_file: float


@dataclass(frozen=True)
class Labelled:
    """A file, what it is, and the recording it was cut from (never a hit for its like)."""

    path: Path
    label: str
    group: str


def read_labels(path: Path) -> list[Labelled]:
    """Rows of a CSV with columns path and label, and group (or freesound_id or source) if any.

    Paths are relative to the CSV. Raises ValueError when a column is missing.
    """
    rows = read_rows(path, "label")
    column = next((name for name in GROUP_COLUMNS if name in rows[0]), "path")
    return [Labelled(path.parent / row["path"], row["label"], row[column]) for row in rows]


def evaluate_retrieval(
    labelled: list[Labelled], encoder_name: str, progress: Callable[[int], None]
) -> Evaluation:
    """Let every file search all others, in exact search and in the real index.

    progress: called with how many files are embedded. Raises AudioError, which names the file, for
    one that cannot be read.
    """
    encoder = load_encoder(encoder_name, settings.MODELS_DIR, threads=settings.ENCODER_THREADS)
    began = time.perf_counter()
    embeddings = []
    for number, item in enumerate(labelled, 1):
        with name_in_errors(item.path):
            embeddings.append(_embeddings(encoder, item.path))
        progress(number)
    seconds = (time.perf_counter() - began) / len(labelled)
    retrieval = leave_one_out(
        _distances(embeddings), [item.label for item in labelled], [i.group for i in labelled]
    )
    return Evaluation(retrieval, _index_recall(embeddings), seconds)


def _embeddings(encoder: Encoder, path: Path) -> FloatArray:
    return embed_clip(encoder, stream(path, encoder.spec.sample_rate)).embeddings


def _distances(embeddings: list[FloatArray]) -> FloatArray:
    """(n, n) smallest cosine distance between any windows of two files."""
    owner = np.repeat(np.arange(len(embeddings)), [len(e) for e in embeddings])
    stacked = np.concatenate(embeddings)
    distances = np.full((len(embeddings), len(embeddings)), 2, np.float32)
    for i, one in enumerate(embeddings):
        nearest = (1 - one @ stacked.T).min(axis=0)
        np.minimum.at(distances[i], owner, nearest)
    return distances


def _index_recall(embeddings: list[FloatArray]) -> float:
    """Mean recall@10 of the service's index against the exact twin, on a space made for it."""
    space, dimension = "evaluation", embeddings[0].shape[1]
    tracks = [
        Entry(TrackPayload(number), found, [(i, i + 1) for i in range(len(found))])
        for number, found in enumerate(embeddings, 1)
    ]
    exact, index = ExactIndex(), get_index()
    index.drop_space(space)
    try:
        for each in (exact, index):
            each.create_space(space, dimension, TrackPayload.layout)
            each.upsert(space, tracks)
        recalls = [
            recall_at_k(_found(index, space, found), _found(exact, space, found), TOP_K)
            for found in embeddings
        ]
    finally:
        index.drop_space(space)
    return float(np.mean(recalls))


def _found(index: VectorIndex, space: str, queries: FloatArray) -> list[int]:
    return [match.item_id for match in index.search(space, queries, TOP_K, TrackFilter())]
