"""Files that are whole or absent, and on disk when a call returns.

One core (`put`): what is new is written beside its place under a hidden name, reaches the disk, and then gets its name
in one step; the name reaches the disk too. So what a caller removes or sends out afterwards, trusting that the file is
there, survives a crash of the machine as well.

On it stand results, which a caller writes (`staged_directory`, `staged_file`); state, of mode 0600 (`write_durably`);
and secrets, of mode 0600 and never over one that is there (`create_secret`). Bits can change on a disk afterwards:
`sealed` content tells.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from secure_fl.errors import ConfigurationError, StorageError

_ADVICE = "choose another --out"
_FAILED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Disk full, quota reached, file too large, disk broken: nothing that another setting would have avoided."""


def put(new: Path, place: Path, *, over: bool = True) -> None:
    """Give `new`, a file or a folder on the same disk, its place; on disk when the call returns. Raises OSError.

    `over`: in the place of a file that is there; else that one stays, and `new` too.
    """
    for path in (*new.rglob("*"), new):
        sync(path)
    if over:
        new.replace(place)
    else:
        with suppress(FileExistsError):
            place.hardlink_to(new)
    sync(place.parent)


def sync(path: Path) -> None:
    """Return when a file's content, or the names in a folder, are on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder, of this mode, and its parents; their names are on disk then. Raises OSError."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=mode)
    for path in made:
        sync(path.parent)


def new_run_directory(parent: Path = Path("runs")) -> Path:
    """A name that is not taken: parent/TIMESTAMP, with a number behind it if need be."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    numbered = (parent / (stamp + (f"-{number}" if number > 1 else "")) for number in range(1, 1000))
    return next(path for path in numbered if not path.exists())


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `target` when the block ends well and vanishes otherwise.

    Raises `ConfigurationError` where `target` holds something already or cannot be created, `StorageError` where the
    disk is full.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target} exists already and is kept as it is; choose another --out")
    created = [parent for parent in target.parents if not parent.exists()]
    try:
        with ExitStack() as stack:
            with _told(target):
                make_folder(target.parent)
                staging = stack.enter_context(_beside(target))
            with _told(target, only_failures=True):
                yield staging
            with _told(target):
                staging.chmod(0o755)
                put(staging, target)
    finally:
        for parent in created:
            with suppress(OSError):  # it holds the results, or somebody else's
                parent.rmdir()


@contextmanager
def staged_file(target: Path, advice: str = _ADVICE) -> Iterator[Path]:
    """A file name to write to, which becomes `target` when the block ends well and vanishes otherwise.

    Raises `ConfigurationError`, which ends with `advice`, where that is impossible, `StorageError` where the disk is
    full.
    """
    with ExitStack() as stack:
        with _told(target, advice):
            staging = stack.enter_context(_beside(target)) / target.name
        with _told(target, only_failures=True):
            yield staging
        with _told(target, advice):
            put(staging, target)


def write_durably(path: Path, content: bytes) -> None:
    """Put `content`, for its owner's eyes only, in the place of whatever is there. Raises OSError.

    Its folder is made if need be, of mode 0700.
    """
    _write(path, content, over=True)


def create_secret(path: Path, content: bytes) -> None:
    """As `write_durably`; but where there is a file already, maybe another process's new one, that one stays."""
    _write(path, content, over=False)


def read_secret(path: Path, what: str) -> bytes:
    """The content. Raises ConfigurationError, which calls the file `what`, if others may open it; else OSError.

    It is refused, not mended, since nobody knows who read it. No error holds a byte of the content.
    """
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigurationError(f"{what} {path} is open to other users; run: chmod 600 {path}")
    return path.read_bytes()


def sealed(content: bytes) -> bytes:
    """The content, and its SHA-256 in a last line, a comment in TOML. Against damage; it stops nobody who forges."""
    return content + b"\n# sha256 " + hashlib.sha256(content).hexdigest().encode("ascii") + b"\n"


def unsealed(data: bytes) -> bytes:
    """What was sealed. Raises ValueError where anything of it, or of its seal, is not as it was."""
    content = data[: -len(sealed(b""))]
    if data != sealed(content):
        raise ValueError("the content and its seal differ")
    return content


@contextmanager
def only_one_in(folder: Path) -> Iterator[None]:
    """Waits until no other process is in such a block about the same folder. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def disk_failed(error: OSError) -> bool:
    """Whether it was the disk, full or broken, and not the request."""
    return error.errno in _FAILED


def reason(error: OSError) -> str:
    """In a few words, without a path."""
    return os.strerror(error.errno) if error.errno else "input/output error"


def unwritten(target: Path, error: OSError, advice: str) -> StorageError | ConfigurationError:
    """What to raise for a file that could not be written; `advice`: how to write elsewhere."""
    if disk_failed(error):
        return StorageError(f"{target} could not be written ({reason(error)}); make room, or {advice}")
    return ConfigurationError(f"{target} cannot be written ({reason(error)}); {advice}")


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """A hidden folder on the same disk as `place`, which is gone afterwards."""
    hidden = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        yield hidden
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _write(path: Path, content: bytes, *, over: bool) -> None:
    make_folder(path.parent, mode=0o700)
    descriptor, hidden = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # of mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        put(Path(hidden), path, over=over)
    finally:
        Path(hidden).unlink(missing_ok=True)


@contextmanager
def _told(target: Path, advice: str = _ADVICE, *, only_failures: bool = False) -> Iterator[None]:
    """Says that it was `target`. `only_failures`: in a caller's block, whose other errors may be of other files."""
    try:
        yield
    except OSError as error:
        if only_failures and not disk_failed(error):
            raise
        raise unwritten(target, error, advice) from None
