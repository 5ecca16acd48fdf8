"""Who speaks when: turns of the voices in a recording, without knowing whose they are.

Windows of 1.6 s, one every 0.4 s, are embedded and clustered bottom-up by average cosine similarity
(Park et al., "A review of speaker diarization", 2022, https://arxiv.org/abs/2101.09624); then the
best path through the voices decides who speaks where (Viterbi, with a price for every change).
Two people who speak at once are one voice here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Encoder
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.voice.speech import FRAME, RATE, speech_frames

BLOCK_S = 120
WINDOW_S = 1.6
HOP_S = 0.4
MIN_REGION_S = 0.3
BATCH = 64
AT_ONCE = 1_500  # windows that are clustered together, ten minutes of speech
CHANGE = 0.65  # of what windows of one voice may differ by
MIN_VOICE_MS = 1_500
JOINED_MS = 500
ROUNDS = 2


@dataclass(frozen=True)
class Likeness:
    """Cosine similarities from which two things are one voice: windows of 1.6 s, whole voices."""

    windows: float
    voices: float


@dataclass(frozen=True)
class Turn:
    """A stretch in which one voice speaks; voices are numbered by who speaks first."""

    start_ms: int
    end_ms: int
    voice: int


@dataclass(frozen=True)
class Diarization:
    """Turns in order; voices: (n, d) unit vectors, by number; speech_ms: what each speaks."""

    turns: list[Turn]
    voices: FloatArray
    speech_ms: list[int]


@dataclass(frozen=True)
class Cells:
    """n stretches of speech, up to 0.4 s: (n,) begin and end in ms, (n, d) what is around each."""

    starts_ms: NDArray[np.int64]
    ends_ms: NDArray[np.int64]
    embeddings: FloatArray


def diarize(
    chunks: Iterable[FloatArray],
    encoder: Encoder,
    likeness: Likeness,
    heard: Callable[[int], object] = lambda ms: None,
) -> Diarization:
    """Turns of the voices in a recording, in memory that hardly grows with its length.

    chunks: successive (samples,) float32 mono at 16 kHz; heard: called with the ms done so far.
    Without any speech there are no turns.
    """
    found, done = [], 0
    for block in _blocks(chunks):
        found.append(_cells(block, done * 1000 // RATE, encoder))
        done += len(block)
        heard(done * 1000 // RATE)
    found = [cells for cells in found if len(cells.starts_ms)]
    if not found:
        return Diarization([], np.zeros((0, encoder.spec.dimension), np.float32), [])
    cells = Cells(
        np.concatenate([one.starts_ms for one in found]),
        np.concatenate([one.ends_ms for one in found]),
        np.concatenate([one.embeddings for one in found]),
    )
    return _turns(cells, _voices(cells, likeness), likeness)


def _blocks(chunks: Iterable[FloatArray]) -> Iterator[FloatArray]:
    """The same samples in blocks of two minutes."""
    size, kept, length = BLOCK_S * RATE, list[FloatArray](), 0
    for chunk in chunks:
        kept.append(chunk)
        length += len(chunk)
        while length >= size:
            whole = np.concatenate(kept)
            yield whole[:size]
            kept, length = [whole[size:]], length - size
    if length:
        yield np.concatenate(kept)


def _cells(block: FloatArray, offset_ms: int, encoder: Encoder) -> Cells:
    """The speech of one block in steps of 0.4 s, each embedded with what is around it."""
    samples, voiced = speech_frames(block)
    width, hop = int(WINDOW_S * RATE), int(HOP_S * RATE)
    windows, bounds = list[FloatArray](), list[tuple[int, int]]()
    for start, end in _runs(voiced):
        last = max(end - width, start)
        begins = [*range(start, last, hop), last]
        middles = [(one + other + width) // 2 for one, other in pairwise(begins)]
        bounds += pairwise([start, *middles, end])
        windows += [np.resize(samples[begin : min(begin + width, end)], width) for begin in begins]
    embeddings = [
        encoder.encode(np.stack(windows[at : at + BATCH])).embeddings
        for at in range(0, len(windows), BATCH)
    ]
    bounds_ms = offset_ms + np.array(bounds, np.int64).reshape(-1, 2) * 1000 // RATE
    nothing = np.zeros((0, encoder.spec.dimension), np.float32)
    return Cells(bounds_ms[:, 0], bounds_ms[:, 1], np.concatenate([nothing, *embeddings]))


def _runs(voiced: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last sample of each run of speech that is long enough to hear a voice in."""
    edges = np.flatnonzero(np.diff(np.pad(voiced.astype(np.int8), 1)))
    for start, end in edges.reshape(-1, 2) * FRAME:
        if end - start >= MIN_REGION_S * RATE:
            yield int(start), int(end)


