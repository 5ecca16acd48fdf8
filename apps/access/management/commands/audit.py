"""manage.py audit: the audit log as CSV."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand

from apps.access.audit import csv_lines
from apps.access.models import AuditEvent


class Command(BaseCommand):
    help = "Write the audit log (log-ins, tokens, consent, audiences, voices) as CSV."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since", type=date.fromisoformat, metavar="YYYY-MM-DD", help="this day and later"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        events = AuditEvent.objects.all()
        if options["since"]:
            events = events.filter(at__date__gte=options["since"])
        for line in csv_lines(events):
            self.stdout.write(line, ending="")
