"""Making, finding and revoking tokens."""

import hashlib
import logging
import secrets
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.access.audit import note
from apps.access.models import ApiToken, AuditAction, Scope

log = logging.getLogger(__name__)
PREFIX = 8
USED_EVERY = timedelta(minutes=1)


def issue_token(
    *,
    user: Any,
    name: str,
    scopes: Sequence[str] = Scope.values,
    expires_on: date | None = None,
    by: Any = None,
) -> str:
    """A new token of a user; it can be read here, and never again."""
    secret = new_secret()
    keep_token(user=user, name=name, scopes=scopes, secret=secret, expires_on=expires_on, by=by)
    return secret


def new_secret() -> str:
    """256 random bits, in hexadecimal: a beginning with a dash would be an option to a shell."""
    return secrets.token_hex(32)


@transaction.atomic
def keep_token(
    *,
    user: Any,
    name: str,
    scopes: Sequence[str],
    secret: str,
    expires_on: date | None = None,
    by: Any = None,
) -> ApiToken:
    """Know a token by its digest, to the end of a day if there is one.

    `by` made it; None is the operator. Raises ValueError for a scope that is none.
    """
    unknown = set(scopes) - set(Scope.values)
    if unknown or not scopes:
        raise ValueError(f"A token has one or more of the scopes {', '.join(Scope.values)}.")
    token = ApiToken.objects.create(
        user=user,
        name=name,
        digest=digest_of(secret),
        prefix=secret[:PREFIX],
        scopes=sorted(scopes),
        expires_on=expires_on,
    )
    until = expires_on.isoformat() if expires_on else None
    note(AuditAction.TOKEN_MADE, by=by, **_told(token), scopes=token.scopes, until=until)
    return token


def _told(token: ApiToken) -> dict[str, Any]:
    return {"token": token.prefix, "name": token.name, "of": token.user.get_username()}


def digest_of(secret: str) -> str:
    """Of random tokens a plain digest is enough: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def tokens_that_work() -> QuerySet[ApiToken]:
    """Those that were not revoked, whose last day is not over, and whose user is active."""
    lasts = Q(expires_on=None) | Q(expires_on__gte=timezone.localdate())
    return ApiToken.objects.filter(lasts, revoked_at=None, user__is_active=True)


def find_token(secret: str) -> ApiToken | None:
    """The token, if it works; notes that it was used."""
    found = tokens_that_work().select_related("user").filter(digest=digest_of(secret))
    token = found.first()
    now = timezone.now()
    if token and (token.last_used_at is None or token.last_used_at < now - USED_EVERY):
        try:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        except DatabaseError as error:  # somebody writes for long; the call matters more
            log.warning("the use of a token was not noted: %s", error)
    return token


def revoke_tokens(tokens: QuerySet[ApiToken], *, by: Any = None) -> int:
    """Let these tokens be refused from now on; returns how many were not before."""
    revoked = 0
    for token in tokens.filter(revoked_at=None).select_related("user"):
        with transaction.atomic():
            now = timezone.now()
            if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now) == 1:
                note(AuditAction.TOKEN_REVOKED, by=by, **_told(token))
                revoked += 1
    return revoked
