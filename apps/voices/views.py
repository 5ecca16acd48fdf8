"""The voices' pages."""

from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.access.pages import allowed, require_page
from apps.access.permissions import may_curate
from apps.access.throttles import throttled
from apps.access.uploads import takes_files
from apps.catalog.models import Track
from apps.catalog.quotas import refuse_upload
from apps.catalog.selectors import seen_by, visible_speakers, visible_tracks
from apps.jobs.models import State
from apps.voices.diarizing import SpokenTurn, request_diarization, turns_of
from apps.voices.embedding import Voice, embed_voice, voice_space
from apps.voices.enrolling import enrol
from apps.voices.erasing import erase_speaker, unenrol, what_is_erased
from apps.voices.forms import CompareForm, EnrolForm, EraseForm, IdentifyForm, SpeakerForm
from apps.voices.measuring import apply_measurement, request_measurement
from apps.voices.models import Diarization, Enrolment, Measurement, OperatingPoint, Speaker
from apps.voices.permissions import may_recognise
from apps.voices.recognition import identify, verify_speaker, verify_voices
from apps.voices.speakers import save_speaker
from apps.voices.thresholds import point_in_force
from audiosearch.engine.errors import EngineError, ModelUnavailable
from audiosearch.web.errors import RETRY_AFTER_S, status_of

PAGE = 50
PLOTS = {
    "det": "False rejects against false accepts, the threshold falling",
    "thresholds": "Error rates, costs, precision, recall and F1 by threshold",
    "scores": "How often which score comes of one voice, and of two",
}


@require_safe
@allowed(may_recognise)
def voices(request: HttpRequest) -> HttpResponse:
    """Identify, compare, and all speakers; 50 a page."""
    return _page(request)


@takes_files(may_recognise)
@require_POST
@allowed(may_recognise)
@throttled
def identify_clip(request: HttpRequest) -> HttpResponse:
    """Who speaks in a clip."""
    form = IdentifyForm(request.POST, request.FILES, by=request.user)
    if not form.is_valid():
        return _refuse(request, _first_error(form), 400)
    try:
        voice = _voice(form.cleaned_data["clip"])
        found = identify(voice=voice, by=request.user, group=form.cleaned_data["group"])
    except EngineError as error:
        return _refuse(request, str(error), status_of(error))
    return _answer(request, {"identification": found})


@takes_files(may_recognise)
@require_POST
@allowed(may_recognise)
@throttled
def compare_clips(request: HttpRequest) -> HttpResponse:
    """One voice or two."""
    form = CompareForm(request.POST, request.FILES, by=request.user)
    if not form.is_valid():
        return _refuse(request, _first_error(form), 400)
    asked = form.cleaned_data
    try:
        voice = _voice(asked["clip"])
        if asked["speaker"]:
            verdict = verify_speaker(voice=voice, speaker=asked["speaker"], by=request.user)
        else:
            verdict = verify_voices(voice=voice, other=_voice(asked["other"]), by=request.user)
    except EngineError as error:
        return _refuse(request, str(error), status_of(error))
    return _answer(request, {"verdict": verdict, "claimed": asked["speaker"]})


@require_page
@allowed(may_curate)
def add_speaker(request: HttpRequest) -> HttpResponse:
    """A new speaker; recordings are enrolled on the page that follows."""
    form = SpeakerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        added = form.save(commit=False)
        save_speaker(speaker=added, changed=form.changed_data, by=request.user)
        return redirect("speaker", pk=added.pk)
    status = 400 if form.is_bound else 200
    return render(request, "voices/add_speaker.html", {"form": form}, status=status)


@require_page
@allowed(may_recognise)
def speaker(request: HttpRequest, pk: int) -> HttpResponse:
    """A speaker and the recordings the voice is known by; staff edit and enrol here."""
    found = get_object_or_404(visible_speakers(request.user), pk=pk)
    if request.method == "POST" and not may_curate(request.user):
        raise PermissionDenied
    form = SpeakerForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        changed = form.save(commit=False)
        save_speaker(speaker=changed, changed=form.changed_data, by=request.user)
        messages.success(request, "Saved.")
        return redirect("speaker", pk=pk)
    return _speaker_page(request, found, form, status=400 if form.is_bound else 200)


