"""The forms of the voices' pages."""

from typing import Any

from django import forms

from apps.access.permissions import may_curate
from apps.catalog.models import Collection
from apps.catalog.selectors import visible_collections, visible_speakers
from apps.catalog.services.tags import clean_tags
from apps.voices.enrolling import usual_collection
from apps.voices.erasing import Recordings
from apps.voices.models import Speaker
from apps.voices.permissions import GROUPS_ARE_FOR_CURATORS


class SpeakerForm(forms.ModelForm):
    """A speaker's name, groups and consent."""

    groups = forms.CharField(required=False, help_text="Separated by commas")

    class Meta:
        model = Speaker
        fields = [
            "name",
            "external_id",
            "groups",
            "notes",
            "consent_by",
            "consent_on",
            "consent_until",
        ]
        widgets = {
            "consent_on": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "consent_until": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "notes": forms.Textarea(attrs={"rows": 2}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["groups"] = ", ".join(self.instance.groups)

    def clean_groups(self) -> list[str]:
        return clean_tags([self.cleaned_data["groups"]])

    def clean_external_id(self) -> str | None:
        return self.cleaned_data["external_id"] or None

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        begin, end = data.get("consent_on"), data.get("consent_until")
        if begin and end and end < begin:
            self.add_error("consent_until", "The consent ends before it begins.")
        return data


class EnrolForm(forms.Form):
    """Where a recording of a speaker goes; a post that leaves it out goes where it usually does."""

    collection = forms.ModelChoiceField(
        Collection.objects.none(),
        required=False,
        empty_label="No collection: everybody who may search",
        help_text="Who may know of it may know of the speaker",
    )

    def __init__(self, *args: Any, speaker: Speaker, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["collection"]
        field.queryset = visible_collections(by)
        self.usual = usual_collection(speaker)
        self.initial["collection"] = self.usual

    def clean_collection(self) -> Collection | None:
        chosen: Collection | None = self.cleaned_data["collection"]
        return chosen if self.add_prefix("collection") in self.data else self.usual


class IdentifyForm(forms.Form):
    clip = forms.FileField(allow_empty_file=True)
    group = forms.CharField(required=False, max_length=100, label="Only in this group")

    def __init__(self, *args: Any, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by

    def clean_group(self) -> str:
        name = (clean_tags([self.cleaned_data["group"]]) or [""])[0]
        if name and not may_curate(self.by):
            raise forms.ValidationError(GROUPS_ARE_FOR_CURATORS)
        return name


class CompareForm(forms.Form):
    """A clip, and either a speaker or another clip."""

    clip = forms.FileField(allow_empty_file=True)
    speaker = forms.ModelChoiceField(
        Speaker.objects.none(),
        required=False,
        empty_label="another clip",
        label="Compare with",
    )
    other = forms.FileField(required=False, allow_empty_file=True)

    def __init__(self, *args: Any, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["speaker"]
        field.queryset = visible_speakers(by).filter(enrolments__isnull=False).distinct()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not data.get("speaker") and not data.get("other"):
            raise forms.ValidationError("Choose a speaker, or a second clip, to compare with.")
        return data


class EraseForm(forms.Form):
    """What becomes of the recordings; deleted unless somebody chooses to keep them."""

    recordings = forms.ChoiceField(
        choices=Recordings.choices,
        initial=Recordings.DELETE,
        required=False,
        widget=forms.RadioSelect,
        label="The enrolled recordings",
    )

    def clean_recordings(self) -> Recordings:
        return Recordings(self.cleaned_data["recordings"] or Recordings.DELETE)
