"""One's own account: password, two-step log-in, tokens, sessions, and what the audit log says."""

import csv
import re
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import unquote

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from apps.access.models import ApiToken, AuditEvent, BrowserSession
from apps.access.sessions import browser_name
from apps.access.tasks import sweep
from apps.access.tokens import digest_of, issue_token
from apps.catalog.models import Collection
from apps.catalog.services.editing import edit_tracks
from apps.voices.models import Speaker
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "a long one 42"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def ada() -> Any:
    return get_user_model().objects.create_user("ada", password=PASSWORD)


def log_in(client: Client | None = None, password: str = PASSWORD, **sent: Any) -> Client:
    client = client or Client(headers={"User-Agent": FIREFOX})
    client.post("/login/", {"username": "ada", "password": password, **sent})
    return client


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def code_of(device: TOTPDevice, steps: int = 0) -> str:
    """What the app shows, so many half minutes from now."""
    totp = TOTP(device.bin_key, drift=steps)
    return f"{totp.token():06d}"


def set_up(client: Client) -> tuple[TOTPDevice, list[str]]:
    """Two-step log-in turned on by the pages; its device, and the recovery codes."""
    client.post("/account/two-step/", {})
    device = TOTPDevice.objects.get(confirmed=False)
    page = client.post("/account/two-step/", {"code": code_of(device)}).content.decode()
    TOTPDevice.objects.update(last_t=-1)  # so that the same half minute's code is good once more
    return device, re.findall(r"<li><code>(.+?)</code>", page)


def test_the_password_is_changed_and_others_are_logged_out(ada: Any) -> None:
    here, there = log_in(), log_in()
    form = {"old_password": PASSWORD, "new_password1": "short one 4"}
    page = here.post("/account/password/", {**form, "new_password2": "short one 4"})
    assert page.status_code == 400
    assert "at least 12 characters" in page.content.decode()
    new = {"new_password1": "twelve chars", "new_password2": "twelve chars"}
    refused = here.post("/account/password/", {**new, "old_password": "wrong"})
    assert "not your password" in refused.content.decode()
    assert here.post("/account/password/", {**new, "old_password": PASSWORD}).status_code == 302
    assert (is_in(here), is_in(there)) == (True, False)
    assert is_in(log_in(password="twelve chars"))
    assert actions().count("password") == 1


def test_a_short_password_from_before_goes_on() -> None:
    get_user_model().objects.create_user("ada", password="short")
    assert is_in(log_in(password="short"))


def test_guesses_inside_are_counted_and_not_kept(ada: Any) -> None:
    client = log_in()
    form = {"old_password": "guessed", "new_password1": "secret one", "new_password2": "other"}
    statuses = [client.post("/account/password/", form).status_code for _ in range(10)]
    assert statuses == [400] * 9 + [429]
    kept = str(vars(AccessAttempt.objects.get()))
    assert not [word for word in ("guessed", "secret one", "other'") if word in kept]


def test_a_token_is_made_shown_once_and_revoked(ada: Any) -> None:
    client = log_in()
    form = {"name": "script", "scopes": ["read"], "expires_on": ""}
    page = client.post("/account/tokens/", form)
    secret = page.content.decode().partition('class="secret" value="')[2].partition('"')[0]
    assert "no-store" in page["Cache-Control"]
    token = ApiToken.objects.get(user=ada)
    assert token.digest == digest_of(secret)
    assert secret not in client.get("/account/").content.decode()
    caller = Client(headers={"Authorization": f"Token {secret}"})
    assert caller.get("/api/v1/tracks/").status_code == 200
    address = f"/account/tokens/{token.pk}/revoke/"
    stranger = Client()
    stranger.force_login(get_user_model().objects.create_user("eve"))
    assert stranger.post(address).status_code == 404
    assert "script" in client.get(address).content.decode()
    assert caller.get("/api/v1/tracks/").status_code == 200, "asked first"
    client.post(address)
    assert caller.get("/api/v1/tracks/").status_code == 401
    assert "script" not in client.get("/account/").context["tokens"]
    assert actions()[1:] == ["token made", "token revoked"]


