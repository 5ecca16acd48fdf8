"""Two-step log-in: a code of an app (TOTP) after the password, or one of ten recovery codes."""

import math
from base64 import b32encode
from typing import Any

import segno
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from apps.access.audit import note
from apps.access.models import AuditAction

RECOVERY_CODES = 10
DIGITS = 6


def has_two_step(user: Any) -> bool:
    """Does this user need a code to log in?"""
    return TOTPDevice.objects.filter(user=user, confirmed=True).exists()


def must_set_up_two_step(user: Any) -> bool:
    """Is this somebody of the staff who has none, while REQUIRE_TOTP_FOR_STAFF is on?"""
    return settings.REQUIRE_TOTP_FOR_STAFF and user.is_staff and not has_two_step(user)


@transaction.atomic
def begin_two_step(user: Any) -> None:
    """Make a new secret for the user's app; of no effect until a code confirms it."""
    TOTPDevice.objects.filter(user=user, confirmed=False).delete()
    TOTPDevice.objects.create(user=user, confirmed=False, name="app")


def begun_two_step(user: Any) -> TOTPDevice | None:
    """What waits to be confirmed."""
    return TOTPDevice.objects.filter(user=user, confirmed=False).first()


def qr_code(device: TOTPDevice) -> SafeString:
    """An SVG of what the app scans; without styles, so that the policy of pages lets it be."""
    drawn = segno.make(device.config_url, error="m").svg_inline(
        scale=5, light="#fff", title="QR code for your authenticator app", svgclass="qr"
    )
    drawn = drawn.replace("<svg ", '<svg role="img" ', 1)  # else readers may pass it by
    return mark_safe(drawn)  # noqa: S308 - drawn here, from what the database holds


def typed_secret(device: TOTPDevice) -> str:
    """The secret for those who can't scan, in groups of four."""
    text = b32encode(device.bin_key).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


@transaction.atomic
def confirm_two_step(*, user: Any, code: str, request: HttpRequest) -> list[str]:
    """From now on a log-in needs a code. The recovery codes; none when the code is not right."""
    devices = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=False)
    device = devices.first()
    if device is None or not device.verify_token(clean_code(code)):
        return []
    TOTPDevice.objects.filter(user=user, confirmed=True).delete()
    TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
    note(AuditAction.TWO_STEP_ON, by=user, request=request)
    return _new_codes(user)


@transaction.atomic
def make_recovery_codes(*, user: Any, request: HttpRequest) -> list[str]:
    """Ten new codes; those there were are void."""
    note(AuditAction.CODES, by=user, request=request)
    return _new_codes(user)


def _new_codes(user: Any) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def recovery_codes_left(user: Any) -> int:
    """How many were not used yet."""
    return StaticToken.objects.filter(device__user=user).count()


@transaction.atomic
def turn_off_two_step(*, user: Any, by: Any, request: HttpRequest | None = None) -> bool:
    """The password is enough again, for a user; False when it was before."""
    had = has_two_step(user)
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    if had:
        note(AuditAction.TWO_STEP_OFF, by=by, request=request, of=user.get_username())
    return had


def clean_code(code: str) -> str:
    """A code as it is kept, however it was written down."""
    return code.replace(" ", "").replace("-", "").lower()


@transaction.atomic
def code_is_right(user: Any, code: str) -> bool:
    """Is this the app's code of now, or a recovery code? Neither is taken twice.

    After each wrong one of a kind the next must wait twice as long; see wait_for_code_s.
    """
    code = clean_code(code)
    return any(device.verify_token(code) for device in _devices(user, code, lock=True))


def wait_for_code_s(user: Any, code: str) -> int:
    """Seconds until a code of this kind is looked at again."""
    waits = [0.0]
    for device in _devices(user, clean_code(code)):
        allowed, why = device.verify_is_allowed()
        if not allowed:
            waits.append((why["locked_until"] - timezone.now()).total_seconds())
    return math.ceil(max(waits))


def _devices(user: Any, code: str, *, lock: bool = False) -> list[Device]:
    """What could know a code, by its length: one kind's failures do not close the other."""
    kind = TOTPDevice if len(code) == DIGITS else StaticDevice
    devices = kind.objects.filter(user=user, confirmed=True)
    return list(devices.select_for_update() if lock else devices)
