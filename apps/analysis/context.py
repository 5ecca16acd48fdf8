"""What every page knows of the analyzers. `./manage` is manage.py in the environment of ./run."""

from typing import Any

from django.http import HttpRequest

from apps.analysis.spaces import active_space, analyzer_state


def model_notice(request: HttpRequest) -> dict[str, Any]:
    """A plain word when PANNs is not at work; asked for only by a page that shows it."""
    return {"model_notice": _model_notice}


def _model_notice() -> str:
    if active_space().analyzer == "panns_cnn14":
        return ""
    if analyzer_state("panns_cnn14") == "ready":
        return "PANNs is here but not in use; to switch to it: ./manage models use panns_cnn14"
    return (
        "The built-in encoder is listening; PANNs finds more. To fetch it and switch to it: "
        "./manage models pull panns_cnn14 --use"
    )
