"""One question, several answers: each on its own clock, and none held up by another's failure."""

import logging
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from apps.analysis.answers import Answer, Answerer
from apps.analysis.clips import Left
from apps.analysis.turns import query_slot, shared_slot
from apps.search.answerers import DEFAULT, answerer_of
from apps.search.queries import SearchQuestion, clip_question, track_question
from apps.search.results import SearchResult, SearchSettings, Took
from apps.search.sounds_alike import AlikeAnswer
from audiosearch.engine.errors import EngineError

log = logging.getLogger(__name__)
NOT_FOR_YOU = "This is not answered here."
"""Told whatever the reason: that there is anything to be known is not for everybody, either."""
TOO_SLOW = "This took too long; ask for it alone, or with a shorter stretch of the sound."
FAILED = "This failed on our side; the log says why."


@dataclass(frozen=True)
class Answered:
    """What each answered, its milliseconds, and what `sounds_alike` found in its own shape.

    result: without hits where that was not asked, or is unavailable.
    """

    result: SearchResult
    answers: dict[str, Answer] = field(default_factory=dict)
    took_ms: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """The answers as they are kept, by name: tracks and speakers by number only."""
        return {
            name: {**answer.as_json(), "took_ms": round(self.took_ms.get(name, 0.0), 2)}
            for name, answer in self.answers.items()
        }


def ask_by_clip(
    *,
    clip: Path,
    name: str,
    asked: SearchSettings,
    by: Any,
    names: Sequence[str],
    without: Collection[str] = (),
) -> Answered:
    """The answers of this name to an audio file, known to its owner as `name`.

    without: those that the caller's token is not made for. The clip is decoded once for all.
    Raises an AudioError when it cannot be used and Busy when every slot is taken; and, where
    `sounds_alike` is asked alone, whatever that raises.
    """
    asking = _Asking(names, by, without)
    question = clip_question(clip, name, asking.rates, asked, by)
    return asking.answers_to(question)


def ask_by_track(
    *,
    track_id: int,
    asked: SearchSettings,
    by: Any,
    names: Sequence[str],
    without: Collection[str] = (),
) -> Answered:
    """The same of a track of the catalogue, itself left out.

    Raises Track.DoesNotExist, also for one that `by` may not know of, FileGone and Busy.
    """
    kept = [name for name in names if answerer_of(name).knows_tracks(whole=asked.is_whole)]
    asking = _Asking(names, by, without, kept=kept)
    return asking.answers_to(track_question(track_id, asking.rates, asked, by))


class _Asking:
    """Who is asked, and who cannot be; kept: those who need no samples, as they have kept what is
    asked with."""

    def __init__(
        self,
        names: Sequence[str],
        by: Any,
        without: Collection[str],
        *,
        kept: Collection[str] = (),
    ) -> None:
        self.names = list(dict.fromkeys(names))
        self.is_alone = self.names == [DEFAULT]
        self.answerers: dict[str, Answerer] = {}
        self.answered: dict[str, Answer] = {}
        self.took_ms: dict[str, float] = {}
        rates = set[int]()
        for name in self.names:
            answerer = answerer_of(name)
            if name in without or not answerer.may_ask(by):
                self.answered[name] = Answer("unavailable", NOT_FOR_YOU)
                continue
            try:
                rates |= set() if name in kept else {answerer.sample_rate()}
            except EngineError as error:
                self._fail(name, error)
            else:
                self.answerers[name] = answerer
        self.rates = sorted(rates)

    def answers_to(self, question: SearchQuestion) -> Answered:
        began = time.perf_counter()
        if len(self.answerers) == 1:
            ((name, answerer),) = self.answerers.items()
            self._ask_alone(name, answerer, question)
        elif self.answerers:
            self._ask_together(question)
        ordered = {name: self.answered[name] for name in self.names}
        alike = ordered.get(DEFAULT)
        result = alike.result if isinstance(alike, AlikeAnswer) else None
        if result is None:
            took = Took(total=(time.perf_counter() - began) * 1000)
            told = {**question.told, **question.settings.as_json()}
            result = SearchResult(told, [], took)
        return Answered(result, ordered, self.took_ms)

    def _ask_alone(self, name: str, answerer: Answerer, question: SearchQuestion) -> None:
        if not self.is_alone and question.track_id is None:
            with query_slot():
                _decode(question, self.rates)
        try:
            self.answered[name], self.took_ms[name] = _timed(answerer, question)
        except EngineError as error:
            self._fail(name, error)

    def _ask_together(self, question: SearchQuestion) -> None:
        """Each in a thread of its own; the slot is theirs until the last is done, late or not."""
        with shared_slot() as held_for:
            if question.track_id is None:
                _decode(question, self.rates)
            under_way: dict[str, Future[tuple[Answer, float]]] = {}
            for name, answerer in self.answerers.items():
                run = copy_context().run
                under_way[name] = _threads().submit(run, _in_thread, answerer, question)
                held_for(under_way[name])
            wait(under_way.values(), timeout=settings.ANSWER_WITHIN_S)
        for name, future in under_way.items():
            if not future.done():
                self.answered[name] = Answer("unavailable", TOO_SLOW)
            elif error := future.exception():
                self._fail(name, error)
            else:
                self.answered[name], self.took_ms[name] = future.result()

    def _fail(self, name: str, error: BaseException) -> None:
        if self.is_alone or isinstance(error, Left):
            raise error
        if isinstance(error, EngineError):
            log.warning("%s is unavailable: %s: %s", name, error.code, error)
        else:
            log.error("%s failed", name, exc_info=error)
        reason = str(error) if isinstance(error, EngineError) else FAILED
        self.answered[name] = Answer("unavailable", reason)


def _decode(question: SearchQuestion, rates: Sequence[int]) -> None:
    """What is wrong with a clip is so for all who would answer, and raised once."""
    question.sound.samples(rates[0])


def _timed(answerer: Answerer, question: SearchQuestion) -> tuple[Answer, float]:
    began = time.perf_counter()
    answer = answerer.answer(question)
    return answer, (time.perf_counter() - began) * 1000


def _in_thread(answerer: Answerer, question: SearchQuestion) -> tuple[Answer, float]:
    try:
        return _timed(answerer, question)
    finally:
        connection.close()


@cache
def _threads() -> ThreadPoolExecutor:
    """As many as all who hold a slot can ask for, so that none ever waits for one."""
    most = settings.MAX_CONCURRENT_QUERIES * len(settings.ANSWERS)
    return ThreadPoolExecutor(most, thread_name_prefix="answer")