def test_a_token_works_to_the_end_of_its_last_day(ada: Any) -> None:
    client = log_in()
    today = timezone.localdate()
    form = {"name": "script", "scopes": ["read"]}
    over = client.post("/account/tokens/", {**form, "expires_on": today - timedelta(days=1)})
    assert over.status_code == 400
    assert "This day is over" in over.content.decode()
    secret = issue_token(user=ada, name="script", expires_on=today)
    caller = Client(headers={"Authorization": f"Token {secret}"})
    assert caller.get("/api/v1/tracks/").status_code == 200
    ApiToken.objects.update(expires_on=today - timedelta(days=1))
    assert caller.get("/api/v1/tracks/").status_code == 401
    assert "(over)" in client.get("/account/").content.decode()


def test_sessions_are_listed_and_ended(ada: Any) -> None:
    here, phone, other = log_in(), log_in(Client(REMOTE_ADDR="198.51.100.7")), log_in()
    shown = here.get("/account/").context["sessions"]
    assert [one.is_this for one in shown] == [True, False, False]
    assert shown[0].browser == "Firefox on Linux"
    (far,) = [one for one in shown if one.address == "198.51.100.7"]
    address = f"/account/sessions/{far.number}/end/"
    stranger = Client()
    stranger.force_login(get_user_model().objects.create_user("eve"))
    stranger.post(address)
    assert is_in(phone)
    here.post(address)
    assert (is_in(here), is_in(phone), is_in(other)) == (True, False, True)
    here.post("/account/sessions/end-others/")
    assert (is_in(here), is_in(other)) == (True, False)
    assert browser_name("") == "An unknown program"


def test_idle_sessions_end(ada: Any, settings: Any) -> None:
    client = log_in()
    settings.SESSION_IDLE_MINUTES = 30
    BrowserSession.objects.update(seen_at=timezone.now() - timedelta(minutes=29))
    assert is_in(client)
    BrowserSession.objects.update(seen_at=timezone.now() - timedelta(minutes=31))
    assert client.get("/api/v1/tracks/").status_code in (401, 403)
    answer = client.get("/library/", follow=True)
    assert answer.redirect_chain[-1][0] == "/login/?next=/library/"
    assert "away for long" in answer.content.decode()
    assert AuditEvent.objects.get(action="session ended").detail == {"why": "idle"}


def test_what_ended_by_itself_is_swept(ada: Any, settings: Any) -> None:
    log_in()
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    log_in()
    AuditEvent.objects.update(at=timezone.now() - timedelta(days=366))
    issue_token(user=ada, name="kept")
    AuditEvent.objects.filter(action="token made").update(at=timezone.now() - timedelta(days=999))
    sweep()
    assert BrowserSession.objects.count() == Session.objects.count() == 1
    assert actions() == ["token made"]


def test_two_steps_are_in_force_once_confirmed(ada: Any) -> None:
    client, other = log_in(), log_in()
    client.post("/account/two-step/", {})
    page = client.get("/account/two-step/").content.decode()
    device = TOTPDevice.objects.get()
    assert "<svg" in page
    assert "style=" not in page, "the policy of pages would refuse it"
    assert is_in(log_in()), "nothing was confirmed yet"
    assert client.post("/account/two-step/", {"code": "12345"}).status_code == 400
    TOTPDevice.objects.update(throttling_failure_count=0)
    page = client.post("/account/two-step/", {"code": code_of(device)}).content.decode()
    assert len(re.findall(r"<li><code>", page)) == 10
    assert not is_in(other), "who came in by a password alone is out"
    assert not is_in(log_in())


def test_a_code_lets_in_once(ada: Any) -> None:
    device, _ = set_up(log_in())
    code = code_of(device)
    client = Client()
    asked = client.post(
        "/login/", {"username": "ada", "password": PASSWORD, "next": "/admin/catalog/track/"}
    )
    assert asked["Location"] == "/login/code/?next=%2Fadmin%2Fcatalog%2Ftrack%2F"
    for closed in ("/account/", "/admin/", "/library/"):
        answer = client.get(closed, follow=True)
        assert unquote(answer.redirect_chain[-1][0]) == f"/login/?next={closed}"
    assert client.get("/api/v1/tracks/").status_code in (401, 403)
    assert client.get(asked["Location"]).status_code == 200
    done = client.post("/login/code/", {"code": code, "next": "/admin/catalog/track/"})
    assert done["Location"] == "/admin/catalog/track/"
    assert is_in(client)
    again = log_in()
    assert again.post("/login/code/", {"code": code}).status_code == 200
    assert not is_in(again)
    TOTPDevice.objects.update(throttling_failure_count=0)
    assert again.post("/login/code/", {"code": code_of(device, 1)}).status_code == 302


