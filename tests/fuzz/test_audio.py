"""Damaged audio files of every format: heard, or refused with a sentence, and never anything else.

FUZZ_FILES says how many (a file is made from FUZZ_SEED and its number alone).
"""

import os
import re
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.audio import sandbox
from audiosearch.engine.errors import AudioError
from tests.fuzz.damage import damaged
from tests.fuzz.sounds import write_originals

FILES = int(os.environ.get("FUZZ_FILES", "300"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
LONGEST_MS = 10 * 60 * 1000
LONGEST_WAIT_S = 20
RATE = 16000


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    return write_originals(tmp_path_factory.mktemp("originals"))


def test_every_original_is_heard(originals: Mapping[str, bytes], tmp_path: Path) -> None:
    """Else its damaged copies would test nothing."""
    for name, content in originals.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert _answer(path, thorough=True) == "heard", name


def test_damaged_files_are_heard_or_refused(originals: Mapping[str, bytes], tmp_path: Path) -> None:
    answers: Counter[str] = Counter()
    problems = []
    slowest, began = 0.0, time.monotonic()
    path = tmp_path / "damaged"
    for number in range(FILES):
        what, content = damaged(originals, [SEED, number])
        path.write_bytes(content)
        asked = time.monotonic()
        try:
            answers[_answer(path, thorough=number % 2 == 0)] += 1
        except Exception as problem:  # noqa: BLE001  anything but an AudioError is what we look for
            problems.append(f"damaged(originals, [{SEED}, {number}]), {what}: {problem!r}")
        took = time.monotonic() - asked
        slowest = max(slowest, took)
        if took > LONGEST_WAIT_S:
            problems.append(f"damaged(originals, [{SEED}, {number}]), {what}: took {took:.1f} s")
    told = ", ".join(f"{count} {code}" for code, count in answers.most_common())
    print(  # shown when the test fails
        f"{FILES} damaged files in {time.monotonic() - began:.0f} s: {told};"
        f" {len(problems)} problems; the slowest took {slowest:.2f} s"
    )
    assert not problems, "\n".join(problems[:50])


def _answer(path: Path, *, thorough: bool) -> str:
    """ "heard", or the code of the refusal; fails for an answer that is neither."""
    try:
        info = sandbox.inspect(path, max_duration_ms=LONGEST_MS, thorough=thorough)
    except AudioError as error:
        _expect_sentence(error)
        _expect_samples_or_refusal(path)
        broken = re.search(r"breaks the decoder.*|come to an end", str(error))
        return f"{error.code} ({broken.group()})" if broken else error.code
    assert 0 < info.duration_ms <= LONGEST_MS
    assert 0 < info.sample_rate < 2**31
    assert 0 < info.channels < 2**15, "more than the database's column holds"
    assert len(info.format) <= 40
    assert all("\x00" not in text and text.encode() for text in info.tags.values())
    heard = _expect_samples_or_refusal(path)
    assert heard or not thorough, "accepted after hearing all of it, and then refused"
    return "heard" if heard else "heard only in part"


def _expect_samples_or_refusal(path: Path) -> bool:
    """Whether the file decodes, to finite samples; what `inspect` refused, decode may refuse too.

    Only as much as is let in is decoded, as the callers of `decode` do.
    """
    try:
        samples = sandbox.decode(path, RATE, end_ms=LONGEST_MS)
    except AudioError as error:
        _expect_sentence(error)
        return False
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 0 < len(samples) <= LONGEST_MS * RATE // 1000 + RATE
    assert np.isfinite(samples).all()
    return True


def _expect_sentence(error: AudioError) -> None:
    message = str(error)
    assert message.endswith("."), message
    assert message[0].isupper(), message
    assert error.code != AudioError.code
    assert "Error)" not in message or "MemoryError" in message, "our own code broke"
