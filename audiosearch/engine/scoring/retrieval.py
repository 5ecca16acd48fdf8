"""How good a search is: recall, precision and average precision of ranked lists.

Definitions: Manning, Raghavan, Schütze, "Introduction to Information Retrieval" (2008), chapter 8,
https://nlp.stanford.edu/IR-book/html/htmledition/evaluation-of-ranked-retrieval-results-1.html
"""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray


def recall_at_k(found: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Share of the relevant items that are among the first `k` found, in 0..1.

    Of an approximate index `relevant` is what the exact search finds first; with `k` of those this
    is the recall@k of https://github.com/erikbern/ann-benchmarks. Raises ValueError when nothing
    is relevant.
    """
    wanted = _required(relevant)
    return len(wanted & set(found[:k])) / len(wanted)


def precision_at_k(found: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Share of the first `k` places that hold a relevant item, in 0..1; an empty place holds none.

    Raises ValueError when `k` is below 1.
    """
    if k < 1:
        raise ValueError("k is at least 1.")
    return len(set(relevant) & set(found[:k])) / k


def average_precision(found: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """Mean, over the relevant items, of the precision at the rank where each is found, in 0..1.

    A relevant item never found counts 0. Not interpolated (Manning et al., section 8.4). Raises
    ValueError when nothing is relevant.
    """
    wanted = _required(relevant)
    hits = np.array([item in wanted for item in found], dtype=bool)
    return _average_precision(hits, len(wanted))


@dataclass(frozen=True)
class Retrieval:
    """Means over all queries that have something to find, and how many those were."""

    mean_average_precision: float
    precision_at_1: float
    precision_at_10: float
    queries: int


def leave_one_out(
    distances: FloatArray,
    labels: Sequence[Hashable],
    groups: Sequence[Hashable] | None = None,
) -> Retrieval:
    """Let each item search all others; another item of the same label is relevant.

    distances: (n, n), smaller is nearer; row i is the query i. labels: n. groups: n, or None;
    items of the query's own group (cuts of the same source recording) are neither found nor
    missed, as in ESC-50's folds (Piczak, "ESC: Dataset for Environmental Sound Classification",
    2015, doi:10.1145/2733373.2806390). Ties keep the order of the items. Raises ValueError on
    shapes that do not fit, and when no query has anything to find.
    """
    n = len(labels)
    own = _codes(range(n) if groups is None else groups)
    if distances.shape != (n, n) or len(own) != n:
        raise ValueError(f"Distances of shape {distances.shape} do not fit {n} labels.")
    codes = _codes(labels)
    scores = []
    for query in range(n):
        others = np.flatnonzero(own != own[query])
        ranked = others[np.argsort(distances[query, others], kind="stable")]
        hits = codes[ranked] == codes[query]
        if hits.any():
            average = _average_precision(hits, int(hits.sum()))
            scores.append((average, float(hits[0]), float(hits[:10].sum()) / 10))
    if not scores:
        raise ValueError("No item shares its label with one of another group.")
    average, first, ten = np.mean(scores, axis=0)
    return Retrieval(float(average), float(first), float(ten), len(scores))


def mean_average_precision(
    distances: FloatArray,
    labels: Sequence[Hashable],
    groups: Sequence[Hashable] | None = None,
) -> float:
    """Mean of the average precision over leave-one-out queries, in 0..1; see `leave_one_out`."""
    return leave_one_out(distances, labels, groups).mean_average_precision


def cosine_distances(embeddings: FloatArray) -> FloatArray:
    """1 - cosine similarity of every pair: (n, d) to (n, n), in 0..2. Rows need not be unit."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = embeddings / np.maximum(lengths, np.finfo(np.float32).tiny)
    return np.asarray(np.clip(1.0 - unit @ unit.T, 0.0, 2.0), dtype=np.float32)


def _average_precision(hits: NDArray[np.bool_], relevant: int) -> float:
    ranks = np.flatnonzero(hits) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).sum() / relevant)


def _codes(values: Sequence[Hashable]) -> NDArray[np.int64]:
    """The same number for equal values; equality as Python has it, whatever the type."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)


def _required(relevant: Collection[Hashable]) -> set[Hashable]:
    if not relevant:
        raise ValueError("Nothing is relevant, so nothing can be measured.")
    return set(relevant)
