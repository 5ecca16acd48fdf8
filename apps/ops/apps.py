from django.apps import AppConfig


class OpsConfig(AppConfig):
    """Running the service: it has no tables, only settings that can be wrong."""

    name = "apps.ops"
    verbose_name = "Operations"

    def ready(self) -> None:
        from apps.ops import checks, metrics  # noqa: F401 - they register themselves