def test_a_code_alone_lets_nobody_in(ada: Any) -> None:
    device, _ = set_up(log_in())
    client = Client()
    assert client.post("/login/code/", {"code": code_of(device)})["Location"] == "/login/"
    waiting = log_in()
    ada.set_password("changed meanwhile")
    ada.save()
    assert waiting.post("/login/code/", {"code": code_of(device)})["Location"] == "/login/"


def test_a_recovery_code_lets_in_once(ada: Any) -> None:
    _, codes = set_up(log_in())
    client = log_in()
    assert client.post("/login/code/", {"code": f" {codes[0][:4]}-{codes[0][4:].upper()}"})
    assert is_in(client)
    again = log_in()
    again.post("/login/code/", {"code": codes[0]})
    assert not is_in(again)
    page = client.post("/account/two-step/codes/", {"password": PASSWORD}).content.decode()
    StaticDevice.objects.update(throttling_failure_count=0)
    again.post("/login/code/", {"code": codes[1]})
    assert not is_in(again), "new codes make the others void"
    StaticDevice.objects.update(throttling_failure_count=0)
    again.post("/login/code/", {"code": re.findall(r"<li><code>(.+?)</code>", page)[0]})
    assert is_in(again)


def test_guessing_a_code_is_slowed_and_locked(ada: Any) -> None:
    device, codes = set_up(log_in())
    client = log_in()
    assert "not right" in client.post("/login/code/", {"code": "0"}).content.decode()
    wrong = f"{(int(code_of(device)) + 1) % 10**6:06d}"
    client.post("/login/code/", {"code": wrong})
    TOTPDevice.objects.update(throttling_failure_count=10)
    page = client.post("/login/code/", {"code": code_of(device)}).content.decode()
    assert re.search(r"wait \d{3} s", page)
    for _ in range(8):
        TOTPDevice.objects.update(throttling_failure_count=0)
        answer = client.post("/login/code/", {"code": wrong})
    assert answer.status_code == 429
    assert client.post("/login/code/", {"code": codes[0]}).status_code == 429
    assert log_in().get("/account/").status_code == 302
    assert wrong not in str(vars(AccessAttempt.objects.get()))
    assert actions().count("log-in failed") == 9
    assert actions().count("log-in locked") == 1


def test_two_steps_are_turned_off_by_the_password(ada: Any) -> None:
    client = log_in()
    set_up(client)
    assert client.post("/account/two-step/off/", {"password": "wrong"}).status_code == 400
    assert not is_in(log_in())
    client.post("/account/two-step/off/", {"password": PASSWORD})
    assert is_in(log_in())
    assert not StaticDevice.objects.exists()


def test_an_operator_turns_them_off(ada: Any) -> None:
    set_up(log_in())
    out = StringIO()
    call_command("two_step", stdout=out)
    assert out.getvalue() == "ada\n"
    call_command("two_step", "reset", "ada", stdout=out)
    assert is_in(log_in())
    for name in ("ada", "nobody"):
        with pytest.raises(CommandError, match=name):
            call_command("two_step", "reset", name)
    line = AuditEvent.objects.get(action="two-step off")
    assert (line.username, line.detail) == ("", {"of": "ada"})


