"""Values worked out by hand."""

import numpy as np
import pytest

from audiosearch.engine.scoring.retrieval import (
    average_precision,
    cosine_distances,
    leave_one_out,
    mean_average_precision,
    precision_at_k,
    recall_at_k,
)


def test_recall_at_k() -> None:
    assert recall_at_k([3, 1, 7, 2], [1, 2, 9, 8], 3) == 1 / 4
    assert recall_at_k([3, 1, 7, 2], [1, 2, 9, 8], 4) == 2 / 4
    assert recall_at_k([], [1], 10) == 0
    with pytest.raises(ValueError, match="Nothing is relevant"):
        recall_at_k([1], [], 1)


def test_precision_at_k() -> None:
    assert precision_at_k("abcd", "bdx", 1) == 0
    assert precision_at_k("abcd", "bdx", 2) == 1 / 2
    assert precision_at_k("abcd", "bdx", 8) == 2 / 8
    with pytest.raises(ValueError, match="at least 1"):
        precision_at_k("a", "a", 0)


def test_average_precision() -> None:
    # Relevant at ranks 1, 3 and 6 of three: (1/1 + 2/3 + 3/6) / 3.
    assert average_precision("axbyzc", "abc") == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    # One of two never found: (1/2) / 2.
    assert average_precision("xa", "ab") == pytest.approx(1 / 4)
    assert average_precision("xyz", "a") == 0


def line(*places: float) -> np.ndarray:
    points = np.array(places, dtype=np.float32)
    return np.abs(points[:, None] - points[None, :])


def test_leave_one_out() -> None:
    # On a line: a0 at 0, b1 at 1, a2 at 3, b3 at 7.
    # a0 ranks b1 a2 b3: AP 1/2.   b1 ranks a0 a2 b3: AP 1/3.
    # a2 ranks b1 a0 b3: AP 1/2.   b3 ranks a2 b1 a0: AP 1/2.
    result = leave_one_out(line(0, 1, 3, 7), "abab")
    assert result.mean_average_precision == pytest.approx((3 / 2 + 1 / 3) / 4)
    assert (result.precision_at_1, result.queries) == (0, 4)
    assert result.precision_at_10 == pytest.approx(1 / 10)


def test_the_query_s_own_group_is_neither_found_nor_missed() -> None:
    # Two cuts of one source side by side would flatter: without them a0 ranks b2 a3, AP 1/2.
    distances = line(0, 0.1, 1, 2)
    assert mean_average_precision(distances, "aaba") > 0.7
    # a0: b2 a3 -> 1/2. a1: b2 a3 -> 1/2. b2 has nothing to find. a3: b2 a1 a0 -> (1/2 + 2/3) / 2.
    result = leave_one_out(distances, "aaba", [1, 1, 2, 3])
    assert result.queries == 3
    assert result.mean_average_precision == pytest.approx((1 / 2 + 1 / 2 + 7 / 12) / 3)


def test_a_single_item_per_label_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="No item shares"):
        leave_one_out(line(0, 1), "ab")
    with pytest.raises(ValueError, match="do not fit"):
        leave_one_out(line(0, 1), "abc")


def test_cosine_distances() -> None:
    vectors = np.array([[2, 0], [0, 3], [-1, 0], [1, 1]], dtype=np.float32)
    diagonal = 1 - np.sqrt(0.5)
    assert cosine_distances(vectors)[0] == pytest.approx([0, 1, 2, diagonal], abs=1e-6)


def test_chance_level() -> None:
    """Random embeddings of two equal classes find the right one about half of the time."""
    rng = np.random.default_rng(0)
    distances = cosine_distances(rng.standard_normal((300, 16)).astype(np.float32))
    assert mean_average_precision(distances, [n % 2 for n in range(300)]) == pytest.approx(
        0.5, abs=0.03
    )
