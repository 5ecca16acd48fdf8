"""The real service: a request is followed to the worker, and strangers are counted by address."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.audio_files import tone, write_audio
from tests.service import Service, _multipart, running


def lines_of(service: Service, process: str, logger: str) -> list[dict[str, Any]]:
    """What a process logged, as ./run passes it on."""
    start = f"[{process}] {{"
    found = [line for line in service.said().splitlines() if line.startswith(start)]
    told = [json.loads(line.removeprefix(f"[{process}] ")) for line in found]
    return [one for one in told if one["logger"] == logger]


def post(service: Service, path: str, file: Path, **headers: str) -> Any:
    data, headers["Content-Type"] = _multipart(file, {})
    request = urllib.request.Request(service.url + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


@pytest.mark.exhaustive
def test_from_the_upload_to_the_worker(tmp_path: Path) -> None:
    sound = write_audio(tmp_path / "a.wav", tone(2))
    environment = {"LOG_FORMAT": "json", "WHO_MAY_SEARCH": "anyone", "SEARCHES_PER_MINUTE": "2"}
    with running(tmp_path / "data", **environment) as service:
        sent = {
            "Authorization": f"Token {service.credentials['token']}",
            "X-Request-ID": "upload-1",
        }
        status, headers = post(service, "/api/v1/tracks/", sound, **sent)
        assert (status, headers["X-Request-ID"]) == (201, "upload-1")
        service.wait_for(lambda: len(lines_of(service, "worker", "audiosearch.analysis")) == 3)
        analyses = lines_of(service, "worker", "audiosearch.analysis")
        assert {line["space"] for line in analyses} == {
            "spectral-v1",
            "landmarks-v1",
            "waveform-v1",
        }
        for line in analyses:
            assert (line["request_id"], line["state"]) == ("upload-1", "ready")
            assert line["seconds"] > 0
        asked = lines_of(service, "web", "audiosearch.requests")
        (upload,) = [line for line in asked if line["request_id"] == "upload-1"]
        assert (upload["method"], upload["path"]) == ("POST", "/api/v1/tracks/")
        assert (upload["status"], upload["user"]) == (201, 1)
        answers = [post(service, "/api/v1/search/", sound) for _ in range(3)]
        assert [status for status, _ in answers] == [200, 200, 429]
        assert 1 <= int(answers[2][1]["Retry-After"]) <= 60
        logged = [line for line in service.said().splitlines() if line.startswith("[")]
        assert not any(service.credentials["token"] in line for line in logged)
