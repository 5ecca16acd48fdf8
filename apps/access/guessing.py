"""How many failed log-ins are too many: of a name from an address, of an address, of a name."""

from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest


class GuessingHandler(AxesDatabaseHandler):
    """Counts as django-axes does, with a limit for each of AXES_LOCKOUT_PARAMETERS."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """The failures that are nearest to their limit, as if that were AXES_FAILURE_LIMIT."""
        counted = self.get_user_attempts(request, credentials)
        sums = [of.aggregate(sum=Sum("failures_since_start"))["sum"] or 0 for of in counted]
        limits = settings.LOG_IN_FAILURE_LIMITS
        return int(
            max(
                s * settings.AXES_FAILURE_LIMIT // most
                for s, most in zip(sums, limits, strict=True)
            )
        )

    def reset_user_attempts(
        self, request: HttpRequest, credentials: dict[str, Any] | None = None
    ) -> int:
        """A success forgives its name at its address alone, not what else was tried from there."""
        return int(self.get_user_attempts(request, credentials)[0].delete()[0])
