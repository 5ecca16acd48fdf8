"""Speakers and thresholds in the admin console."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.catalog.admin import CountedAdmin
from apps.catalog.admin_forms import ReadOnlyAdmin
from apps.voices.audit import note_consent
from apps.voices.enrolling import erase_speaker
from apps.voices.forms import SpeakerForm
from apps.voices.holdings import speaker_changed
from apps.voices.models import OperatingPoint, Speaker
from audiosearch.engine.errors import IndexUnavailable


@admin.register(Speaker)
class SpeakerAdmin(CountedAdmin):
    """Deleting a speaker erases the voice: recordings, vectors and name."""

    form = SpeakerForm
    list_display = ["name", "external_id", "groups", "consent_until", "tracks"]
    search_fields = ["name", "external_id"]
    lookup = "speaker__id__exact"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.save()
        speaker_changed(obj, form.changed_data)
        note_consent(obj, form.changed_data, request.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Speaker]) -> None:
        for speaker in queryset:
            try:
                erase_speaker(speaker=speaker, by=request.user)
            except IndexUnavailable:
                messages.error(
                    request, f"{speaker} was not erased: the vector index does not answer. Retry."
                )


@admin.register(OperatingPoint)
class OperatingPointAdmin(ReadOnlyAdmin):
    list_display = ["space", "source", "far_target", "in_force", "created_at"]
