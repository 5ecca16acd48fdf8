"""What a test run prints: a line for each part and each failure, rather than a letter a test."""

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable
from typing import Any

import pytest

Status = tuple[str, str, Any]


class PartReport:
    """A part is a folder of tests; its line comes when the last of its tests has ended."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._total: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._failed: dict[str, set[str]] = defaultdict(set)
        self._seconds: Counter[str] = Counter()

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Status, Status]:
        category, letter, word = yield
        return category, letter if self._is_verbose else "", word

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._count(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._count(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        part = _part_of(report.nodeid)
        self._seconds[part] += report.duration
        if report.failed and not self._is_verbose:
            self._failed[part].add(report.nodeid)
            self._write_line(f"FAILED {report.nodeid}: {_reason(report)}")

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        part = _part_of(nodeid)
        self._done[part] += 1
        if self._is_verbose:
            return
        if self._done[part] == self._total[part]:
            failed, seconds = len(self._failed[part]), self._seconds[part]
            self._write_line(f"{part}: {self._total[part]} tests, {failed} failed, {seconds:.0f} s")
        elif self._terminal.isatty():
            self._terminal.rewrite(f"{self._done.total()} of {self._total.total()}", erase=True)

    def _count(self, ids: Iterable[str]) -> None:
        self._total = Counter(map(_part_of, ids))

    def _write_line(self, line: str) -> None:
        if self._terminal.isatty():
            self._terminal.rewrite("", erase=True)
        self._terminal.write_line(line)

    @property
    def _is_verbose(self) -> bool:
        return self._config.get_verbosity() > 0

    @property
    def _terminal(self) -> Any:
        return self._config.pluginmanager.get_plugin("terminalreporter")


def _reason(report: pytest.TestReport) -> str:
    """The subtest, if it was one, and the first line of what it said."""
    crash = getattr(report.longrepr, "reprcrash", None)
    said = (crash.message if crash else report.longreprtext).strip().partition("\n")[0]
    subtest = getattr(report, "context", None)
    return f"{subtest.kwargs or subtest.msg}: {said}" if subtest else said


def _part_of(nodeid: str) -> str:
    return nodeid.partition("::")[0].rpartition("/")[0]
