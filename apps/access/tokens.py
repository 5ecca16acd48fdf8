"""Making, finding and revoking tokens."""

import hashlib
import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from apps.access.models import ApiToken, Scope

log = logging.getLogger(__name__)
PREFIX = 8
USED_EVERY = timedelta(minutes=1)


def issue_token(*, user: Any, name: str, scopes: Sequence[str] = Scope.values) -> str:
    """A new token of a user; it can be read here, and never again."""
    secret = new_secret()
    keep_token(user=user, name=name, scopes=scopes, secret=secret)
    return secret


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def keep_token(*, user: Any, name: str, scopes: Sequence[str], secret: str) -> ApiToken:
    """Know a token by its digest. Raises ValueError for a scope that is none."""
    unknown = set(scopes) - set(Scope.values)
    if unknown or not scopes:
        raise ValueError(f"A token has one or more of the scopes {', '.join(Scope.values)}.")
    return ApiToken.objects.create(
        user=user,
        name=name,
        digest=digest_of(secret),
        prefix=secret[:PREFIX],
        scopes=sorted(scopes),
    )


def digest_of(secret: str) -> str:
    """Of random tokens a plain digest is enough: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find_token(secret: str) -> ApiToken | None:
    """The token, unless it was revoked or its user is not active; notes that it was used."""
    token = (
        ApiToken.objects.select_related("user")
        .filter(digest=digest_of(secret), revoked_at=None, user__is_active=True)
        .first()
    )
    now = timezone.now()
    if token and (token.last_used_at is None or token.last_used_at < now - USED_EVERY):
        try:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        except DatabaseError as error:  # somebody writes for long; the call matters more
            log.warning("the use of a token was not noted: %s", error)
    return token


def revoke_tokens(tokens: Any) -> int:
    """Let these tokens (a query) be refused from now on; returns how many."""
    return int(tokens.filter(revoked_at=None).update(revoked_at=timezone.now()))
