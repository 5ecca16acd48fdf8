"""What a load is made of: requests in a fixed mix at random moments, and who sends them.

Open loop: every request has its moment beforehand, and its latency counts from then, so that one
slow answer cannot hide by delaying the requests behind it (Tene, "How NOT to measure latency").
"""

import http.client
import io
import json
import threading
import time
import urllib.parse
import wave
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.service import Service

SHARES = {
    "search by track": 30,
    "search by clip": 20,
    "library page": 10,
    "API list": 10,
    "audio range": 10,
    "peaks": 5,
    "upload": 10,
    "delete": 5,
}
"""How many of a hundred requests are of each kind."""
UNDER_WAY = 1024
"""As many requests at once; fewer, and an overload would wait here instead of at the service."""
PATIENCE_S = 30
IDLE_S = 10
"""The server may close a connection that rests for longer; then it is opened anew."""
TELL_S = 10
CLIPS = 16
CLIP_BYTES = 5_000_000
RANGE_BYTES = 64 * 1024
UPLOAD_S, UPLOAD_RATE = 3, 16_000
TRACKS = "/api/v1/tracks/"
BOUNDARY = "audiosearch-load-boundary"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class Phase(NamedTuple):
    """A stretch of time with so many requests a second."""

    name: str
    rate: float
    seconds: float


class Arrival(NamedTuple):
    """One request to come: when, from the beginning, and the number that chooses the rest."""

    at_s: float
    phase: str
    kind: str
    draw: int


class Ask(NamedTuple):
    kind: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None


class Answer(NamedTuple):
    """What became of an arrival; both times count from the moment it was meant for."""

    phase: str
    kind: str
    at_s: float
    lag_s: float
    latency_s: float
    status: str

    @property
    def good(self) -> bool:
        return self.status in ("200", "201", "204", "206")

    @property
    def shed(self) -> bool:
        """Turned away politely: it says when to come again."""
        return self.status in ("429", "503")

    @property
    def failed(self) -> bool:
        return not self.good and not self.shed


def arrivals(phases: Sequence[Phase], seed: int) -> list[Arrival]:
    """Poisson arrivals: a random number in each phase, each at any of its moments alike."""
    rng = np.random.default_rng(seed)
    shares = np.array(list(SHARES.values())) / 100
    found: list[Arrival] = []
    begins = 0.0
    for phase in phases:
        count = int(rng.poisson(phase.rate * phase.seconds))
        moments = np.sort(rng.uniform(begins, begins + phase.seconds, count)).tolist()
        kinds = rng.choice(list(SHARES), count, p=shares).tolist()
        draws = rng.integers(2**62, size=count).tolist()
        found += [
            Arrival(at_s, phase.name, kind, draw)
            for at_s, kind, draw in zip(moments, kinds, draws, strict=True)
        ]
        begins += phase.seconds
    return found


class Connection:
    """One kept-alive connection to the service."""

    def __init__(self, address: str, timeout_s: float = PATIENCE_S) -> None:
        self.http = http.client.HTTPConnection(address, timeout=timeout_s)
        self.used_at = 0.0

    def send(self, ask: Ask) -> tuple[str, bytes]:
        """Status and body; whatever breaks is a status too, and closes the connection."""
        if time.monotonic() - self.used_at > IDLE_S:
            self.http.close()
        try:
            self.http.request(ask.method, ask.path, ask.body, ask.headers)
            response = self.http.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.http.close()
            return type(error).__name__, b""
        self.used_at = time.monotonic()
        status = str(response.status)
        if response.status in (429, 503) and not response.headers.get("Retry-After"):
            status += " without Retry-After"
        if ask.kind.startswith("search") and b'"hits":[]' in body:
            status += " without hits"
        return status, body


