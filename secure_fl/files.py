"""Writing results so that they are whole or absent: into a hidden place beside the target, then one rename."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from secure_fl.errors import ConfigurationError


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
            staging.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in created:
            with suppress(OSError):  # it holds the results, or somebody else's
                parent.rmdir()


@contextmanager
def staged_file(target: Path) -> Iterator[Path]:
    """A file name to write to, which becomes `target` when the block ends well and vanishes otherwise."""
    with _cannot_write(target):
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield staging / target.name
        with _cannot_write(target):
            (staging / target.name).replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _cannot_write(target: Path) -> Iterator[None]:
    failure = ""
    try:
        yield
    except OSError as error:
        failure = error.strerror or "input/output error"
    if failure:
        raise ConfigurationError(f"{target} cannot be written ({failure}); choose another --out")
