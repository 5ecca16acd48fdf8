"""Forms of the catalogue's pages."""

from typing import Any

from django import forms

from apps.catalog.models import Collection, Kind, Track
from apps.catalog.selectors import visible_collections, visible_tracks
from apps.catalog.services.collections import get_or_create_collection


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class CollectionForm(forms.Form):
    """Offers the collections that its user sees."""

    collection = forms.ModelChoiceField(
        Collection.objects.none(), required=False, empty_label="No collection"
    )

    def __init__(self, *args: Any, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by
        field: Any = self.fields["collection"]
        field.queryset = visible_collections(by)


class AddForm(CollectionForm):
    """What applies to all files that are added together; the files themselves are read apart."""

    new_collection = forms.CharField(
        max_length=200, required=False, label="… or a new collection named"
    )
    tags = forms.CharField(required=False, help_text="Separated by commas")
    kind = forms.ChoiceField(
        choices=[("", "Tell by the file’s own tags"), *Kind.choices], required=False
    )

    def chosen_collection(self) -> Collection | None:
        """What was chosen, made if it is new. Raises Conflict."""
        name = self.cleaned_data["new_collection"].strip()
        if name:
            return get_or_create_collection(name, by=self.by)
        chosen: Collection | None = self.cleaned_data["collection"]
        return chosen

    def tag_list(self) -> list[str]:
        return split_tags(self.cleaned_data["tags"])


class TrackForm(CollectionForm):
    """What a person may change on a track."""

    field_order = ["title", "artist", "album", "description", "kind", "collection", "tags"]
    title = forms.CharField(max_length=300)
    artist = forms.CharField(max_length=300, required=False)
    album = forms.CharField(max_length=300, required=False)
    description = forms.CharField(
        max_length=20000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    kind = forms.ChoiceField(choices=Kind.choices)
    tags = forms.CharField(required=False, help_text="Separated by commas")

    @classmethod
    def of(cls, track: Track, data: Any = None, *, by: Any) -> "TrackForm":
        fields = ("title", "artist", "album", "description", "kind", "collection")
        initial = {name: getattr(track, name) for name in fields}
        initial["tags"] = ", ".join(tag.name for tag in track.tags.all())
        return cls(data, initial=initial, by=by)

    def changes(self) -> dict[str, Any]:
        """The fields that differ from what they were, tags apart."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "tags"}

    def tag_list(self) -> list[str] | None:
        return split_tags(self.cleaned_data["tags"]) if "tags" in self.changed_data else None


class BulkForm(CollectionForm):
    """One action on the tracks ticked in the library."""

    ACTIONS = (("move", "Move to collection"), ("tag", "Add tags"), ("delete", "Delete"))
    action = forms.ChoiceField(choices=ACTIONS)
    track = forms.ModelMultipleChoiceField(Track.objects.none())
    tags = forms.CharField(required=False)
    confirmed = forms.BooleanField(required=False)

    def __init__(self, *args: Any, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, by=by, **kwargs)
        field: Any = self.fields["track"]
        field.queryset = visible_tracks(by)


def split_tags(text: str) -> list[str]:
    """The tags in a comma-separated text."""
    return [tag for tag in text.split(",") if tag.strip()]
