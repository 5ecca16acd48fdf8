"""What comes on top of what can be answered is refused at once, and the rest is answered."""

import threading

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from audiosearch.web import overload


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    monkeypatch.setattr(overload, "WAIT_S", 0.05)
    return threading.Event()


@override_settings(MAX_CONCURRENT_REQUESTS=2)
def test_what_finds_no_turn_is_told_to_come_back(busy: threading.Event) -> None:
    started = threading.Semaphore(0)

    def view(request: HttpRequest) -> HttpResponse:
        if request.path == "/slow/":
            started.release()
            busy.wait(10)
        return HttpResponse("done")

    answer = overload.shed_load(view)
    ask = RequestFactory()
    slow = [threading.Thread(target=answer, args=(ask.get("/slow/"),)) for _ in range(2)]
    for thread in slow:
        thread.start()
        assert started.acquire(timeout=10)
    refused = answer(ask.get("/api/v1/tracks/"))
    assert refused.status_code == 503
    assert refused["Retry-After"]
    assert b"Too many requests" in refused.content
    assert b"Too many requests" in answer(ask.get("/library/")).content
    for path in overload.PROBES:
        assert answer(ask.get(path)).status_code == 200, "probes are always answered"
    upload = ask.post("/api/v1/tracks/", **{overload.ARRIVING: True})
    assert answer(upload).status_code == 200, "uploads wait for the network, not for a turn"
    busy.set()
    for thread in slow:
        thread.join()
    assert answer(ask.get("/library/")).status_code == 200
