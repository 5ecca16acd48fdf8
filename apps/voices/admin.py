"""Speakers and thresholds in the admin console."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.catalog.admin import CountedAdmin
from apps.catalog.admin_forms import ReadOnlyAdmin
from apps.voices.erasing import Recordings, erase_speaker, what_is_erased
from apps.voices.forms import EraseForm, SpeakerForm
from apps.voices.models import OperatingPoint, Speaker
from apps.voices.speakers import save_speaker
from audiosearch.engine.errors import IndexUnavailable


@admin.register(Speaker)
class SpeakerAdmin(CountedAdmin):
    """Deleting a speaker erases the voice: recordings, vectors and name."""

    form = SpeakerForm
    list_display = ["name", "external_id", "groups", "consent_until", "tracks"]
    search_fields = ["name", "external_id"]
    lookup = "speaker__id__exact"
    actions = ["erase"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        save_speaker(speaker=obj, changed=form.changed_data, by=request.user)

    @admin.action(description="Erase, and choose what becomes of their recordings …")
    def erase(self, request: HttpRequest, queryset: QuerySet[Speaker]) -> HttpResponse | None:
        form = EraseForm(request.POST if "apply" in request.POST else None)
        if form.is_valid():
            self._erase(request, queryset, form.cleaned_data["recordings"])
            return None
        context = {
            **admin.site.each_context(request),
            "title": "Erase speakers",
            "chosen": [(speaker, what_is_erased(speaker)) for speaker in queryset],
            "form": form,
            "opts": self.model._meta,
        }
        return render(request, "admin/voices/erase_speakers.html", context)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Speaker]) -> None:
        self._erase(request, queryset, Recordings.DELETE)

    def _erase(
        self, request: HttpRequest, speakers: QuerySet[Speaker], recordings: Recordings
    ) -> None:
        for speaker in speakers:
            try:
                erase_speaker(speaker=speaker, by=request.user, recordings=recordings)
            except IndexUnavailable:
                messages.error(
                    request, f"{speaker} was not erased: the vector index does not answer. Retry."
                )


@admin.register(OperatingPoint)
class OperatingPointAdmin(ReadOnlyAdmin):
    list_display = ["space", "source", "far_target", "in_force", "created_at"]
