"""Who may do what, at every address there is; a new one fails here until it is listed."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.catalog.models import Collection, Track
from apps.jobs.models import State
from apps.monitoring.models import Scan
from apps.search.models import Search
from apps.voices.models import Measurement, Speaker
from tests.unit.addresses import routes
from tests.unit.conftest import AddTone

ANYONE, MEMBER, OWNER, CURATOR, ADMINISTRATOR = range(5)
ROLES = {
    "anonymous": ANYONE,
    "member": MEMBER,
    "owner": OWNER,
    "curator": CURATOR,
    "administrator": ADMINISTRATOR,
}
UNSAFE = ("post", "put", "patch", "delete")

NEEDED = {
    **dict.fromkeys(["login", "login-code", "logout", "api-live", "api-ready"], (ANYONE, ANYONE)),
    **dict.fromkeys(["account", "account-password", "account-token-add"], (MEMBER, MEMBER)),
    **dict.fromkeys(["account-two-step", "account-codes"], (MEMBER, MEMBER)),
    **dict.fromkeys(["account-two-step-off", "account-token-revoke"], (MEMBER, MEMBER)),
    **dict.fromkeys(["account-session-end", "account-sessions-end"], (MEMBER, MEMBER)),
    **dict.fromkeys(["api-schema", "api-docs"], (ANYONE, ANYONE)),
    **dict.fromkeys(["search", "search-result", "search-clip", "library"], (MEMBER, MEMBER)),
    **dict.fromkeys(["library-states", "add", "track-similar", "search-excerpt"], (MEMBER, MEMBER)),
    "track-stretch": (MEMBER, MEMBER),
    **dict.fromkeys(["library-bulk", "track", "track-relisten"], (MEMBER, OWNER)),
    **dict.fromkeys(["track-detail"], (MEMBER, OWNER)),
    "track-delete": (OWNER, OWNER),
    "search-forget": (OWNER, OWNER),
    **dict.fromkeys(["search-answer", "search-add"], (OWNER, OWNER)),
    **dict.fromkeys(["track-list", "api-track-audio", "api-track-peaks"], (MEMBER, MEMBER)),
    **dict.fromkeys(["api-track-similar", "api-search", "tag-list"], (MEMBER, MEMBER)),
    **dict.fromkeys(["space-list", "api-quota"], (MEMBER, MEMBER)),
    **dict.fromkeys(["collection-list", "collection-detail"], (MEMBER, CURATOR)),
    **dict.fromkeys(["voices", "voices-identify", "voices-compare"], (MEMBER, MEMBER)),
    "track-voices": (MEMBER, MEMBER),
    "speaker": (MEMBER, CURATOR),
    **dict.fromkeys(["speaker-add", "speaker-enrol", "speaker-erase"], (CURATOR, CURATOR)),
    **dict.fromkeys(["enrolment-remove", "voices-thresholds"], (CURATOR, CURATOR)),
    **dict.fromkeys(["voices-measure", "measurement"], (CURATOR, CURATOR)),
    **dict.fromkeys(["measurement-apply", "measurement-plot"], (CURATOR, CURATOR)),
    **dict.fromkeys(["speaker-list", "speaker-detail", "speaker-enrolments"], (MEMBER, CURATOR)),
    "speaker-enrolment": (CURATOR, CURATOR),
    **dict.fromkeys(["speaker-verify", "speaker-identify", "speaker-diarize"], (MEMBER, MEMBER)),
    **dict.fromkeys(["scans", "scan-list"], (MEMBER, MEMBER)),
    **dict.fromkeys(["scan", "scan-detail", "scan-play-log"], (OWNER, OWNER)),
    **dict.fromkeys(["scan-download", "scan-forget"], (OWNER, OWNER)),
    **dict.fromkeys(["duplicates", "duplicate-list", "duplicate-detail"], (MEMBER, MEMBER)),
    **dict.fromkeys(["duplicate-keep", "duplicate-dismiss"], (MEMBER, OWNER)),
    **dict.fromkeys(["duplicate-kept", "duplicate-undo"], (MEMBER, MEMBER)),
    **dict.fromkeys(["duplicates-keep", "duplicates-dismiss", "duplicates-undo"], (OWNER, OWNER)),
    "metrics": (CURATOR, CURATOR),
}
"""The least role that may read, and the least that may write, while nothing is open to anyone."""

NOT_OF_THE_CONSOLE = ("admin:login", "admin:logout", "admin:password_change")
"""Its addresses that lead to our own pages."""

ADMINISTRATORS = ("auth_", "access_")
"""Of the admin console, what curators have no part in."""


class House:
    """One thing of every kind; the track and the search are the owner's."""

    def __init__(self, add_tone: AddTone) -> None:
        self.users: dict[str, Any] = {
            "member": User.objects.create_user("member"),
            "owner": User.objects.create_user("owner"),
            "curator": User.objects.create_user("curator", is_staff=True),
            "administrator": User.objects.create_superuser("administrator"),
        }
        self.track = add_tone(400, listen=False, added_by=self.users["owner"])
        self.collection = Collection.objects.create(name="Field")
        self.speaker = Speaker.objects.create(name="Ada")
        self.measurement = Measurement.objects.create(space="resemblyzer-v1")
        result = {"query": {}, "hits": [], "explanation": None, "took_ms": {"total": 1}}
        self.search = Search.objects.create(
            user=self.users["owner"], clip="queries/gone.wav", clip_name="clip", result=result
        )

        self.scan = Scan.objects.create(
            user=self.users["owner"], name="mix", size_bytes=1, duration_ms=1, state=State.READY
        )

    def address(self, name: str, taken: set[str]) -> str:
        kinds = {
            "search-": self.search.pk,
            "scan": self.scan.pk,
            "measurement": self.measurement.pk,
            "speaker": self.speaker.pk,
            "enrolment": self.speaker.pk,
            "collection": self.collection.pk,
        }
        found = [pk for kind, pk in kinds.items() if name.startswith(kind)]
        pk = found[0] if found else self.track.pk
        others = {
            "kind": "csv",
            "name": "det",
            "enrolment": 1,
            "enrolment_id": "1",
            "number": uuid4(),
        }
        return reverse(name, kwargs={key: others.get(key, pk) for key in taken})

    def client(self, role: str) -> Client:
        client = Client(raise_request_exception=False)
        if role in self.users:
            client.force_login(self.users[role])
        return client


