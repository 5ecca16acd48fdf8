from django.apps import AppConfig
from django.conf import settings

from audiosearch.engine.analyzers.registry import add_trained


class VoicesConfig(AppConfig):
    name = "apps.voices"

    def ready(self) -> None:
        """Encoders that were trained here are known by name; the settings are checked."""
        from apps.voices import checks  # noqa: F401 - registers itself

        add_trained(settings.MODELS_DIR)
