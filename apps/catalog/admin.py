"""The admin console of the catalogue; every change goes through the services."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Model, QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.access.permissions import may_curate
from apps.access.uploads import takes_files
from apps.catalog.admin_forms import (
    CuratedAdmin,
    MoveForm,
    NamedCollectionForm,
    NewTrackForm,
    TagForm,
    TagsForm,
)
from apps.catalog.filters import console_filter
from apps.catalog.forms import split_tags
from apps.catalog.models import TEXT_FIELDS, Collection, Tag, Track
from apps.catalog.quotas import refuse_upload
from apps.catalog.selectors import listed_tracks, with_name_like, with_words
from apps.catalog.services.collections import save_collection
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.editing import EDITABLE, delete_collection, edit_track, edit_tracks
from apps.catalog.services.tags import delete_tags, rename_tag, save_new_tag
from apps.catalog.templatetags.sound import clock
from audiosearch.engine.errors import Conflict

FILE_FIELDS = (
    "original_name",
    "format",
    "length",
    "sample_rate",
    "channels",
    "size_bytes",
    "sha256",
    "edited_fields",
    "for_enrolment",
    "added_by",
    "added_at",
)

admin.site.site_header = "audiosearch"
admin.site.site_title = "audiosearch"
admin.site.index_title = "Curate the catalogue"


class TrackAdmin(CuratedAdmin):
    """Registered by the analysis, which adds how far each track is."""

    list_display = ["named", "player", "kind", "collection", "length", "tag_list"]
    list_filter = [*(console_filter(name) for name in ("state", "kind", "collection")), "tags"]
    search_fields = TEXT_FIELDS
    list_per_page = 50
    show_full_result_count = False
    autocomplete_fields = ["collection", "tags", "speaker"]
    actions = ["move", "add_tags", "remove_tags"]
    fieldsets = [
        (None, {"fields": ["large_player", *EDITABLE, "tags"]}),
        ("Heard", {"fields": ["heard"]}),
        (
            "File",
            {"fields": FILE_FIELDS},
        ),
    ]

    class Media:
        css = {"all": ["css/pages.css", "css/admin.css"]}
        js = [Script("js/main.js", type="module")]

    @takes_files(may_curate, refuse_upload)
    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().add_view(request, *args, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Track]:
        return listed_tracks(request.user)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Track], search_term: str
    ) -> tuple[QuerySet[Track], bool]:
        return with_words(queryset, search_term), False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            super().get_fieldsets(request, obj)
            if obj
            else [(None, {"fields": NewTrackForm.Meta.fields})]
        )

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        if obj:
            return super().get_form(request, obj, change, **kw)
        return type("NewTrackForm", (NewTrackForm,), {"by": request.user})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["large_player", "heard", *FILE_FIELDS] if obj else []

    @admin.display(description="title", ordering="sort_key")
    def named(self, track: Track) -> str:
        return track.title

    @admin.display(description="Listen")
    def player(self, track: Track) -> SafeString:
        return render_to_string(
            "_player.html",
            {
                "src": reverse("api-track-audio", args=[track.pk]),
                "peaks": reverse("api-track-peaks", args=[track.pk]),
                "label": track.title,
                "duration_ms": track.duration_ms,
            },
        )

    @admin.display(description="Listen")
    def large_player(self, track: Track) -> SafeString:
        return format_html('<div class="large">{}</div>', self.player(track))

    @admin.display(ordering="duration_ms")
    def length(self, track: Track) -> str:
        return clock(track.duration_ms)

    @admin.display(description="tags")
    def tag_list(self, track: Track) -> str:
        return ", ".join(tag.name for tag in track.tags.all())

    @admin.display(description="auto-tags")
    def heard(self, track: Track) -> str:
        return ", ".join(f"{tag['name']} ({tag['probability']:.2f})" for tag in track.auto_tags)

    def save_model(self, request: HttpRequest, obj: Track, form: Any, change: bool) -> None:
        if not change:
            if not form.added.created:
                messages.warning(request, "These bytes were there already, as the track below.")
            return
        fields = [name for name in form.changed_data if name in EDITABLE]
        tags = form.cleaned_data["tags"] if "tags" in form.changed_data else None
        changes = {name: form.cleaned_data[name] for name in fields}
        try:
            edit_track(
                track=Track.objects.get(pk=obj.pk),
                changes=changes,
                tags=None if tags is None else [tag.name for tag in tags],
                by=request.user,
            )
        except Conflict as error:
            messages.error(request, str(error))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Tags were saved with the track, so that the index follows once."""

    def delete_model(self, request: HttpRequest, obj: Track) -> None:
        delete_tracks([obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Track]) -> None:
        delete_tracks(queryset.values_list("pk", flat=True))

    @admin.action(description="Move to a collection …")
    def move(self, request: HttpRequest, queryset: QuerySet[Track]) -> HttpResponse | None:
        return self._ask(request, queryset, "move", "Move to a collection", MoveForm)

    @admin.action(description="Add tags …")
    def add_tags(self, request: HttpRequest, queryset: QuerySet[Track]) -> HttpResponse | None:
        return self._ask(request, queryset, "add_tags", "Add tags", TagsForm)

    @admin.action(description="Remove tags …")
    def remove_tags(self, request: HttpRequest, queryset: QuerySet[Track]) -> HttpResponse | None:
        return self._ask(request, queryset, "remove_tags", "Remove tags", TagsForm)

    def _ask(
        self, request: HttpRequest, queryset: QuerySet[Track], action: str, title: str, kind: Any
    ) -> HttpResponse | None:
        """A page between choosing an action and doing it, which asks what the action needs."""
        form = kind(request.POST if "apply" in request.POST else None)
        ids = list(queryset.values_list("pk", flat=True))
        if not form.is_valid():
            context = {
                **admin.site.each_context(request),
                "title": title,
                "action": action,
                "form": form,
                "ids": ids,
                "opts": self.model._meta,
            }
            return render(request, "admin/catalog/track_action.html", context)
        if action == "move":
            asked: Any = {"changes": {"collection": form.cleaned_data["collection"]}}
        else:
            asked = {action: split_tags(form.cleaned_data["tags"])}
        try:
            messages.success(
                request, f"{edit_tracks(track_ids=ids, by=request.user, **asked)} tracks changed."
            )
        except Conflict as error:
            messages.error(request, str(error))
        return None


