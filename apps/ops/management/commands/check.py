"""manage.py check: Django's own, which also says what keeps decoders in."""

from typing import Any

from django.core.management.commands import check

from apps.ops.protections import decoder_protections


class Command(check.Command):
    def handle(self, *app_labels: Any, **options: Any) -> None:
        super().handle(*app_labels, **options)
        if not options["list_tags"]:
            self.stdout.write(decoder_protections())
