"""Which tracks a list shows: one FilterSet for the pages, the API and the admin console."""

from typing import Any

import django_filters
from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.catalog.models import Collection, Kind, Track
from apps.catalog.selectors import in_state, visible_collections, with_words
from apps.catalog.services.tags import clean_tags
from apps.jobs.models import State

SORTED_BY = {"added_at": "added_at", "sort_key": "title", "duration_ms": "duration_ms"}
"""The column, and what it is called in addresses."""


def _offered_collections(request: Any) -> QuerySet[Collection]:
    return visible_collections(request.user)


class TrackOrder(django_filters.OrderingFilter):
    """Equal ones follow as they were added, so that pages neither repeat nor lose any."""

    def __init__(self, **options: Any) -> None:
        super().__init__(fields=SORTED_BY, **options)

    def filter(self, qs: QuerySet[Track], value: Any) -> QuerySet[Track]:
        found: QuerySet[Track] = super().filter(qs, value)
        if not value:
            return found
        equal = "-id" if value[-1].startswith("-") else "id"
        return found.order_by(*found.query.order_by, equal)


class TrackFilterSet(django_filters.FilterSet):
    """Words, filters and order."""

    q = django_filters.CharFilter(method="words", label="Words in title, artist, album, tags …")
    collection = django_filters.ModelChoiceFilter(
        queryset=_offered_collections, empty_label="Any collection"
    )
    tag = django_filters.CharFilter(method="tagged", label="One tag")
    kind = django_filters.ChoiceFilter(choices=Kind.choices, empty_label="Any kind")
    state = django_filters.ChoiceFilter(
        choices=State.choices, method="with_state", label="State", empty_label="Any state"
    )
    added_from = django_filters.IsoDateTimeFilter("added_at", "gte")
    added_to = django_filters.IsoDateTimeFilter("added_at", "lte")
    sha256 = django_filters.CharFilter("sha256", "iexact")
    ordering: TrackOrder | None = TrackOrder()

    class Meta:
        model = Track
        fields = ["kind"]

    def words(self, tracks: QuerySet[Track], name: str, value: str) -> QuerySet[Track]:
        return with_words(tracks, value)

    def tagged(self, tracks: QuerySet[Track], name: str, value: str) -> QuerySet[Track]:
        return tracks.filter(tags__name__in=clean_tags([value]))

    def with_state(self, tracks: QuerySet[Track], name: str, value: str) -> QuerySet[Track]:
        return in_state(tracks, value)


class LibraryFilterSet(TrackFilterSet):
    """The same as a form of the library page, which calls the order `sort`."""

    q = django_filters.CharFilter(method="words", label="Words", widget=forms.SearchInput())
    tag = django_filters.CharFilter(
        method="tagged", label="Tag", widget=forms.TextInput(attrs={"list": "all-tags"})
    )
    sort = TrackOrder(
        choices=[
            ("-added_at", "Newest first"),
            ("added_at", "Oldest first"),
            ("title", "Title"),
            ("duration_ms", "Shortest first"),
            ("-duration_ms", "Longest first"),
        ],
        label="Sort",
        empty_label=None,
    )
    ordering = added_from = added_to = sha256 = None

    class Meta(TrackFilterSet.Meta):
        fields = ["q", "collection", "kind", "tag", "state", "sort"]


class ConsoleFilter(admin.SimpleListFilter):
    """One choice of the FilterSet beside a list of the admin console; see `console_filter`."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        field = TrackFilterSet(request=request).form.fields[self.parameter_name]
        return [(value, label) for value, label in field.choices if value != ""]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Track]) -> QuerySet[Track]:
        chosen = {self.parameter_name: self.value()}
        found: QuerySet[Track] = TrackFilterSet(chosen, queryset, request=request).qs
        return found


def console_filter(name: str) -> type[ConsoleFilter]:
    """The filter of this name for `list_filter`."""
    return type(f"{name.title()}Filter", (ConsoleFilter,), {"title": name, "parameter_name": name})
