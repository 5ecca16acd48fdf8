"""A recording is analysed in parts of 32 s; what is around a part has its say."""

import numpy as np

from audiosearch.engine.tunes.analysis import PART_FRAMES, tune_of
from audiosearch.engine.tunes.representation import FRAMES_PER_SECOND, POOLED
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from tests.tune_sounds import played

END = PART_FRAMES // POOLED
"""Frames of the first part."""
EARLIER = 8
"""Seconds less before, so that the same falls into the middle of a part."""


def test_what_is_quiet_beside_the_part_before_is_not_brought_up() -> None:
    """Just behind a part's end as in the middle of one: the level is that of what is around."""
    seconds = END / FRAMES_PER_SECOND - 0.3
    loud = played([(0.5 * n, 0.5, 60.0 + 3 * (n % 5)) for n in range(round(seconds / 0.5))])
    quiet = played([(0.5 * n, 0.5, 66.0 + 2 * (n % 4)) for n in range(16)])
    both = np.concatenate([loud[: round(seconds * SAMPLE_RATE)], quiet * np.float32(0.004)])
    whole, later = tune_of(both).contour, tune_of(both[EARLIER * SAMPLE_RATE :]).contour
    behind = slice(END, END + FRAMES_PER_SECOND)
    assert not whole[behind].any()
    assert np.array_equal(whole[EARLIER * FRAMES_PER_SECOND :][-60:], later[-60:])
    assert whole[END + 4 * FRAMES_PER_SECOND :].any()
