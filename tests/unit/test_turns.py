"""Queries share the processor: nobody takes all of it, and who has least comes first."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, override_settings
from django.urls import reverse

from apps.access.tokens import issue_token
from apps.analysis import turns
from apps.analysis.turns import Slots
from audiosearch.engine.errors import Busy
from tests.audio_files import tone, write_audio

LONG_S = 30


class Waiting:
    """Somebody who waits for a place in a thread, and holds it until let go."""

    def __init__(self, slots: Slots, who: str) -> None:
        self.slots, self.who = slots, who
        self.has, self.let_go = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._take)
        self.thread.start()

    def _take(self) -> None:
        with self.slots.taken(self.who, LONG_S):
            self.has.set()
            self.let_go.wait(LONG_S)

    def end(self) -> None:
        self.let_go.set()
        self.thread.join()


def waits(slots: Slots, who: str) -> None:
    """Until somebody waits."""
    deadline = time.monotonic() + LONG_S
    while not slots._waiting[who]:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_nobody_takes_more_than_a_share() -> None:
    slots = Slots(4, 2)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(slots.taken("a", 0))
        with pytest.raises(Busy, match="of your searches"), slots.taken("a", 0):
            pass
        for _ in range(2):
            held.enter_context(slots.taken("b", 0))
        with pytest.raises(Busy, match="Too many searches"), slots.taken("c", 0):
            pass
    with slots.taken("a", 0), slots.taken("a", 0):
        pass


def test_work_of_our_own_has_no_share() -> None:
    slots = Slots(3, 1)
    with slots.taken("", 0), slots.taken("", 0), slots.taken("", 0):
        refused = pytest.raises(Busy, match="Too many")
        with refused, slots.taken("", 0):
            pass


def test_who_holds_least_comes_first() -> None:
    slots = Slots(2, 2)
    first, second = Waiting(slots, "a"), Waiting(slots, "b")
    assert first.has.wait(LONG_S)
    assert second.has.wait(LONG_S)
    more = Waiting(slots, "a")
    waits(slots, "a")
    newcomer = Waiting(slots, "c")
    waits(slots, "c")
    with slots._changed:
        slots._free += 1
        assert [slots._may(who) for who in "ac"] == [False, True]
        slots._free -= 1
    second.end()
    assert newcomer.has.wait(LONG_S), "though it came later"
    assert not more.has.is_set()
    newcomer.end()
    assert more.has.wait(LONG_S)
    for one in (first, more):
        one.end()


def test_who_waits_often_enough_is_turned_away_at_once() -> None:
    slots = Slots(1, 1)
    holder = Waiting(slots, "a")
    assert holder.has.wait(LONG_S)
    waiting = Waiting(slots, "a")
    waits(slots, "a")
    with pytest.raises(Busy, match="of your searches"), slots.taken("a", LONG_S):
        pass
    holder.end()
    assert waiting.has.wait(LONG_S)
    waiting.end()
    assert not slots._held
    assert not slots._waiting


@pytest.fixture
def ask(tmp_path: Path, transactional_db: None) -> Any:
    """ask(client, **headers): searches by a clip; the status."""
    path = write_audio(tmp_path / "q.wav", tone(1))

    def post(client: Client, **headers: str) -> int:
        with path.open("rb") as file:
            return client.post(reverse("api-search"), {"file": file}, headers=headers).status_code

    return post


@override_settings(QUERY_WAIT_S=0, WHO_MAY_SEARCH="anyone")
def test_the_share_is_that_of_a_user_or_of_an_address(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [get_user_model().objects.create_user(name) for name in ("one", "other")]
    clients = [Client(), Client()]
    for client, user in zip(clients, users, strict=True):
        client.force_login(user)
    token = issue_token(user=users[0], name="t")
    monkeypatch.setattr(turns, "_slots", Slots(8, 1))
    with turns._slots.taken(f"user:{users[0].pk}", 0):
        assert ask(clients[0]) == 503
        assert ask(Client(), authorization=f"Token {token}") == 503, "the same user by a token"
        assert ask(clients[1]) == 200
        assert ask(Client()) == 200
    with turns._slots.taken("address:127.0.0.1", 0):
        assert ask(Client()) == 503
        assert ask(clients[0]) == 200
    assert ask(Client()) == 200
