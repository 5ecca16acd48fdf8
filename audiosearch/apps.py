from django.apps import AppConfig


class ServiceConfig(AppConfig):
    """The service as a whole: it has no tables, only settings that can be wrong."""

    name = "audiosearch"

    def ready(self) -> None:
        from audiosearch import checks  # noqa: F401 - registers itself
