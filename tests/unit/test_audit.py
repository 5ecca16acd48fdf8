"""What ./test says of known vulnerabilities, asked of a service that is played here."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KNOWN = {
    "id": "PYSEC-2026-1",
    "aliases": [],
    "summary": "It lets everybody in.",
    "details": "It lets everybody in.",
    "affected": [
        {
            "package": {"name": "opensesame", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}],
        }
    ],
}


@contextmanager
def service(answer: Any, status: int = 200) -> Iterator[str]:
    """The address of one that gives this answer to every question, as OSV does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def audit(tmp_path: Path) -> Any:
    """audit(address): what the script says of one package, and its exit status."""

    def ask(address: str, requirement: str = "opensesame==1.0.0") -> tuple[int, str]:
        wanted = tmp_path / "requirements.txt"
        wanted.write_text(requirement + "\n")
        command = [sys.executable, "scripts/audit.py", "--requirement", str(wanted)]
        command += ["--disable-pip", "--no-deps", "--cache-dir", str(tmp_path / "cache")]
        command += ["--vulnerability-service", "osv", "--osv-url", address]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return ask


def test_a_known_vulnerability_fails(audit: Any) -> None:
    with service({"vulns": [KNOWN]}) as address:
        status, said = audit(address)
    assert status == 1
    assert said == "opensesame 1.0.0: PYSEC-2026-1, mended in 1.0.1\n"


def test_what_is_sound_passes(audit: Any) -> None:
    with service({}) as address:
        status, said = audit(address)
    assert (status, said.strip()) == (0, "No vulnerability is known of 1 packages.")


def test_a_service_that_is_away_is_said_in_a_line(audit: Any) -> None:
    with service({}) as address:
        pass
    with service({}, status=503) as broken:
        answers = [audit(address), audit(broken)]
    for status, said in answers:
        assert status == 0
        assert said.startswith("Not audited, as the service cannot be reached: ")
        assert len(said.splitlines()) == 1


def test_a_fault_of_the_audit_itself_fails(audit: Any) -> None:
    with service({}) as address:
        status, said = audit(address, "opensesame === not a requirement")
    assert status == 1
    assert said