@takes_files(may_curate, refuse_upload)
@require_POST
@allowed(may_curate)
def enrol_recording(request: HttpRequest, pk: int) -> HttpResponse:
    """One more recording of a speaker."""
    found = get_object_or_404(Speaker, pk=pk)
    upload = request.FILES.get("clip")
    form = EnrolForm(request.POST, auto_id="enrol_%s", speaker=found, by=request.user)
    if upload is None or not form.is_valid():
        problem = "Choose, drop or record somebody speaking first."
        messages.error(request, problem if upload is None else str(form.errors["collection"][0]))
        return _speaker_page(request, found, form, status=400)
    try:
        enrolled = enrol(
            speaker=found,
            source=Path(upload.temporary_file_path()),  # type: ignore[attr-defined]
            name=upload.name or "recording",
            by=request.user,
            collection=form.cleaned_data["collection"],
        )
    except EngineError as error:
        messages.error(request, str(error))
        return _speaker_page(request, found, form, status=status_of(error))
    messages.success(request, f"Enrolled by {enrolled.enrolment.net_ms / 1000:.1f} s of speech.")
    for other in enrolled.sounds_like:
        messages.warning(
            request, f"This voice sounds like {other.speaker}, too (score {other.score:.2f})."
        )
    return redirect("speaker", pk=pk)


@require_POST
@allowed(may_curate)
def remove_enrolment(request: HttpRequest, pk: int, enrolment: int) -> HttpResponse:
    """Forget one recording of a speaker."""
    row = get_object_or_404(Enrolment, pk=enrolment, speaker__pk=pk)
    try:
        unenrol(enrolment=row, by=request.user)
    except EngineError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The recording and its vector are deleted.")
    return redirect("speaker", pk=pk)


@require_page
@allowed(may_curate)
def erase(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask once more, then forget a speaker."""
    found = get_object_or_404(Speaker, pk=pk)
    form = EraseForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        context = {"speaker": found, "form": form, "erased": what_is_erased(found)}
        status = 400 if form.is_bound else 200
        return render(request, "voices/confirm_erase.html", context, status=status)
    asked = form.cleaned_data["recordings"]
    try:
        erase_speaker(speaker=found, by=request.user, recordings=asked)
    except EngineError as error:
        messages.error(request, str(error))
        return redirect("speaker", pk=pk)
    messages.success(
        request,
        "The speaker is erased; the audit log keeps a number. The last traces leave the files of "
        "index and database in the background.",
    )
    return redirect("voices")


@require_safe
@allowed(may_curate)
def thresholds(request: HttpRequest) -> HttpResponse:
    """What decides at present, and what did before."""
    try:
        in_force = point_in_force(voice_space())
    except ModelUnavailable as error:
        in_force = None
        messages.warning(request, str(error))
    context = {
        "space": voice_space(),
        "in_force": in_force,
        "history": OperatingPoint.objects.filter(space=voice_space())[:20],
        "measurements": Measurement.objects.filter(space=voice_space())[:20],
    }
    return render(request, "voices/thresholds.html", context)


@require_POST
@allowed(may_curate)
def measure(request: HttpRequest) -> HttpResponse:
    """Let a worker measure how well the enrolled speakers are told apart."""
    return redirect("measurement", pk=request_measurement(by=request.user).pk)


@require_safe
@allowed(may_curate)
def measurement(request: HttpRequest, pk: int) -> HttpResponse:
    """Error rates, thresholds and plots of one measurement, or how far it is."""
    row = get_object_or_404(Measurement, pk=pk)
    context = {"row": row, "plots": PLOTS if row.plots else {}}
    page = "voices/_measurement.html" if request.htmx else "voices/measurement.html"  # type: ignore[attr-defined]
    return render(request, page, context)


@require_safe
@allowed(may_curate)
def plot(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """One plot of a measurement."""
    row = get_object_or_404(Measurement, pk=pk)
    if name not in row.plots:
        raise Http404
    return HttpResponse(row.plots[name], content_type="image/svg+xml")


@require_POST
@allowed(may_curate)
def apply(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the thresholds of a measurement decide from now on."""
    row = get_object_or_404(Measurement, pk=pk, state=State.READY)
    try:
        apply_measurement(row)
    except ValueError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "These thresholds decide from now on.")
    return redirect("voices-thresholds")