class Traffic:
    """The requests of one person: the API by token, the pages by a session."""

    def __init__(self, service: Service, sounds: Sequence[Path]) -> None:
        self.address = service.url.removeprefix("http://")
        credentials = service.credentials
        self.token = {"Authorization": f"Token {credentials['token']}"}
        self.session = _log_in(self.address, credentials)
        small = [path for path in sounds if path.stat().st_size <= CLIP_BYTES]
        clips = small[:: max(len(small) // CLIPS, 1)][:CLIPS]
        self.clips = [multipart(path.name, path.read_bytes()) for path in clips]
        self.uploaded: list[int] = []
        self.lock = threading.Lock()
        self._learn()

    def _learn(self) -> None:
        """The tracks that are there, and addresses of pages and lists that show them."""
        connection = Connection(self.address)
        self.tracks: list[tuple[int, int]] = []
        words: set[str] = set()
        tags: set[str] = set()
        path: str | None = f"{TRACKS}?state=ready&page_size=200"
        while path and len(self.tracks) < 2000:
            status, body = connection.send(Ask("list", "GET", path, self.token))
            if status != "200":
                raise SystemExit(f"The list of tracks answers {status}: {body[:300]!r}")
            page = json.loads(body)
            for track in page["results"]:
                self.tracks.append((track["id"], track["size_bytes"]))
                words.add(track["title"].split()[0])
                tags.update(track["tags"])
            path = page["next"] and page["next"].partition(self.address)[2]
        numbers = range(1, max(len(self.tracks) // 50, 1) + 1)
        queries = [{"q": word} for word in sorted(words)[:30]]
        queries += [{"tag": tag} for tag in sorted(tags)[:10]]
        queries += [{"page": str(number)} for number in numbers for _ in range(4)]
        self.pages = [f"/library/?{urllib.parse.urlencode(query)}" for query in queries]
        queries += [{"kind": "sound", "state": "ready", "ordering": "-duration_ms"}] * 10
        self.lists = [f"{TRACKS}?{urllib.parse.urlencode(query)}" for query in queries]

    def ask(self, arrival: Arrival) -> Ask:
        """The request of an arrival; a deletion with nothing to delete yet is an upload."""
        kind, draw = arrival.kind, arrival.draw
        track, size = self.tracks[draw % len(self.tracks)]
        if kind == "search by track":
            return Ask(kind, "GET", f"{TRACKS}{track}/similar", self.token)
        if kind == "search by clip":
            clip = self.clips[draw % len(self.clips)]
            return Ask(kind, "POST", "/api/v1/search/", self.token | MULTIPART, clip)
        if kind == "library page":
            return Ask(kind, "GET", self.pages[draw % len(self.pages)], self.session)
        if kind == "API list":
            return Ask(kind, "GET", self.lists[draw % len(self.lists)], self.token)
        if kind == "audio range":
            first = draw % size
            wanted = {"Range": f"bytes={first}-{first + RANGE_BYTES - 1}"}
            return Ask(kind, "GET", f"{TRACKS}{track}/audio", self.session | wanted)
        if kind == "peaks":
            return Ask(kind, "GET", f"{TRACKS}{track}/peaks", self.session)
        with self.lock:
            if kind == "delete" and self.uploaded:
                gone = self.uploaded.pop(draw % len(self.uploaded))
                return Ask(kind, "DELETE", f"{TRACKS}{gone}/", self.token)
        body = multipart(f"load {draw}.wav", sound(draw))
        return Ask("upload", "POST", TRACKS, self.token | MULTIPART, body)

    def learn_from(self, ask: Ask, status: str, body: bytes) -> None:
        """Remember what was uploaded, so that it can be deleted."""
        if ask.kind == "upload" and status == "201":
            with self.lock:
                self.uploaded.append(json.loads(body)["id"])


class Crowd:
    """Sends each request at its moment, whatever became of the ones before it."""

    def __init__(self, traffic: Traffic, phases: Sequence[Phase], seed: int) -> None:
        self.traffic = traffic
        self.plan = arrivals(phases, seed)
        self.idle: list[Connection] = []
        self.answers: list[Answer] = []
        self.began = self.told_at = self.busy = 0.0

    def send_all(self, tell: Callable[[str], None]) -> list[Answer]:
        """The answers to everything, in the order it was meant; returns when all are there."""
        self.began = self.told_at = time.monotonic()
        cpu_s = time.process_time()
        pool = ThreadPoolExecutor(UNDER_WAY)  # starts a thread only where none is idle
        sent: list[Future[Answer]] = []
        try:
            for arrival in self.plan:
                ask = self.traffic.ask(arrival)  # before its moment: to make it takes time
                due = self.began + arrival.at_s
                while (wait_s := due - time.monotonic()) > 0:
                    time.sleep(min(wait_s, 1))
                    self._tell(tell)
                sent.append(pool.submit(self._answer, arrival, ask, due))
            while wait(sent, timeout=1).not_done:
                self._tell(tell)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        self.busy = (time.process_time() - cpu_s) / (time.monotonic() - self.began)
        return [future.result() for future in sent]

    def _tell(self, tell: Callable[[str], None]) -> None:
        if time.monotonic() - self.told_at < TELL_S:
            return
        self.told_at = time.monotonic()
        answers = self.answers[:]
        phase = answers[-1].phase if answers else "beginning"
        failed, shed = sum(one.failed for one in answers), sum(one.shed for one in answers)
        tell(f"{phase}: {len(answers)} of {len(self.plan)} done, {failed} failed, {shed} shed")

    def _answer(self, arrival: Arrival, ask: Ask, due: float) -> Answer:
        lag_s = time.monotonic() - due
        status = "not sent"
        if lag_s < PATIENCE_S:
            try:
                connection = self.idle.pop()  # the last one used, lest all of them grow stale
            except IndexError:
                connection = Connection(self.traffic.address)
            status, body = connection.send(ask)
            self.idle.append(connection)
            self.traffic.learn_from(ask, status, body)
        latency_s = time.monotonic() - due
        answer = Answer(arrival.phase, ask.kind, arrival.at_s, lag_s, latency_s, status)
        self.answers.append(answer)
        return answer


def multipart(name: str, data: bytes) -> bytes:
    """A form with one file."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def sound(seed: int) -> bytes:
    """A WAV file, another one for each seed: a hum in noise."""
    rng = np.random.default_rng(seed)
    moments = np.arange(UPLOAD_S * UPLOAD_RATE) / UPLOAD_RATE
    samples = 0.3 * np.sin(2 * np.pi * rng.uniform(80, 4000) * moments)
    samples += 0.02 * rng.standard_normal(len(samples))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(UPLOAD_RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _log_in(address: str, credentials: dict[str, str]) -> dict[str, str]:
    """The headers of a session, made as a browser does: form, cookie, form sent back."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    connection.request("GET", "/login/")
    crumb = _cookie(connection.getresponse(), "csrftoken")
    fields = {"username": credentials["username"], "password": credentials["password"]}
    form = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": crumb})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/login/", form, {**headers, "Cookie": f"csrftoken={crumb}"})
    session = _cookie(connection.getresponse(), "sessionid")
    connection.close()
    return {"Cookie": f"sessionid={session}"}


def _cookie(response: http.client.HTTPResponse, name: str) -> str:
    response.read()
    for header in response.headers.get_all("Set-Cookie") or ():
        key, _, rest = header.partition("=")
        if key == name:
            return rest.partition(";")[0]
    raise SystemExit(f"Logging in: {response.status}, and no cookie {name}.")
