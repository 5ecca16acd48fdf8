"""manage.py tokens: list the tokens of the API, make one, revoke one."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from apps.access.models import ApiToken, Scope
from apps.access.tokens import issue_token, revoke_tokens


class Command(BaseCommand):
    help = "List the API's tokens; create USER makes one; revoke PREFIX ends one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action")
        creating = actions.add_parser("create", help="make a token; it is printed once")
        creating.add_argument("user")
        creating.add_argument("--name", default="command line", help="what it is for")
        creating.add_argument(
            "--scopes", nargs="+", choices=Scope.values, default=[Scope.READ], metavar="SCOPE"
        )
        creating.add_argument(
            "--until", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the last day it works"
        )
        revoking = actions.add_parser("revoke", help="refuse a token from now on")
        revoking.add_argument("prefix", help="how it begins; write -- before one with a dash")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "create":
            self._create(options)
        elif options["action"] == "revoke":
            count = revoke_tokens(ApiToken.objects.filter(prefix=options["prefix"]))
            if not count:
                raise CommandError(f"No token in use begins with {options['prefix']}.")
            self.stdout.write(f"{count} revoked.")
        else:
            self._list()

    def _create(self, options: dict[str, Any]) -> None:
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}.")
        secret = issue_token(
            user=user, name=options["name"], scopes=options["scopes"], expires_on=options["until"]
        )
        self.stdout.write(secret)

    def _list(self) -> None:
        self.stdout.write(
            f"{'BEGINS':<10}{'USER':<16}{'SCOPES':<20}{'LAST USED':<18}{'UNTIL':<12}NAME"
        )
        for one in ApiToken.objects.select_related("user"):
            used = f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never"
            until = one.expires_on.isoformat() if one.expires_on else "no end"
            self.stdout.write(
                f"{one.prefix:<10}{one.user.get_username():<16}{','.join(one.scopes):<20}"
                f"{'revoked' if one.revoked_at else used:<18}{until:<12}{one.name}"
            )