def test_staff_may_be_made_to_set_it_up(ada: Any, settings: Any) -> None:
    member = log_in()
    settings.REQUIRE_TOTP_FOR_STAFF = True
    assert member.get("/library/").status_code == 200
    get_user_model().objects.update(is_staff=True)
    staff = log_in()
    for closed in ("/library/", "/admin/", "/account/tokens/"):
        assert staff.get(closed)["Location"] == "/account/two-step/", closed
    answer = staff.get("/api/v1/tracks/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "two_step_needed")
    assert staff.get("/api/v1/tracks/", HTTP_AUTHORIZATION="Token wrong").status_code == 403
    set_up(staff)
    assert staff.get("/admin/").status_code == 200


def test_nobody_reads_a_second_step_in_the_console(ada: Any) -> None:
    set_up(log_in())
    root = Client()
    root.force_login(get_user_model().objects.create_superuser("root"))
    assert root.get("/admin/otp_totp/totpdevice/").status_code == 404
    assert root.get("/admin/otp_static/staticdevice/").status_code == 404
    assert root.get("/admin/password_change/")["Location"] == "/account/password/"


def test_private_answers_are_in_no_cache(ada: Any, add_tone: AddTone) -> None:
    track = add_tone(400)
    client = log_in()
    token = issue_token(user=ada, name="test")
    caller = Client(headers={"Authorization": f"Token {token}"})
    for path in ("/library/", "/account/", f"/tracks/{track.pk}/", "/tracks/999/"):
        assert client.get(path)["Cache-Control"] == "private, no-store", path
    for path in ("/api/v1/tracks/", f"/api/v1/tracks/{track.pk}/", "/api/v1/speakers/999/"):
        assert caller.get(path)["Cache-Control"] == "private, no-store", path
    sound = caller.get(f"/api/v1/tracks/{track.pk}/audio", headers={"Range": "bytes=0-1"})
    assert (sound.status_code, sound["Cache-Control"]) == (206, "private, max-age=3600")
    team = Group.objects.create(name="team")
    ada.groups.add(team)
    secret = Collection.objects.create(name="secret", audience=team)
    edit_tracks(track_ids=[track.pk], changes={"collection": secret})
    hidden = caller.get(f"/api/v1/tracks/{track.pk}/audio")
    assert (hidden.status_code, hidden["Cache-Control"]) == (200, "private, no-store")
    assert not Client().get("/api/v1/live/").has_header("Cache-Control")


def test_log_ins_are_in_the_audit_log(ada: Any) -> None:
    log_in(password="wrong", REMOTE_ADDR="198.51.100.7")
    client = log_in()
    client.post("/logout/")
    Client().post("/login/", {"username": "a\0da", "password": "x"})
    lines = list(AuditEvent.objects.order_by("pk"))
    assert [line.action for line in lines] == ["log-in failed", "log-in", "log-out"]
    assert [line.user_number for line in lines] == [None, ada.pk, ada.pk]
    assert {line.username for line in lines} == {"ada"}
    assert lines[0].address == "127.0.0.1"
    assert lines[0].request_id


def test_a_lock_is_one_line_however_long_somebody_tries(ada: Any) -> None:
    for _ in range(15):
        log_in(password="wrong")
    assert actions() == ["log-in failed"] * 9 + ["log-in locked"]


def test_audiences_are_in_the_audit_log(curator: Client, add_tone: AddTone) -> None:
    team = Group.objects.create(name="team")
    track = add_tone(400, listen=False)
    made = curator.post("/api/v1/collections/", {"name": "Field"}, "application/json").json()
    address = f"/api/v1/collections/{made['id']}/"
    curator.patch(address, {"description": "x"}, "application/json")
    curator.patch(address, {"audience": "team"}, "application/json")
    move = {"collection": made["id"]}
    for _ in range(2):
        curator.patch(f"/api/v1/tracks/{track.pk}/", move, "application/json")
    form = {"action": "move", "_selected_action": [track.pk], "apply": 1, "collection": ""}
    curator.post("/admin/catalog/track/", form)
    lines = AuditEvent.objects.order_by("pk")
    assert {(line.action, line.username) for line in lines} == {("audience", "curator")}
    assert [line.detail for line in lines] == [
        {"collection": made["id"], "was": None, "now": team.name},
        {"tracks": [track.pk], "now": team.name},
        {"tracks": [track.pk], "now": None},
    ]


def test_consent_is_in_the_audit_log_without_names(curator: Client) -> None:
    body = {"name": "Xanthippe", "consent_by": "Xanthippe", "consent_on": "2026-01-01"}
    made = curator.post("/api/v1/speakers/", body, "application/json").json()
    address = f"/api/v1/speakers/{made['id']}/"
    curator.patch(address, {"notes": "x"}, "application/json")
    curator.patch(address, {"consent_until": "2026-02-01"}, "application/json")
    page = {**body, "consent_by": "", "consent_on": "", "groups": "", "consent_until": ""}
    curator.post(reverse("speaker", args=[made["id"]]), page)
    curator.delete(address)
    assert not Speaker.objects.exists()
    lines = list(AuditEvent.objects.order_by("pk"))
    assert [line.action for line in lines] == ["consent"] * 3 + ["erase"]
    assert [line.detail.get("on_record") for line in lines[:3]] == [True, True, False]
    assert {line.speaker_number for line in lines} == {made["id"]}
    assert "Xanthippe" not in str([vars(line) for line in lines])


def test_the_audit_log_is_read_exported_and_never_changed(curator: Client, ada: Any) -> None:
    log_in(password="wrong")
    Client().post("/login/", {"username": "=1+1", "password": "x"})
    root = Client()
    root.force_login(get_user_model().objects.create_superuser("root"))
    line = AuditEvent.objects.first()
    assert line is not None
    base = "/admin/access/auditevent/"
    assert "log-in failed" in root.get(base).content.decode()
    assert f"{base}export/?action=log-in+failed" in root.get(
        base, {"action": "log-in failed"}
    ).content.decode().replace("%20", "+")
    for path in (f"{base}add/", f"{base}{line.pk}/delete/"):
        assert root.post(path, {"post": "yes"}).status_code == 403, path
    assert root.post(f"{base}{line.pk}/change/", {"username": "x"}).status_code == 403
    ticked = {"action": "delete_selected", "_selected_action": [line.pk], "post": "yes"}
    root.post(base, ticked)
    assert AuditEvent.objects.filter(pk=line.pk, username=line.username).exists()
    assert curator.get(f"{base}export/").status_code == 403
    AuditEvent.objects.update(request_id="bada55")  # an id is found whole, not by a part of it
    answer = root.get(f"{base}export/", {"q": "ada"})
    assert 'filename="audit-' in answer["Content-Disposition"]
    (row,) = csv.DictReader(StringIO(b"".join(answer).decode()))
    assert (row["action"], row["username"], row["address"]) == ("log-in failed", "ada", "127.0.0.1")
    out = StringIO()
    call_command("audit", "--since", timezone.localdate().isoformat(), stdout=out)
    assert [row["username"] for row in csv.DictReader(StringIO(out.getvalue()))] == ["ada", "'=1+1"]


def test_the_log_tells_who_may_see_what_by_roles_and_groups(admin_client: Client, ada: Any) -> None:
    crew, choir = (Group.objects.create(name=name) for name in ("crew", "choir"))
    address = f"/admin/auth/user/{ada.pk}/change/"
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}

    def save(**fields: Any) -> None:
        done = admin_client.post(
            address, {"username": "ada", "is_active": "on", **joined, **fields}
        )
        assert done.status_code == 302, done.context["errors"]

    save(groups=[crew.pk, choir.pk])
    save(groups=[crew.pk, choir.pk], email="ada@example.org")
    save(groups=[crew.pk], is_staff="on")
    crew_page = f"/admin/auth/group/{crew.pk}/"
    admin_client.post(f"{crew_page}change/", {"name": "crew"})
    assert ada.groups.get() == crew
    admin_client.post(f"{crew_page}delete/", {"post": "yes"})
    assert not ada.groups.exists()
    events = AuditEvent.objects.filter(action__in=["groups", "role"]).order_by("pk")
    role = {"of": "ada", "active": True, "staff": True, "superuser": False}
    assert list(events.values_list("action", "username", "detail")) == [
        ("groups", "admin", {"of": "ada", "joined": ["choir", "crew"], "left": []}),
        ("role", "admin", role),
        ("groups", "admin", {"of": "ada", "joined": [], "left": ["choir"]}),
        ("groups", "admin", {"of": "ada", "joined": [], "left": ["crew"]}),
    ]
    assert {event.address for event in events} == {"127.0.0.1"}


def test_a_user_made_in_the_console_is_told_of_with_the_first_role(admin_client: Client) -> None:
    fields = {"username": "bea", "usable_password": "true", "password1": "a long one 43"}
    made = admin_client.post("/admin/auth/user/add/", {**fields, "password2": "a long one 43"})
    assert made.status_code == 302
    assert "role" not in actions(), "a member, as every account is"
