"""What every page knows. `./manage` is manage.py in the environment that ./run made."""

from typing import Any

from django.http import HttpRequest

from apps.access.permissions import may_add, may_curate, may_search
from apps.analysis.spaces import current_space, encoder_state


def catalogue(request: HttpRequest) -> dict[str, Any]:
    """The rights of the user, and a plain word when PANNs is not at work."""
    user = getattr(request, "user", None)
    if user is None:
        return {}
    return {
        "may_search": may_search(user),
        "may_add": may_add(user),
        "may_curate": may_curate(user),
        "model_notice": _model_notice,
    }


def _model_notice() -> str:
    """What a person should know about the encoder in use; empty when PANNs serves."""
    if current_space().encoder == "panns_cnn14":
        return ""
    if encoder_state("panns_cnn14") == "ready":
        return "PANNs is here but not in use; to switch to it: ./manage models use panns_cnn14"
    return (
        "The built-in encoder is listening; PANNs finds more. To fetch it and switch to it: "
        "./manage models pull panns_cnn14 --use"
    )
