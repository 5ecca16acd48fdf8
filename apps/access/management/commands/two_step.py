"""manage.py two_step: list who has two-step log-in; turn it off for who lost phone and codes."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from apps.access.two_step import turn_off_two_step


class Command(BaseCommand):
    help = "List who has two-step log-in; reset USER turns it off, so that the password is enough."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action")
        resetting = actions.add_parser("reset", help="for who lost both the app and the codes")
        resetting.add_argument("user")

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects
        if options["action"] != "reset":
            having = users.filter(totpdevice__confirmed=True).order_by("username").distinct()
            for user in having:
                self.stdout.write(user.get_username())
            return
        name = options["user"]
        found = users.filter(username=name).first()
        if found is None:
            raise CommandError(f"There is no user {name}.")
        if not turn_off_two_step(user=found, by=None):
            raise CommandError(f"{name} has no two-step log-in; the password is enough.")
        self.stdout.write(f"{name} logs in by the password alone now, and can set it up again.")
