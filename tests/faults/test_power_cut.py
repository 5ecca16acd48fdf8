"""The machine that loses its power again and again during one import, with the embedded service."""

import os
import signal
import subprocess
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import MakeSounds
from tests.faults.whole import assert_whole, catch, query, settled, stored
from tests.service import Service, free_port

pytestmark = [pytest.mark.slow, pytest.mark.alone]
CUTS = 10
FILES = 40
Moment = Callable[[Service], Any]


def test_ten_power_cuts_during_one_import(tmp_path: Path, make_sounds: MakeSounds) -> None:
    """Every process dies at once, ten times; the import is started again each time, as told.

    A recording that was being listened to at three cuts is set aside, as if it had caused them:
    nobody can tell. `Listen again` takes it up.
    """
    files = make_sounds(FILES, 1, ".wav")
    service = Service(tmp_path / "data", free_port(), {"SEARCHES_PER_MINUTE": "0"})
    service.start()
    try:
        for moment in islice(cycle((file_stored, claimed, vectors_kept, one_more_ready)), CUTS):
            cut_at(moment, service, service.begin("import", str(files[0].parent)))
            service.launch()
        assert rows(service) < FILES  # all cuts were during the import
        importing = service.begin("import", str(files[0].parent))
        said = importing.communicate(timeout=120)[0]
        assert importing.returncode == 0, said
        service.wait_for(lambda: settled(service, FILES), 120)
        listen_again(service)
        assert_whole(service, files)
    finally:
        service.stop()


def cut_at(moment: Moment, service: Service, importing: subprocess.Popen[str]) -> None:
    """Wait until the moment comes, and end every process.

    The import stands still after its next file while the service starts and listens, lest it be
    over before the tenth cut.
    """
    there, before = rows(service), moment(service)
    if moment is not file_stored:
        catch(lambda: rows(service) > there)
        os.killpg(importing.pid, signal.SIGSTOP)
    catch(lambda: moment(service) > before)
    print(f"cut at {moment.__name__} with {rows(service)} tracks, {one_more_ready(service)} ready")
    os.killpg(importing.pid, signal.SIGKILL)
    service.power_cut()
    importing.communicate()


def rows(service: Service) -> int:
    return int(value(service, "SELECT count(*) FROM catalog_track") or 0)


def file_stored(service: Service) -> int:
    return len(stored(service, "tracks"))


def claimed(service: Service) -> str:
    """When a worker last claimed a track."""
    return str(value(service, "SELECT max(heartbeat_at) FROM analysis_trackanalysis") or "")


def vectors_kept(service: Service) -> int:
    return len(stored(service, "vectors"))


def one_more_ready(service: Service) -> int:
    counted = (
        "SELECT count(*) FROM analysis_trackanalysis AS one JOIN analysis_space AS space"
        " ON space_id = space.id WHERE kind = 'embedding' AND one.state = 'ready'"
    )
    return int(value(service, counted) or 0)


def value(service: Service, statement: str) -> Any:
    found = query(service, statement)
    return found[0][0] if found else None


def listen_again(service: Service) -> None:
    """Press the button on all that was set aside for having been cut off three times."""
    aside = [track for track in service.tracks() if track["state"] == "failed"]
    assert all("broke off 3 times" in track["reason"] for track in aside), aside
    print(f"{len(aside)} set aside")
    if aside:
        ids = [track["id"] for track in aside]
        again = f"from apps.analysis.queueing import reanalyze; reanalyze({ids})"
        assert service.manage("shell", "-c", again).returncode == 0
