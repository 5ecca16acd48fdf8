"""What is left of deleted tracks: files, kept vectors and rows of the index."""

from collections.abc import Collection

from django.core.files.storage import default_storage
from django.db import transaction

from apps.analysis.holdings import HOLDINGS, holdings_of
from apps.analysis.models import Leftover, Space, SpaceKind, SpaceState
from apps.analysis.representations import forget_kept, space_folder
from apps.analysis.space_indexes import index_of
from apps.catalog.models import Removal
from apps.catalog.playback import forget_copies
from apps.jobs.locks import exclusive
from apps.jobs.models import State
from apps.jobs.pieces import in_pieces
from audiosearch.engine.errors import Conflict, SpaceMissing


def finish_removals(track_ids: Collection[int] | None = None) -> int:
    """Remove what is left of deleted tracks (all, by default); returns how many were finished.

    Raises IndexUnavailable; what remains is tried again by the next reconciliation.
    """
    if track_ids is None:
        track_ids = list(Removal.objects.values_list("pk", flat=True))
    return sum(map(_finish, in_pieces(track_ids)))


def _finish(track_ids: list[int]) -> int:
    pending = list(Removal.objects.filter(pk__in=track_ids))
    if not pending:
        return 0
    spaces = list(Space.objects.exclude(kind=SpaceKind.SPEAKER))
    for removal in pending:
        default_storage.delete(removal.file_name)
        forget_copies(removal.file_name)
        for space in spaces:
            forget_kept(space.name, removal.track_id)
    ids = [removal.track_id for removal in pending]
    for space in spaces:
        if space.kind in HOLDINGS:
            take_out(space, ids)
    with transaction.atomic():
        Leftover.objects.create(space=None)
        Removal.objects.filter(pk__in=ids).delete()
    return len(ids)


def take_out(space: Space, item_ids: Collection[int]) -> None:
    """Take items that are erased out of a space of the index: at once from its answers, and from
    its files when they are next written anew. Raises IndexUnavailable."""
    Leftover.objects.create(space=space)
    try:
        index_of(space).delete(item_ids)
    except SpaceMissing:
        return


def drop_space(space: Space) -> None:
    """Forget a retired space: its rows, its kept vectors and its place in the index.

    Raises Conflict for a space that is in use, being built or written, or that alone knows
    something; and IndexUnavailable.
    """
    if space.state != SpaceState.RETIRED:
        raise Conflict(f"{space.name} is {space.get_state_display().lower()}; it is not dropped.")
    holdings = holdings_of(space)
    if holdings and (lost := holdings.only_here(space)):
        raise Conflict(f"{space.name} alone knows {lost} recordings; it is not dropped.")
    with exclusive(f"space:{space.name}") as alone:
        if not alone or space.analyses.filter(state=State.RUNNING).exists():
            raise Conflict(f"{space.name} is being written; try again when that is done.")
        if not Space.objects.filter(pk=space.pk, state=SpaceState.RETIRED).exists():
            raise Conflict(f"{space.name} has just been taken into use; it is not dropped.")
        index_of(space).drop()
        space.delete()
        _delete_folder(space_folder(space.name))


def _delete_folder(folder: str) -> None:
    """Everything below a folder of the storage, and the folder."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in files:
        default_storage.delete(f"{folder}/{name}")
    for name in folders:
        _delete_folder(f"{folder}/{name}")
    default_storage.delete(folder)
