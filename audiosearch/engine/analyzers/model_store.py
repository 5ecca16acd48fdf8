"""Weight files: fetched with resume, checked by size and digest, and put in place in one step."""

import fcntl
import hashlib
import http.client
import json
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audiosearch.engine.analyzers.base import AnalyzerSpec, WeightFile
from audiosearch.engine.arrays import Progress
from audiosearch.engine.errors import DownloadFailed, ModelUnavailable

TIMEOUT_S = 15
CHUNK = 1 << 16
MANIFEST = "manifest.json"
RANGE_REFUSED = 416


def pull(spec: AnalyzerSpec, models_dir: Path, progress: Progress, *, base_url: str = "") -> None:
    """Fetch the weight files of an analyzer that are not there yet.

    What a cut leaves is kept, and the next call goes on from there. `base_url` is a mirror that
    has the files by name. Raises DownloadFailed, saying what to do, and ModelUnavailable when
    what arrived is not the published file; an optional file that cannot be had stops nothing.
    """
    folder = models_dir / spec.name
    with alone_in(folder):
        for file in spec.weights:
            if (folder / file.name).exists():
                continue
            try:
                _fetch(spec, file, folder, progress, base_url)
            except DownloadFailed:
                if not file.optional:
                    raise


def missing_files(spec: AnalyzerSpec, models_dir: Path) -> list[str]:
    """Names of the analyzer's files that are not in place."""
    folder = models_dir / spec.name
    return [file.name for file in spec.weights if not (folder / file.name).exists()]


def install_file(spec: AnalyzerSpec, models_dir: Path, path: Path, *, trust: bool = False) -> None:
    """Take a weight file that was fetched by hand.

    `trust` accepts another file under the published one's name (your own training, say) and
    notes it as unverified. Raises ModelUnavailable when it is not a file of this analyzer.
    """
    file = _file_named(spec, path)
    folder = models_dir / spec.name
    with alone_in(folder):
        _require_space(folder, file.name, path.stat().st_size)
        part = folder / f"{file.name}.part"
        if path.resolve() != part.resolve():
            _copy(path, part)
        digest = _sha256(part)
        if file.sha256 and digest != file.sha256 and not trust:
            part.unlink()
            raise ModelUnavailable(
                f"{path.name} is not the published {file.name}: its SHA-256 is {digest}, and "
                f"should be {file.sha256}. If you know it is good, add --trust."
            )
        _put_in_place(part, folder / file.name, digest, verified=digest == file.sha256)


def unverified_files(spec: AnalyzerSpec, models_dir: Path) -> list[str]:
    """Names of the files in place that are not the published ones."""
    notes = _notes(models_dir / spec.name)
    return sorted(name for name, note in notes.items() if not note["verified"])


def size_on_disk(spec: AnalyzerSpec, models_dir: Path) -> int:
    """Bytes that the files of an analyzer take, parts of downloads included."""
    folder = models_dir / spec.name
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.exists() else 0


def _fetch(
    spec: AnalyzerSpec, file: WeightFile, folder: Path, progress: Progress, base_url: str
) -> None:
    url = f"{base_url.rstrip('/')}/{urllib.parse.quote(file.name)}" if base_url else file.url
    part = folder / f"{file.name}.part"
    have = part.stat().st_size if part.exists() else 0
    if file.size and have > file.size:
        part.unlink()
        have = 0
    _require_space(folder, file.name, max(file.size - have, 0))
    if not file.size or have < file.size:
        try:
            _download(url, part, file, have, progress)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == RANGE_REFUSED:
                part.unlink(missing_ok=True)
            raise DownloadFailed(_advice(spec, file, url, error)) from error
    digest = _sha256(part)
    size = part.stat().st_size
    if size != (file.size or size) or digest != (file.sha256 or digest):
        part.unlink()
        raise ModelUnavailable(
            f"What came from {url} is not {file.name}: {size} bytes with SHA-256 {digest}, where "
            f"{file.size} bytes with {file.sha256} are published. It was thrown away."
        )
    _put_in_place(part, folder / file.name, digest, verified=digest == file.sha256)


def _download(url: str, part: Path, file: WeightFile, have: int, progress: Progress) -> None:
    """Append what is missing to `part`; begin anew when the server does not know ranges."""
    request = urllib.request.Request(url, headers={"User-Agent": "audiosearch"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        resumed = answer.status == http.client.PARTIAL_CONTENT
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise OSError("the server sent another part than the one asked for")
        done = have if resumed else 0
        if not file.size and answer.length is None:
            raise OSError("the server does not say how long the file is")
        size = file.size or done + answer.length
        if answer.length is not None and done + answer.length != size:
            # A login page or an error page: it must not be mistaken for the start of the file.
            raise OSError(f"it offers {done + answer.length} bytes, not {size}")
        with part.open("ab" if resumed else "wb") as out:
            # read1 gives what has arrived; read would lose it when the rest never comes.
            while chunk := answer.read1(CHUNK):
                out.write(chunk)
                done += len(chunk)
                progress(file.name, done, size)
                if done > size:
                    break
    if done < size:
        raise OSError(f"the connection ended after {done} of {size} bytes")


def _require_space(folder: Path, name: str, needed: int) -> None:
    """Raise DownloadFailed when the disk is too full."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DownloadFailed(
            f"{name} needs {needed >> 20} MB more, and only {free >> 20} MB are free in {folder}."
        )


def _copy(path: Path, part: Path) -> None:
    """Raise ModelUnavailable when the file cannot be read or its copy cannot be written."""
    try:
        shutil.copyfile(path, part)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ModelUnavailable(
            f"{path} could not be copied to {part.parent}: {error.strerror}."
        ) from error


def _put_in_place(part: Path, final: Path, digest: str, *, verified: bool) -> None:
    """Rename the whole, checked file to its name once the disk has it, and note its digest."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(final)
    _note(final.parent, final.name, digest, verified=verified)


def _advice(spec: AnalyzerSpec, file: WeightFile, url: str, error: Exception) -> str:
    return (
        f"{file.name} could not be fetched from {url} ({getattr(error, 'reason', error)}). "
        f"Try again to go on from there; without a network here, fetch it elsewhere, copy it "
        f'over, and run: ./manage models pull {spec.name} --from "{file.name}"'
    )


def _file_named(spec: AnalyzerSpec, path: Path) -> WeightFile:
    """Which of the analyzer's files this is: by its name, else by its size, else by its ending."""
    for same in (
        lambda file: file.name == path.name,
        lambda file: file.size == path.stat().st_size,
        lambda file: Path(file.name).suffix == path.suffix,
    ):
        for file in spec.weights:
            if same(file):
                return file
    wanted = ", ".join(file.name for file in spec.weights) or "none"
    raise ModelUnavailable(f"{path.name} is no file of {spec.name}. Its files: {wanted}.")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One pull or training at a time, in a folder made if need be.

    Raises ModelUnavailable when another is at work or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock_file = (folder / ".lock").open("w")
    except OSError as error:
        raise ModelUnavailable(f"Nothing can be written to {folder}: {error.strerror}.") from error
    with lock_file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ModelUnavailable(
                f"Another process works in {folder}; wait for it, or stop it."
            ) from error
        yield


def _notes(folder: Path) -> dict[str, dict[str, object]]:
    path = folder / MANIFEST
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _note(folder: Path, name: str, digest: str, *, verified: bool) -> None:
    notes = _notes(folder) | {name: {"sha256": digest, "verified": verified}}
    draft = folder / f"{MANIFEST}.part"
    draft.write_text(json.dumps(notes, indent=2))
    draft.replace(folder / MANIFEST)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
