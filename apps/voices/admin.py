"""Speakers, thresholds and the audit log in the admin console."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.catalog.models import Speaker
from apps.voices.forms import SpeakerForm
from apps.voices.models import OperatingPoint, VoiceEvent
from apps.voices.services import erase_speaker
from apps.voices.voice_index import speaker_changed
from audiosearch.engine.errors import IndexUnavailable


@admin.register(Speaker)
class SpeakerAdmin(admin.ModelAdmin):
    """Deleting a speaker erases the voice: recordings, vectors and name."""

    form = SpeakerForm
    list_display = ["name", "external_id", "groups", "consent_until", "recordings"]
    search_fields = ["name", "external_id"]
    readonly_fields = ["recordings"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Speaker]:
        return super().get_queryset(request).annotate(recording_count=Count("tracks"))

    @admin.display(ordering="recording_count")
    def recordings(self, speaker: Any) -> SafeString:
        link = f"{reverse('admin:catalog_track_changelist')}?speaker__id__exact={speaker.pk}"
        return format_html('<a href="{}">{}</a>', link, getattr(speaker, "recording_count", 0))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change:
            speaker_changed(obj)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self.delete_queryset(request, Speaker.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Speaker]) -> None:
        for speaker in queryset:
            try:
                erase_speaker(speaker=speaker, by=request.user)
            except IndexUnavailable:
                messages.error(
                    request, f"{speaker} was not erased: the vector index does not answer. Retry."
                )


class ReadOnlyAdmin(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(OperatingPoint)
class OperatingPointAdmin(ReadOnlyAdmin):
    list_display = ["space", "source", "far_target", "in_force", "created_at"]


@admin.register(VoiceEvent)
class VoiceEventAdmin(ReadOnlyAdmin):
    """Who asked what about whom."""

    list_display = ["at", "action", "username", "speaker_number", "detail"]
    list_filter = ["action", "at"]
    search_fields = ["username", "speaker_number"]