@require_page
@allowed(may_recognise)
@throttled
def track_voices(request: HttpRequest, pk: int) -> HttpResponse:
    """Who speaks when in a track; a POST lets a worker find out."""
    track = get_object_or_404(visible_tracks(request.user), pk=pk)
    if request.method == "POST":
        request_diarization(track=track, by=request.user)
        if not request.htmx:  # type: ignore[attr-defined]
            return redirect("track-voices", pk=pk)
    row = Diarization.objects.filter(track=track).first()
    context = {
        "track": track,
        "row": row,
        "lanes": _lanes(track, turns_of(row, request.user)) if row else [],
    }
    page = "voices/_turns.html" if request.htmx else "voices/turns.html"  # type: ignore[attr-defined]
    return render(request, page, context)


def _lanes(track: Track, turns: list[SpokenTurn]) -> list[dict[str, Any]]:
    """A lane for each voice: its name, and its turns with place and width in thousandths."""
    length = max(track.duration_ms, turns[-1].end_ms if turns else 1)
    lanes: dict[int, dict[str, Any]] = {}
    for turn in turns:
        lane = lanes.setdefault(
            turn.voice, {"name": turn.name, "speaker": turn.speaker, "spoken_ms": 0, "turns": []}
        )
        spoken_ms = turn.end_ms - turn.start_ms
        lane["spoken_ms"] += spoken_ms
        place = {"x": turn.start_ms * 1000 // length, "width": max(spoken_ms * 1000 // length, 2)}
        lane["turns"].append({"start_ms": turn.start_ms, "end_ms": turn.end_ms, **place})
    return [lanes[voice] for voice in sorted(lanes)]


def _voice(upload: Any) -> Voice:
    return embed_voice(Path(upload.temporary_file_path()))


def _page(
    request: HttpRequest, context: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    speakers = (
        visible_speakers(request.user)
        .annotate(
            recordings=Count(
                "enrolments__track",
                filter=seen_by(request.user, "enrolments__track__"),
                distinct=True,
            )
        )
        .order_by("sort_key", "name", "pk")
    )
    context = {
        "page": Paginator(speakers, PAGE).get_page(request.GET.get("page")),
        "identify_form": IdentifyForm(auto_id="identify_%s", by=request.user),
        "compare_form": CompareForm(auto_id="compare_%s", by=request.user),
        **(context or {}),
    }
    return render(request, "voices/voices.html", context, status=status)


def _answer(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The answer alone for htmx, so that the clips stay in the page; else the whole page."""
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "voices/_answer.html", context)
    return _page(request, context)


def _refuse(request: HttpRequest, problem: str, status: int) -> HttpResponse:
    context = {"problem": problem}
    if request.htmx:  # type: ignore[attr-defined]
        response = render(request, "voices/_answer.html", context)  # htmx swaps in 200s only
    else:
        response = _page(request, context, status)
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _speaker_page(
    request: HttpRequest, found: Speaker, form: SpeakerForm | EnrolForm, status: int
) -> HttpResponse:
    """form: the one of the page's two that somebody filled in."""
    user, enrolling = request.user, isinstance(form, EnrolForm)
    context = {
        "speaker": found,
        "form": SpeakerForm(instance=found) if enrolling else form,
        "enrol_form": form if enrolling else EnrolForm(speaker=found, by=user, auto_id="enrol_%s"),
        "enrolments": found.enrolments.filter(
            seen_by(request.user, "track__"), space__name=voice_space()
        ).select_related("track__collection__audience"),
    }
    return render(request, "voices/speaker.html", context, status=status)


def _first_error(form: Form) -> str:
    if "clip" in form.errors:
        return "Choose, drop or record somebody speaking first."
    return str(next(iter(form.errors.values()))[0])