@pytest.fixture
def house(add_tone: AddTone) -> House:
    return House(add_tone)


def refused(answer: Any) -> bool:
    """Sent to log in, or told that one may not."""
    to_login = answer.status_code == 302 and "/login/" in answer["Location"]
    return to_login or answer.status_code in (401, 403)


def test_every_address_is_listed() -> None:
    ours = {name for name in routes() if not name.startswith("admin:")}
    assert ours == set(NEEDED), "Say in NEEDED who may read and write there."


@pytest.mark.parametrize("role", ROLES)
def test_nobody_does_more_than_their_role_allows(house: House, role: str) -> None:
    client = house.client(role)
    for name, taken in routes().items():
        if name.startswith("admin:") or name in ("logout", "login-code"):
            continue
        reading, writing = NEEDED[name]
        address = house.address(name, taken)
        answer = client.get(address)
        if answer.status_code != 405:
            assert _fits(answer, ROLES[role] >= reading), (name, "get", answer.status_code)
        if ROLES[role] >= writing:
            continue  # what they may is done in other tests; here it would be done to all
        data: Any = {"track": [house.track.pk], "action": "tag", "tags": "x"}
        for method in UNSAFE:
            answer = getattr(client, method)(address, data if method == "post" else None)
            if answer.status_code != 405:
                assert _fits(answer, False), (name, method, answer.status_code)
    assert Track.objects.get(pk=house.track.pk).tags.count() == 0
    assert Speaker.objects.filter(pk=house.speaker.pk, name="Ada").exists()
    assert Search.objects.filter(pk=house.search.pk).exists()
    assert Scan.objects.filter(pk=house.scan.pk).exists()


def _fits(answer: Any, allowed: bool) -> bool:
    """Refused exactly if not allowed; a 404 hides that there is something to be refused."""
    return answer.status_code == 404 or refused(answer) != allowed


@pytest.mark.parametrize("role", ["owner", "curator", "administrator"])
def test_owners_and_curators_change_and_delete(house: House, role: str) -> None:
    client = house.client(role)
    path = f"/api/v1/tracks/{house.track.pk}/"
    assert client.patch(path, {"title": "New"}, "application/json").json()["title"] == "New"
    assert client.delete(path).status_code == 204
    assert client.post(reverse("search-forget", args=[house.search.pk])).status_code == 302
    assert not Search.objects.exists()


@pytest.mark.parametrize("role", ROLES)
def test_the_admin_console_is_for_curators_and_people_for_administrators(
    house: House, role: str
) -> None:
    client = house.client(role)
    for name, taken in routes().items():
        if not name.startswith("admin:") or name in NOT_OF_THE_CONSOLE:
            continue
        texts = {"app_label": "catalog", "url": "nowhere/", "content_type_id": 1}
        arguments = {key: texts.get(key, house.track.pk) for key in taken}
        answer = client.get(reverse(name, kwargs=arguments))
        word = name.partition(":")[2]
        needed = ADMINISTRATOR if word.startswith(ADMINISTRATORS) else CURATOR
        if ROLES[role] < CURATOR:
            assert refused(answer) or answer.status_code == 404, (name, answer.status_code)
        elif ROLES[role] < needed:
            assert answer.status_code in (302, 403, 404), (name, answer.status_code)
            assert answer.status_code != 302 or word.endswith(("_change", "_delete", "_history"))
