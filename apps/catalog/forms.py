"""Forms of the catalogue's pages."""

from typing import Any

from django import forms

from apps.catalog.models import Collection, Kind, State, Track


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class AddForm(forms.Form):
    """What applies to all files that are added together; the files themselves are read apart."""

    collection = forms.ModelChoiceField(
        Collection.objects.all(), required=False, empty_label="No collection"
    )
    new_collection = forms.CharField(
        max_length=200, required=False, label="… or a new collection named"
    )
    tags = forms.CharField(required=False, help_text="Separated by commas")
    kind = forms.ChoiceField(
        choices=[("", "Tell by the file’s own tags"), *Kind.choices], required=False
    )

    def chosen_collection(self) -> Collection | None:
        name = self.cleaned_data["new_collection"].strip()
        if name:
            return Collection.objects.get_or_create(name=name)[0]
        chosen: Collection | None = self.cleaned_data["collection"]
        return chosen

    def tag_list(self) -> list[str]:
        return split_tags(self.cleaned_data["tags"])


class TrackForm(forms.Form):
    """What a person may change on a track."""

    title = forms.CharField(max_length=300)
    artist = forms.CharField(max_length=300, required=False)
    album = forms.CharField(max_length=300, required=False)
    description = forms.CharField(
        max_length=20000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    kind = forms.ChoiceField(choices=Kind.choices)
    collection = forms.ModelChoiceField(
        Collection.objects.all(), required=False, empty_label="No collection"
    )
    tags = forms.CharField(required=False, help_text="Separated by commas")

    @classmethod
    def of(cls, track: Track, data: Any = None) -> "TrackForm":
        fields = ("title", "artist", "album", "description", "kind", "collection")
        initial = {name: getattr(track, name) for name in fields}
        initial["tags"] = ", ".join(tag.name for tag in track.tags.all())
        return cls(data, initial=initial)

    def changes(self) -> dict[str, Any]:
        """The fields that differ from what they were, tags apart."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "tags"}

    def tag_list(self) -> list[str] | None:
        return split_tags(self.cleaned_data["tags"]) if "tags" in self.changed_data else None


class LibraryForm(forms.Form):
    """Words, filters and order of the library."""

    SORTS = (
        ("-added_at", "Newest first"),
        ("added_at", "Oldest first"),
        ("title", "Title"),
        ("duration_ms", "Shortest first"),
        ("-duration_ms", "Longest first"),
    )
    q = forms.CharField(required=False, label="Words", widget=forms.SearchInput())
    collection = forms.ModelChoiceField(
        Collection.objects.all(), required=False, empty_label="Any collection"
    )
    kind = forms.ChoiceField(choices=[("", "Any kind"), *Kind.choices], required=False)
    tag = forms.CharField(required=False, widget=forms.TextInput(attrs={"list": "all-tags"}))
    state = forms.ChoiceField(choices=[("", "Any state"), *State.choices], required=False)
    sort = forms.ChoiceField(choices=SORTS, required=False)


class BulkForm(forms.Form):
    """One action on the tracks ticked in the library."""

    ACTIONS = (("move", "Move to collection"), ("tag", "Add tags"), ("delete", "Delete"))
    action = forms.ChoiceField(choices=ACTIONS)
    track = forms.ModelMultipleChoiceField(Track.objects.all())
    collection = forms.ModelChoiceField(
        Collection.objects.all(), required=False, empty_label="No collection"
    )
    tags = forms.CharField(required=False)
    confirmed = forms.BooleanField(required=False)


def split_tags(text: str) -> list[str]:
    """The tags in a comma-separated text."""
    return [tag for tag in text.split(",") if tag.strip()]