class CountedAdmin(CuratedAdmin):
    """A list with the number of tracks of each, which leads to them."""

    lookup = ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(track_count=Count("tracks"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return with_name_like(queryset, search_term), False

    @admin.display(ordering="track_count", description="tracks")
    def tracks(self, obj: Any) -> SafeString:
        address = reverse("admin:catalog_track_changelist")
        link = f"{address}?{self.lookup}={obj.pk}"
        return format_html('<a href="{}">{}</a>', link, obj.track_count)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self.delete_queryset(request, type(obj)._default_manager.filter(pk=obj.pk))


@admin.register(Collection)
class CollectionAdmin(CountedAdmin):
    """Deleting a collection keeps its tracks."""

    form = NamedCollectionForm
    list_display = ["name", "audience", "tracks", "created_at"]
    list_filter = ["audience"]
    list_select_related = ["audience"]
    search_fields = ["name"]
    lookup = "collection"

    def save_model(self, request: HttpRequest, obj: Collection, form: Any, change: bool) -> None:
        try:
            save_collection(obj, form.changed_data, by=request.user)
        except Conflict as error:
            messages.error(request, f"Not saved. {error}")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Collection]) -> None:
        for collection in queryset:
            try:
                delete_collection(collection)
            except Conflict as error:
                messages.error(request, f"Not deleted. {error}")


@admin.register(Tag)
class TagAdmin(CountedAdmin):
    form = TagForm
    list_display = ["name", "tracks"]
    search_fields = ["name"]
    lookup = "tags__id__exact"

    def save_model(self, request: HttpRequest, obj: Tag, form: Any, change: bool) -> None:
        if not change:
            save_new_tag(obj)
        elif form.changed_data:
            rename_tag(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Tag]) -> None:
        delete_tags(queryset)
