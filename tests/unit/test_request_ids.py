"""Request ids: from the caller to the worker that does the work, and into every line."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.analysis.leasing import set_aside
from apps.analysis.models import TrackAnalysis
from apps.analysis.queueing import reanalyze
from apps.analysis.worker import work
from apps.jobs.leases import requeue_lost
from apps.jobs.models import State
from audiosearch.web.logs import JsonFormatter, RequestIdFilter, TextFormatter
from audiosearch.web.request_ids import current_request_id
from tests.audio_files import tone, write_audio
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]


class Kept(logging.Handler):
    """Keeps what the console would print."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.addFilter(RequestIdFilter())

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """What is logged, with requests and tracks told."""
    kept = Kept()
    logging.root.addHandler(kept)
    caplog.set_level(logging.INFO, "audiosearch.requests")
    caplog.set_level(logging.INFO, "audiosearch.analysis")
    yield kept.records
    logging.root.removeHandler(kept)


def of(told: list[logging.LogRecord], logger: str) -> list[Any]:
    return [record for record in told if record.name == logger]


def test_every_answer_has_an_id(client: Client) -> None:
    for address in ("/api/v1/live/", "/login/", "/nowhere/", "/static/nothing.css"):
        sent = client.get(address, headers={"X-Request-ID": "proxy-7.a_B"})
        assert sent.headers["X-Request-ID"] == "proxy-7.a_B"
    made = {client.get("/api/v1/live/").headers["X-Request-ID"] for _ in range(3)}
    assert len(made) == 3
    assert current_request_id() == ""


@pytest.mark.parametrize(
    "sent", ["", "two words", "x" * 65, "a\r\nSet-Cookie: b=c", "a\n", "é", '"><script>']
)
def test_what_is_no_id_is_not_taken_over(client: Client, sent: str) -> None:
    answer = client.get("/api/v1/live/", headers={"X-Request-ID": sent})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
    assert not answer.cookies


def test_an_id_goes_with_the_work_to_the_worker(
    member: Client, tmp_path: Path, told: list[logging.LogRecord]
) -> None:
    with write_audio(tmp_path / "a.wav", tone(2)).open("rb") as file:
        answer = member.post(
            "/api/v1/tracks/", {"file": file}, headers={"X-Request-ID": "upload-1"}
        )
    rows = TrackAnalysis.objects.order_by("pk")
    assert answer.status_code == 201
    assert [row.request_id for row in rows] == ["upload-1"] * 4
    work()
    pk, lines = rows[0].track_id, of(told, "audiosearch.analysis")
    assert {line.fields["space"] for line in lines} == {
        *("fake-v1", "landmarks-v1", "melody-v2", "waveform-v1")
    }
    for line in lines:
        assert line.request_id == "upload-1"
        assert (line.fields["track"], line.fields["state"]) == (pk, "ready")
        assert 0 <= line.fields["seconds"] < 60
    assert member.post(f"/tracks/{pk}/relisten/", headers={"X-Request-ID": "again-2"})
    work()
    again = of(told, "audiosearch.analysis")[4:]
    assert [line.request_id for line in again] == ["again-2"] * 4
    reanalyze([pk])
    assert set(rows.values_list("request_id", flat=True)) == {""}


def test_a_failure_is_told_with_its_reason(
    add_tone: AddTone, told: list[logging.LogRecord]
) -> None:
    track = add_tone(440, listen=False)
    Path(track.file.path).write_bytes(b"nonsense")
    work()
    lines = of(told, "audiosearch.analysis")
    assert len(lines) == TrackAnalysis.objects.count() == 4
    for line in lines:
        row = TrackAnalysis.objects.get(space__name=line.fields["space"])
        assert (line.fields["state"], line.fields["track"]) == ("failed", track.pk)
        assert line.fields["reason"] == row.reason != ""


