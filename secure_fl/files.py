"""Writing results so that they are whole or absent: into a hidden place beside the target, then one rename.

Content reaches the disk before the rename, and the new name before the block is over: what a caller removes or sends
out afterwards, trusting that the file is there, survives a crash of the machine too.

What a person names as an output is decided on in one place: a file in `output_file`, a folder in `staged_directory`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from secure_fl.errors import ConfigurationError

_ADVICE = "choose another --out"
_STAGING = ".secure-fl-"


@contextmanager
def new_run_directory(parent: Path = Path("runs")) -> Iterator[Path]:
    """The name of a folder that no other process has: parent/TIMESTAMP, with a number behind it if need be.

    It is taken by making the folder of the unfinished run; what is empty at the end of the block vanishes. Raises
    `ConfigurationError` where `parent` cannot be written to.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    created = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    with _cannot_write(parent):
        parent.mkdir(parents=True, exist_ok=True)
        path, taken = next(filter(None, (_take(parent / f"{stamp}{end}") for end in _numbers())))
    try:
        yield path
    finally:
        for folder in (taken, *created):
            with suppress(OSError):  # it holds results, or what is needed to go on
                folder.rmdir()


def _numbers() -> Iterator[str]:
    yield ""
    yield from (f"-{number}" for number in count(2))


def _take(path: Path) -> tuple[Path, Path] | None:
    """The path and the folder that marks it as taken; None where somebody else has it."""
    mark = unfinished(path)
    try:
        mark.mkdir(mode=0o700)
    except FileExistsError:
        return None
    if path.exists():
        mark.rmdir()
        return None
    return path, mark


def unfinished(results: Path) -> Path:
    """The folder beside a folder of results in which a run keeps its state until it is done."""
    named = results if results.name not in ("", "..") else Path(os.path.realpath(results))
    return named.with_name(f"{named.name}.unfinished")


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `target` when the block ends well and vanishes otherwise.

    A folder that is there and empty, by whatever way it is named (".", a link, a mount point), stays the folder that it
    is, and receives the files. Raises `ConfigurationError` where `target` holds something already or cannot be created.
    """
    there = target.is_dir()
    if (target.exists() and not there) or (there and not all(map(_left_over, target.iterdir()))):
        raise ConfigurationError(f"{target} exists already and is kept as it is; choose another --out")
    if target.is_symlink() and not there:
        raise ConfigurationError(f"{target} is a link to nothing; make the folder it leads to, or {_ADVICE}")
    created = [parent for parent in target.parents if not parent.exists()]
    with _cannot_write(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=target if there else target.parent))
    try:
        yield staging
        staging.chmod(0o755)
        with _cannot_write(target):
            for path in (*staging.rglob("*"), staging):
                sync(path)
            if there:
                _fill(target, staging)
                return
            staging.replace(target)
            sync(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in created:
            with suppress(OSError):  # it holds the results, or somebody else's
                parent.rmdir()


def _left_over(path: Path) -> bool:
    """Whether it is of a run that was killed in the middle of writing."""
    return path.name.startswith(_STAGING)


def _fill(folder: Path, staging: Path) -> None:
    """Move everything from `staging`, which lies in `folder`, into `folder`. Nothing that is there is replaced."""
    contents = list(staging.iterdir())
    if any(os.path.lexists(folder / path.name) for path in contents):
        raise ConfigurationError(f"{folder} is no longer empty and is kept as it is; choose another --out")
    for path in contents:
        path.replace(folder / path.name)
    sync(folder)


@contextmanager
def output_file(target: Path, *, force: bool = False, apart_from: Sequence[Path | None] = ()) -> Iterator[Path]:
    """As `staged_file`, for a file that a person named: nothing that is there is lost unless they say so.

    force: replace a file that exists. apart_from: files that the command reads, or writes besides; they are never
    replaced. A link is written through. Raises `ConfigurationError`, before the block runs, where `target` exists, or
    where it is no regular file (a folder, a pipe, a device, a link in circles).
    """
    place = Path(os.path.realpath(target))
    for other in filter(None, apart_from):
        if _is_part_of(place, other):
            raise ConfigurationError(f"{target} is used by this command already; choose another name for the output")
    if place.is_symlink() or (place.exists() and not place.is_file()):
        raise ConfigurationError(f"{target} is not a regular file; choose the name of one")
    if place.exists() and not force:
        raise ConfigurationError(f"{target} exists already and is kept as it is; choose another name, or add --force")
    with staged_file(place) as staging:
        yield staging
        if not force and place.exists():
            raise ConfigurationError(f"{target} was written by somebody else meanwhile and is kept; name another file")


def _is_part_of(place: Path, other: Path) -> bool:
    """Whether a resolved path is the other file, by whatever name, or lies in the other folder."""
    if place.exists() and other.exists() and place.samefile(other):
        return True
    resolved = Path(os.path.realpath(other))
    return place == resolved or (resolved.is_dir() and resolved in place.parents)


@contextmanager
def staged_file(target: Path, advice: str = _ADVICE) -> Iterator[Path]:
    """A file name to write to, which becomes `target` when the block ends well and vanishes otherwise.

    Raises `ConfigurationError`, which ends with `advice`, where that is impossible.
    """
    with _cannot_write(target, advice):
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield staging / target.name
        with _cannot_write(target, advice):
            sync(staging / target.name)
            (staging / target.name).replace(target)
            sync(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def sync(path: Path) -> None:
    """Return when a file's content, or the names in a folder, are on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def only_one_in(folder: Path) -> Iterator[None]:
    """Waits until no other process is in such a block about the same folder. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _cannot_write(target: Path, advice: str = _ADVICE) -> Iterator[None]:
    failure = ""
    try:
        yield
    except OSError as error:
        failure = error.strerror or "input/output error"
    if failure:
        raise ConfigurationError(f"{target} cannot be written ({failure}); {advice}")
