"""The search form: a clip, how many hits, a stretch, and filters."""

from datetime import datetime, time
from typing import Any

from django import forms
from django.utils import timezone

from apps.catalog.models import Collection, Kind
from apps.catalog.selectors import visible_collections
from apps.catalog.services.tags import clean_tags
from apps.search.answerers import askable_by
from apps.search.results import SearchSettings


def _date() -> forms.DateField:
    return forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))


def _seconds(label: str) -> forms.FloatField:
    widget = forms.NumberInput(attrs={"min": 0, "step": "0.1", "inputmode": "decimal"})
    return forms.FloatField(required=False, min_value=0, label=label, widget=widget)


class SettingsForm(forms.Form):
    """Times are in seconds here, and in milliseconds everywhere else.

    first: the answer that the page waits for and shows first; what may not be asked is left out.
    """

    top_k = forms.IntegerField(min_value=1, max_value=100, initial=10, label="How many")
    start_s = _seconds("From second")
    end_s = _seconds("To second")
    collections = forms.ModelMultipleChoiceField(
        Collection.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    kinds = forms.MultipleChoiceField(
        choices=Kind.choices, required=False, widget=forms.CheckboxSelectMultiple, label="Kind"
    )
    tags = forms.CharField(
        required=False,
        help_text="All of these, separated by commas",
        widget=forms.TextInput(attrs={"list": "all-tags"}),
    )
    min_s = _seconds("At least, in seconds")
    max_s = _seconds("At most, in seconds")
    added_from = _date()
    added_to = _date()
    include_enrolments = forms.BooleanField(
        required=False, label="Recordings, too, that were added to enrol a speaker"
    )
    first = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by
        field: Any = self.fields["collections"]
        field.queryset = visible_collections(by)

    def clean_first(self) -> str:
        first: str = self.cleaned_data["first"]
        return first if first in askable_by(self.by) else ""

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        start, end = data.get("start_s"), data.get("end_s")
        if end is not None and end <= (start or 0):
            self.add_error("end_s", "The stretch must end after it begins.")
        return data

    def settings(self) -> SearchSettings:
        """The validated form as the services take it."""
        data = self.cleaned_data
        return SearchSettings(
            top_k=data["top_k"],
            start_ms=_ms(data["start_s"]),
            end_ms=_ms(data["end_s"]),
            collections=tuple(collection.pk for collection in data["collections"]),
            kinds=tuple(data["kinds"]),
            tags=tuple(clean_tags([data["tags"]])),
            min_duration_ms=_ms(data["min_s"]),
            max_duration_ms=_ms(data["max_s"]),
            added_from=_at(data["added_from"], time.min),
            added_to=_at(data["added_to"], time.max),
            include_enrolments=data["include_enrolments"],
        )

    def kept(self) -> dict[str, Any]:
        """What was asked, as the form shows it again."""
        data = dict(self.cleaned_data)
        data["collections"] = [collection.pk for collection in data["collections"]]
        for name in ("added_from", "added_to"):
            data[name] = data[name].isoformat() if data[name] else None
        return {
            name: value
            for name, value in data.items()
            if value not in (None, "", []) and value is not False
        }


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _at(date: Any, moment: time) -> datetime | None:
    return datetime.combine(date, moment, timezone.get_current_timezone()) if date else None
