"""Forms of the admin console, and who may do what there."""

from pathlib import Path
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from apps.access.permissions import may_curate
from apps.catalog.models import MAX_NAME, TEXT_FIELDS, Collection, Kind, Tag, Track
from apps.catalog.services.adding import add_track
from apps.catalog.services.tags import clean_tags
from apps.catalog.words import nfc
from audiosearch.engine.errors import EngineError


class NewTrackForm(forms.ModelForm):
    """Adding: a file, and what is known of it."""

    by: Any
    """Who adds; set by the console."""
    file = forms.FileField(help_text="Checked before it is added; the same bytes are added once")

    class Meta:
        model = Track
        fields = ["file", "title", "artist", "album", "description", "kind", "collection", "tags"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["title"].required = False
        self.fields["kind"] = forms.ChoiceField(
            choices=[("", "Tell by the file's own tags"), *Kind.choices], required=False
        )

    def clean(self) -> dict[str, Any]:
        """Add the track here, where what is wrong with its file can still be shown."""
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        try:
            self.added = add_track(
                source=Path(data["file"].temporary_file_path()),
                name=data["file"].name,
                added_by=self.by,
                fields={key: data.get(key, "") for key in TEXT_FIELDS},
                kind=data["kind"],
                collection=data["collection"],
                tags=[tag.name for tag in data["tags"]],
            )
        except EngineError as error:
            raise forms.ValidationError({"file": str(error)}) from error
        return data

    def save(self, commit: bool = True) -> Track:
        return self.added.track

    def save_m2m(self) -> None:
        """The tags are there already."""


class MoveForm(forms.Form):
    collection = forms.ModelChoiceField(
        Collection.objects.all(), required=False, empty_label="No collection"
    )


class TagsForm(forms.Form):
    tags = forms.CharField(help_text="Separated by commas")


class TagForm(forms.ModelForm):
    """A tag, kept as tags are kept everywhere: trimmed and in lower case."""

    class Meta:
        model = Tag
        fields = ["name"]

    def clean_name(self) -> str:
        names = clean_tags([self.cleaned_data["name"]])
        if not names:
            raise forms.ValidationError("Write a word.")
        return names[0]


class NamedCollectionForm(forms.ModelForm):
    """A collection whose name is compared with the others as it is kept."""

    class Meta:
        model = Collection
        fields = ["name", "description", "audience"]

    def clean_name(self) -> str:
        return nfc(self.cleaned_data["name"], MAX_NAME)


class CuratedAdmin(admin.ModelAdmin):
    """Staff curate: who may enter the console may do everything in the catalogue."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_curate(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_curate(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_curate(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_curate(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_curate(request.user)


class ReadOnlyAdmin(CuratedAdmin):
    """Staff read; nobody changes it here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
