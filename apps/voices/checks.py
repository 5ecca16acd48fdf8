"""What can be wrong with the settings of the voices."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from audiosearch.engine.analyzers.registry import analyzer_names


@register
def voice_encoder_is_one(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """VOICE_ENCODER names an encoder that hears voices."""
    voices = analyzer_names("speaker")
    if settings.VOICE_ENCODER in voices:
        return []
    return [
        Error(
            f'VOICE_ENCODER is "{settings.VOICE_ENCODER}", which is no encoder of voices.',
            hint=f"Choose one of {', '.join(voices)}.",
            id="voices.E001",
        )
    ]
