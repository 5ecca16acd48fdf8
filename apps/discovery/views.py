"""The page of duplicates."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.access.pages import allowed
from apps.access.permissions import has_account, may_curate, may_search
from apps.catalog.models import Track
from apps.catalog.permissions import may_edit
from apps.catalog.services.retiring import KEPT_FOR
from apps.discovery.choosing import (
    chosen_copies,
    chosen_pairs,
    cluster_or_404,
    undoable_or_404,
)
from apps.discovery.clusters import Cluster, cluster_ids, clusters_of, may_decide
from apps.discovery.copies import differences
from apps.discovery.keeping import dismiss_pairs, keep_copy, retired_of, undo_keeping, undoable
from apps.discovery.notices import told
from audiosearch.engine.errors import Conflict

PAGE = 20
QUIETEST = 0.05


@dataclass(frozen=True)
class Copy:
    """A track as it is played beside the best: from where, how loud, and what it is of it."""

    track: Track
    start_ms: int
    end_ms: int
    volume: float
    told: str
    share: float | None
    is_whole: bool
    may_edit: bool


@require_safe
@allowed(may_search)
def duplicates(request: HttpRequest) -> HttpResponse:
    """All clusters that this user may know of, or the one of a track; 20 a page."""
    groups = cluster_ids(request.user)
    asked = request.GET.get("track", "")
    around = int(asked) if asked.isdecimal() and len(asked) < 19 else 0
    if around:
        groups = [ids for ids in groups if around in ids]
    page = Paginator(groups, PAGE).get_page(request.GET.get("page"))
    clusters = clusters_of(request.user, list(page), around)
    context = {
        "page": page,
        "of_one": bool(asked),
        "clusters": [_shown(cluster, request.user) for cluster in clusters],
        "kept": [_kept(kept) for kept in undoable(request.user)],
    }
    return render(request, "discovery/duplicates.html", context)


def _shown(cluster: Cluster, user: Any) -> dict[str, Any]:
    return {
        "cluster": cluster,
        "copies": _copies(cluster, user),
        "differences": differences(cluster.tracks),
        "may_decide": may_decide(user, cluster),
    }


def _copies(cluster: Cluster, user: Any) -> list[Copy]:
    """The best copy first; all begin at the same moment of the recording, and equally loud."""
    best = cluster.best.track
    by_other = {pair.other_id(best.pk): pair for pair in cluster.pairs_of(best)}
    begin = max((pair.stretch_in(best.pk)[0] for pair in by_other.values()), default=0)
    louder = {best.pk: 0.0}  # dB than the best
    for other_id, pair in by_other.items():
        gain = pair.gain_db or 0.0
        louder[other_id] = gain if other_id == pair.second_id else -gain
    quietest = min(louder.values())
    found = []
    for track in cluster.tracks:
        pair = by_other.get(track.pk) or cluster.pairs_of(track)[0]
        start, end = pair.stretch_in(track.pk)
        if track.pk in by_other:
            late = begin - pair.stretch_in(best.pk)[0]
            speed = pair.speed if track.pk == pair.second_id else 1 / pair.speed
            start = min(start + round(late * speed), end)
        elif track.pk == best.pk:
            start = begin
        volume = 10 ** ((quietest - louder.get(track.pk, quietest)) / 20)
        other = next(one for one in cluster.tracks if one.pk == pair.other_id(track.pk))
        found.append(
            Copy(
                track,
                start,
                end,
                round(max(volume, QUIETEST), 3),
                "" if track.pk == best.pk else told(pair, track, other),
                None if track.pk == best.pk else pair.share,
                track.pk != best.pk and track.pk in by_other and pair.is_whole(track),
                may_edit(user, track),
            )
        )
    return found


def _kept(kept: Any) -> dict[str, Any]:
    left = kept.kept_at + KEPT_FOR - timezone.now()
    return {"kept": kept, "retired": list(retired_of(kept)), "days": max(left.days, 0)}


@require_POST
@allowed(has_account)
def keep(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep one copy for those that are ticked; asks first."""
    cluster = cluster_or_404(request.user, pk)
    others = _numbers(request.POST.getlist("retire"))
    (kept_id,) = _numbers([request.POST.get("track", "")])
    try:
        chosen = chosen_copies(
            request.user, cluster, kept_id, [one for one in others if one != kept_id]
        )
    except Conflict as error:
        messages.error(request, str(error))
        return redirect(f"{reverse('duplicates')}?track={kept_id}")
    if chosen.others and "confirmed" not in request.POST:
        context = {"cluster": cluster, "chosen": chosen, "days": KEPT_FOR.days}
        return render(request, "discovery/confirm_keep.html", context)
    try:
        keep_copy(
            kept_id=kept_id,
            other_ids=[track.pk for track in chosen.others],
            by=request.user,
            voices=may_curate(request.user),
        )
    except Conflict as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"“{chosen.kept.title}” is kept. Below you can undo it.")
    return redirect("duplicates")


def _numbers(texts: list[str]) -> list[int]:
    if not all(text.isdecimal() and len(text) < 19 for text in texts):
        raise Http404
    return [int(text) for text in texts]


@require_POST
@allowed(has_account)
def dismiss(request: HttpRequest, pk: int) -> HttpResponse:
    """Remember that the tracks of a cluster are no duplicates; asks first."""
    cluster = cluster_or_404(request.user, pk)
    if "confirmed" not in request.POST:
        chosen_pairs(request.user, cluster, None)
        return render(request, "discovery/confirm_dismiss.html", {"cluster": cluster})
    seen = _numbers(request.POST.getlist("seen"))  # no copy that came meanwhile
    dismiss_pairs(track_ids=chosen_pairs(request.user, cluster, seen), by=request.user)
    messages.success(request, "They will not be called duplicates again.")
    return redirect("duplicates")


@require_POST
@allowed(has_account)
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Bring back the copies that were retired."""
    kept = undoable_or_404(request.user, pk)
    try:
        undo_keeping(kept_copy=kept, by=request.user)
    except Conflict as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The other copies are back.")
    return redirect("duplicates")
