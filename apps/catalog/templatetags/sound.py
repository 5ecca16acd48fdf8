"""How the pages write what is measured."""

from django import template

register = template.Library()


@register.filter
def clock(milliseconds: int | None) -> str:
    """Milliseconds as m:ss.t, and from an hour on as h:mm:ss."""
    seconds, tenth = divmod(round((milliseconds or 0) / 100), 10)
    return _clock(seconds) if seconds >= 3600 else f"{_clock(seconds)}.{tenth}"


@register.filter
def whole_clock(milliseconds: int | None) -> str:
    """Milliseconds as m:ss, of whole seconds, and from an hour on as h:mm:ss."""
    return _clock(round((milliseconds or 0) / 1000))


def _clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


@register.filter
def unlocalized(value: object) -> str:
    """A number as HTML attributes want it, with a point."""
    return str(value).replace(",", ".")


@register.filter
def percent(rate: float) -> str:
    """A share as a percentage with two digits that say something."""
    percent = rate * 100
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.2g} %"


@register.filter
def likely(probability: float) -> str:
    """A probability in whole percent, which never says that anything is certain."""
    if probability > 0.99:
        return "over 99 %"
    return "under 1 %" if probability < 0.01 else f"{probability * 100:.0f} %"