def _voices(cells: Cells, likeness: Likeness) -> FloatArray:
    """(n, d) unit vectors of the voices, found among windows and then among groups of them."""
    groups = []
    for at in range(0, len(cells.embeddings), AT_ONCE):
        some = cells.embeddings[at : at + AT_ONCE]
        groups += _means(some, _clusters(some, likeness.windows))
    return _merged(np.stack(groups), likeness.voices)


def _clusters(embeddings: FloatArray, similarity: float) -> NDArray[np.int32]:
    """(n,) cluster numbers: no two clusters are as similar as that on average."""
    if len(embeddings) == 1:
        return np.ones(1, np.int32)
    from scipy.cluster.hierarchy import fcluster, linkage  # a second, for every process there is

    tree = linkage(embeddings, method="average", metric="cosine")
    return np.asarray(fcluster(tree, 1 - similarity, criterion="distance"))


def _merged(voices: FloatArray, similarity: float) -> FloatArray:
    return np.stack(_means(voices, _clusters(voices, similarity)))


def _means(embeddings: FloatArray, labels: NDArray[np.int32]) -> list[FloatArray]:
    """Unit vectors, one for each label."""
    means = [embeddings[labels == label].mean(axis=0) for label in np.unique(labels)]
    return [mean / np.linalg.norm(mean) for mean in means]


def _turns(cells: Cells, voices: FloatArray, likeness: Likeness) -> Diarization:
    """Who speaks where; voices that hardly speak, or are one, are left out or joined on the way."""
    lengths = cells.ends_ms - cells.starts_ms
    change = CHANGE * (1 - likeness.windows)
    for _ in range(ROUNDS):
        path = _best_path(cells.embeddings @ voices.T, change)
        spoken = np.bincount(path, weights=lengths, minlength=len(voices))
        kept = spoken >= min(MIN_VOICE_MS, spoken.max())
        voices = _merged(
            np.stack(_means(cells.embeddings[kept[path]], path[kept[path]])), likeness.voices
        )
    path = _best_path(cells.embeddings @ voices.T, change)
    spoken = np.bincount(path, weights=lengths, minlength=len(voices))
    order = list(dict.fromkeys(path.tolist()))
    number = {voice: place for place, voice in enumerate(order)}
    return Diarization(
        turns=_joined(cells, [number[voice] for voice in path.tolist()]),
        voices=voices[order],
        speech_ms=[int(spoken[voice]) for voice in order],
    )


def _best_path(scores: FloatArray, change: float) -> NDArray[np.int32]:
    """(cells,) voices with the greatest sum of scores, less `change` for every change.

    scores: (cells, voices).
    """
    total = scores[0].copy()
    came_from = np.zeros(scores.shape, dtype=np.int32)
    stay = np.arange(scores.shape[1])
    for at in range(1, len(scores)):
        best = int(np.argmax(total))
        moves = total[best] - change > total
        came_from[at] = np.where(moves, best, stay)
        total = np.where(moves, total[best] - change, total) + scores[at]
    path = np.zeros(len(scores), dtype=np.int32)
    path[-1] = int(np.argmax(total))
    for at in range(len(scores) - 1, 0, -1):
        path[at - 1] = came_from[at, path[at]]
    return path


def _joined(cells: Cells, voices: list[int]) -> list[Turn]:
    """Cells of one voice that follow each other within half a second are one turn."""
    turns: list[Turn] = []
    for start, end, voice in zip(
        cells.starts_ms.tolist(), cells.ends_ms.tolist(), voices, strict=True
    ):
        if turns and turns[-1].voice == voice and start - turns[-1].end_ms <= JOINED_MS:
            turns[-1] = Turn(turns[-1].start_ms, end, voice)
        else:
            turns.append(Turn(start, end, voice))
    return turns
