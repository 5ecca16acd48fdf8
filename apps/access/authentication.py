"""Who calls the API, by a token in the header, and what the token lets them do."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from apps.access.models import ApiToken, Scope
from apps.access.tokens import find_token

WORDS = ("token", "bearer")


class ApiTokenAuthentication(BaseAuthentication):
    """`Authorization: Token …`. The scope is looked at here, so that no view can forget it."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        secret = sent_token(request)
        if secret is None:
            return None
        token = find_token(secret)
        if token is None:
            raise AuthenticationFailed(
                "This token is not known, was revoked, or its last day is over; make another one."
            )
        scope = needed_scope(request)
        if scope not in token.scopes:
            raise PermissionDenied(f"This token lacks the scope “{scope}”.")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Token"


def sent_token(request: Any) -> str | None:
    """The token in a request's header, not looked at yet; None if there is none."""
    word, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if word.lower() in WORDS else None


def needed_scope(request: Request) -> Scope:
    """What a token must be made for to do this: the view's `token_scope`, else by the method."""
    declared: Scope | None = getattr(request.parser_context["view"], "token_scope", None)
    return declared or (Scope.READ if request.method in SAFE_METHODS else Scope.WRITE)


def has_scope(request: Request, scope: Scope) -> bool:
    """Whether this caller may do what is of a scope besides the view's own; sessions may do all."""
    return not isinstance(request.auth, ApiToken) or scope in request.auth.scopes


class TokenScheme(OpenApiAuthenticationExtension):
    """How the schema tells of it."""

    target_class = ApiTokenAuthentication
    name = "tokenAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return dict(
            build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Token")  # noqa: S106
        )
