"""The form of a scan: a recording, and what of the catalogue it is compared with."""

from typing import Any

from django import forms

from apps.catalog.models import Collection
from apps.catalog.selectors import visible_collections
from apps.search.results import SearchSettings


class ScanForm(forms.Form):
    collections = forms.ModelMultipleChoiceField(
        Collection.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["collections"]
        field.queryset = visible_collections(by)

    def settings(self) -> SearchSettings:
        """The validated form as the services take it."""
        chosen = self.cleaned_data["collections"]
        return SearchSettings(collections=tuple(collection.pk for collection in chosen))