def test_what_is_set_aside_is_told(add_tone: AddTone, told: list[logging.LogRecord]) -> None:
    add_tone(440, listen=False)
    gone = {"state": State.RUNNING, "leased_by": f"{os.uname().nodename}:999999999"}
    TrackAnalysis.objects.update(**gone, attempts=3, request_id="upload-3")
    requeue_lost(TrackAnalysis, set_aside)
    lines = of(told, "audiosearch.analysis")
    assert len(lines) == 4
    for line in lines:
        assert (line.request_id, line.fields["state"]) == ("upload-3", "failed")
        assert "set aside" in line.getMessage()


def test_one_line_tells_of_a_request(
    member: Client, client: Client, told: list[logging.LogRecord]
) -> None:
    member.get("/library/?q=secret", headers={"X-Request-ID": "r1"})
    line = of(told, "audiosearch.requests")[-1]
    assert line.request_id == "r1"
    fields = {key: line.fields[key] for key in ("method", "path", "status", "user")}
    user = int(member.session["_auth_user_id"])
    assert fields == {"method": "GET", "path": "/library/", "status": 200, "user": user}
    assert "secret" not in line.getMessage()
    Client().get("/library/")
    assert of(told, "audiosearch.requests")[-1].fields["user"] is None


def test_the_line_costs_no_query(
    member: Client, told: list[logging.LogRecord], django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        member.get("/api/v1/live/")
    assert of(told, "audiosearch.requests")[-1].fields["user"] is None


def test_requests_are_not_told_unless_asked_for(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/api/v1/live/")
    assert not of(caplog.records, "audiosearch.requests")


def record_of(message: str, *args: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("some.logger", logging.WARNING, __file__, 1, message, args, None)
    made.__dict__.update(more)
    RequestIdFilter().filter(made)
    return made


FORGED = "x\n2026-11-21 10:00:00,000 ERROR root: forged\r\x1b[2J\x85\u2028\u202e"


def raised() -> Any:
    try:
        raise ValueError(FORGED)
    except ValueError:
        return sys.exc_info()


def test_text_cannot_be_forged() -> None:
    formatter = TextFormatter()
    line = formatter.format(record_of("Not found: %s", FORGED, request_id="r1"))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert line.endswith(" [r1]")
    assert r"x\n2026-11-21" in line
    first, *rest = formatter.format(record_of("Broken", exc_info=raised())).splitlines()
    assert first.endswith("some.logger: Broken")
    assert any("ERROR root: forged" in line for line in rest)
    assert all(line.startswith("  ") for line in rest)


def test_json_is_one_object_a_line() -> None:
    more = {"request_id": "r1", "fields": {"status": 404, "level": "forged"}}
    line = JsonFormatter().format(record_of("Not found: %s", FORGED, exc_info=raised(), **more))
    assert len(line.splitlines()) == 1
    found = json.loads(line)
    assert found["message"] == f"Not found: {FORGED}"
    assert (found["level"], found["logger"]) == ("WARNING", "some.logger")
    assert (found["request_id"], found["status"]) == ("r1", 404)
    assert f"ValueError: {FORGED}" in found["exception"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found["time"])


def said(**environment: str) -> list[str]:
    """What a process logs that is asked for an address that is not there."""
    code = (
        "import django; django.setup()\n"
        "from django.test import Client\n"
        "Client(headers={'X-Request-ID': 'r1', 'host': 'localhost'}).get('/no%0Awhere/?q=secret')\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return process.stderr.splitlines()


def test_a_process_logs_objects_when_told_to() -> None:
    lines = [json.loads(line) for line in said(LOG_FORMAT="json")]
    assert {line["request_id"] for line in lines} == {"r1"}
    (access,) = [line for line in lines if line["logger"] == "audiosearch.requests"]
    assert (access["path"], access["status"]) == ("/no\nwhere/", 404)
    assert not any("secret" in json.dumps(line) for line in lines)


def test_a_process_logs_lines() -> None:
    (quiet,) = said()
    assert quiet.endswith("Not Found: /no\\nwhere/ [r1]")


@pytest.mark.exhaustive
def test_whether_requests_are_logged_can_be_told() -> None:
    assert len(said(LOG_REQUESTS="1")) == 2
    assert len(said(LOG_FORMAT="json", LOG_REQUESTS="0")) == 1
