"""Writing results so that they are whole or absent: into a hidden place beside the target, then one rename.

Content reaches the disk before the rename, and the new name before the block is over: what a caller removes or sends
out afterwards, trusting that the file is there, survives a crash of the machine too.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from secure_fl.errors import ConfigurationError

_ADVICE = "choose another --out"


def new_run_directory(parent: Path = Path("runs")) -> Path:
    """A name that is not taken: parent/TIMESTAMP, with a number behind it if need be."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    numbered = (parent / (stamp + (f"-{number}" if number > 1 else "")) for number in range(1, 1000))
    return next(path for path in numbered if not path.exists())


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `target` when the block ends well and vanishes otherwise.

    Raises `ConfigurationError` where `target` holds something already or cannot be created.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target} exists already and is kept as it is; choose another --out")
    created = [parent for parent in target.parents if not parent.exists()]
    with _cannot_write(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield staging
        staging.chmod(0o755)
        with _cannot_write(target):
            for path in (*staging.rglob("*"), staging):
                sync(path)
            staging.replace(target)
            sync(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in created:
            with suppress(OSError):  # it holds the results, or somebody else's
                parent.rmdir()


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
