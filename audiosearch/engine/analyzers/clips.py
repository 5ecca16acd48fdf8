"""One clip and one encoder: its embeddings, at once."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from audiosearch.engine.analyzers.base import Embeddings, Encoded, Encoder
from audiosearch.engine.analyzers.windows import Window, spread, windows_of
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import CorruptAudio

BATCH_WINDOWS = 8


def embed_clip(
    encoder: Encoder, blocks: Iterable[FloatArray], *, most: int | None = None
) -> Embeddings:
    """The embeddings of the audio that comes in these blocks, in batches of eight windows.

    blocks: (n,) float32 mono each, at the encoder's rate. most: embed at most so many windows,
    spread evenly. Raises CorruptAudio when there are no samples.
    """
    windows: Iterable[Window] = windows_of(encoder.spec, blocks)
    if most is not None:
        all_windows = list(windows)
        windows = [all_windows[number] for number in spread(len(all_windows), most)]
    builder, left = EmbeddingsBuilder(encoder), iter(windows)
    while batch := list(islice(left, BATCH_WINDOWS)):
        builder.add(batch, encoder.encode(np.stack([window.samples for window in batch])))
    return builder.build()


class EmbeddingsBuilder:
    """Gathers the embeddings of one recording, whose windows may come in any order."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._rows: list[tuple[int, int, FloatArray]] = []
        self._likeliest = np.zeros(0, np.float32)

    def add(self, windows: Sequence[Window], encoded: Encoded) -> None:
        """Take in what the encoder made of these windows."""
        for window, embedding in zip(windows, encoded.embeddings, strict=True):
            self._rows.append((window.start, window.start + len(window.samples), embedding))
        if encoded.tag_probabilities is not None:
            tags = encoded.tag_probabilities.max(axis=0)
            self._likeliest = np.maximum(self._likeliest, tags) if len(self._likeliest) else tags

    def build(self) -> Embeddings:
        """All that was added. Raises CorruptAudio when there was no window."""
        if not self._rows:
            raise CorruptAudio("The file is damaged: no sound could be decoded from it.")
        self._rows.sort(key=lambda row: row[0])
        rate = self._encoder.spec.sample_rate
        spans = [(start * 1000 // rate, end * 1000 // rate) for start, end, _ in self._rows]
        return Embeddings(
            np.stack([embedding for _, _, embedding in self._rows]),
            np.array(spans, np.int64),
            self._encoder.tag_names,
            self._likeliest,
        )
