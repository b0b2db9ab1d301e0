"""Files that are whole or absent, and on disk when a call returns.

One core (`put`): what is new is written beside its place under a hidden name, reaches the disk, and then gets its name
in one step; the name reaches the disk too. So what a caller removes or sends out afterwards, trusting that the file is
there, survives a crash of the machine as well.

On it stand results, which a caller writes (`staged_directory`, `staged_file`); state, of mode 0600 (`write_durably`);
and secrets, of mode 0600 and never over one that is there (`create_secret`). Bits can change on a disk afterwards:
`sealed` content tells.

What a person names as an output is decided on in two places: a file in `output_file`, a folder in `staged_directory`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from secure_fl.errors import ConfigurationError, StorageError

STDOUT = Path("-")
"""Stands for standard output where JSON is written."""
_ADVICE = "choose another --out"
_OTHER = "name another file"
_OTHER_FOLDER = "name another folder"
_STAGING = ".secure-fl-"
_FAILED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Disk full, quota reached, file too large, disk broken: nothing that another setting would have avoided."""


def put(new: Path, place: Path, *, over: bool = True) -> None:
    """Give `new`, a file or a folder on the same disk, its place; on disk when the call returns. Raises OSError.

    `over`: in the place of a file that is there; else that one stays, and FileExistsError is raised.
    """
    for path in (*new.rglob("*"), new):
        sync(path)
    if over:
        new.replace(place)
    else:
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


@contextmanager
def new_run_directory(parent: Path = Path("runs")) -> Iterator[Path]:
    """The name of a folder that no other process has: parent/TIMESTAMP, with a number behind it if need be.

    It is taken by making the folder of the unfinished run; what is empty at the end of the block vanishes. Raises
    `ConfigurationError` where `parent` cannot be written to.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    created = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    marks: list[Path] = []
    try:
        with _told(parent):
            make_folder(parent)
            names = (parent / (stamp + (f"-{number}" if number > 1 else "")) for number in count(1))
            path = next(name for name in names if _take(name, marks))
        yield path
    finally:
        for folder in (*marks, *created):
            with suppress(OSError):  # it holds results, or what is needed to go on
                folder.rmdir()


def _take(path: Path, marks: list[Path]) -> bool:
    """Mark a folder's name as this process's, and note the mark; False where somebody has it."""
    mark = unfinished(path)
    try:
        mark.mkdir(mode=0o700)
    except FileExistsError:
        return False
    marks.append(mark)
    if os.path.lexists(path):  # looked at with the mark in hand: its run may have ended just before
        mark.rmdir()
        marks.remove(mark)
        return False
    return True


def unfinished(results: Path) -> Path:
    """The folder beside a folder of results in which a run keeps its state until it is done."""
    named = results if results.name not in ("", "..") else Path(os.path.realpath(results))
    return named.with_name(f"{named.name}.unfinished")


@contextmanager
def replaced_directory(target: Path) -> Iterator[Path]:
    """As `staged_directory`, in the place of a folder that is there: it goes when the new one is whole."""
    with ExitStack() as stack:
        with _told(target):
            aside = stack.enter_context(_hidden_in(target.parent))
        new = aside / "new"
        with staged_directory(new) as staging:
            yield staging
        with _told(target):
            earlier = target.exists()
            if earlier:
                target.replace(aside / "earlier")
            try:
                put(new, target)
            finally:
                if earlier and not os.path.lexists(target):
                    (aside / "earlier").replace(target)


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `target` when the block ends well and vanishes otherwise.

    A folder that is there and empty, by whatever way it is named (".", a link, a mount point), stays the folder that it
    is, and receives the files. Raises `ConfigurationError` where `target` holds something already or cannot be created,
    `StorageError` where the disk is full.
    """
    with _told(target):
        there = target.is_dir()
        if (target.exists() and not there) or (there and not all(map(_left_over, target.iterdir()))):
            raise ConfigurationError(f"{target} exists already and is kept as it is; {_ADVICE}")
        if target.is_symlink() and not there:
            raise ConfigurationError(f"{target} is a link to nothing; make the folder that it leads to, or {_ADVICE}")
        created = [parent for parent in target.parents if not parent.exists()]
    try:
        with ExitStack() as stack:
            with _told(target):
                make_folder(target.parent)
                staging = stack.enter_context(_hidden_in(target if there else target.parent))
            with _told(target, only_failures=True):
                yield staging
            with _told(target):
                if there:
                    _fill(target, staging)
                else:
                    staging.chmod(0o755)
                    put(staging, target)
    finally:
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
        raise ConfigurationError(f"{folder} is no longer empty and is kept as it is; {_ADVICE}")
    for path in staging.rglob("*"):
        sync(path)
    for path in contents:
        path.replace(folder / path.name)
    sync(folder)


@contextmanager
def output_files(
    json_file: Path | None, *others: Path | None, force: bool = False, inputs: Iterable[Path | None] = ()
) -> Iterator[tuple[Path | None, ...]]:
    """As `output_file`, for each that is named, None for the others; no two of them are the same file.

    What is written for a `json_file` of `STDOUT` is printed when the block ends well.
    """
    used = list(inputs)
    with ExitStack() as stack:
        printed = json_file == STDOUT
        staged = [stack.enter_context(_printed())] if printed else []
        for target in others if printed else (json_file, *others):
            staged.append(stack.enter_context(output_file(target, force=force, inputs=used)) if target else None)
            used.append(target)
        yield tuple(staged)


@contextmanager
def _printed() -> Iterator[Path | None]:
    """A file whose text is printed when the block ends well."""
    with tempfile.TemporaryDirectory(prefix=_STAGING) as folder:
        staging = Path(folder) / "printed"
        yield staging
        sys.stdout.write(staging.read_text(encoding="utf-8"))


@contextmanager
def output_file(target: Path, *, force: bool = False, inputs: Iterable[Path | None] = ()) -> Iterator[Path]:
    """As `staged_file`, for a file that a person named: nothing that is there is lost unless they say so.

    Raises, before the block runs, as `place_of_output` does, and `ConfigurationError` where somebody else made the file
    meanwhile.
    """
    place = place_of_output(target, force=force, inputs=inputs)
    with staged_file(place, _OTHER, over=force) as staging:
        yield staging


def place_of_output(target: Path, *, force: bool = False, inputs: Iterable[Path | None] = ()) -> Path:
    """Where an output that a person named is to be written: where links lead to.

    `force`: also over a file that exists. `inputs`: files and folders that the command reads, or writes besides; an
    output is none of them and in none of them. Raises `ConfigurationError` where `target` may not be written: it is
    one of these, it exists, or it is no regular file (a folder, a pipe, a device, a link in circles).
    """
    with _told(target, _OTHER):
        place = Path(os.path.realpath(target)) if target.is_symlink() else target
        if any(_is_part_of(target, other) for other in inputs if other is not None):
            raise ConfigurationError(
                f"{target} is used by this command otherwise, or lies in a folder that is; {_OTHER}"
            )
        if place.is_symlink() or (target.exists() and not target.is_file()):
            raise ConfigurationError(f"{target} is not a regular file; {_OTHER}")
        if target.exists() and not force:
            raise _kept(target)
        return place


def _kept(target: Path) -> ConfigurationError:
    return ConfigurationError(f"{target} exists already and is kept as it is; {_OTHER}, or add --force")


def _is_part_of(target: Path, other: Path) -> bool:
    """Whether it is the other file, by whatever name, or lies in the other folder."""
    if target.exists() and other.exists() and target.samefile(other):
        return True
    place, resolved = Path(os.path.realpath(target)), Path(os.path.realpath(other))
    return place == resolved or (resolved.is_dir() and resolved in place.parents)


@contextmanager
def staged_file(target: Path, advice: str = _ADVICE, *, over: bool = True) -> Iterator[Path]:
    """A file name to write to, which becomes `target` when the block ends well and vanishes otherwise.

    `over`: in the place of a file that is there. Raises `ConfigurationError`, which ends with `advice`, where that is
    impossible, `StorageError` where the disk is full.
    """
    with ExitStack() as stack:
        with _told(target, advice):
            staging = stack.enter_context(_hidden_in(target.parent)) / target.name
        with _told(target, only_failures=True):
            yield staging
        with _told(target, advice):
            (put if over else _put_once)(staging, target)


def _put_once(new: Path, place: Path) -> None:
    """`put` where nothing is. Raises `ConfigurationError` where something is."""
    try:
        put(new, place, over=False)
    except FileExistsError:
        raise _kept(place) from None
    except OSError as error:
        if disk_failed(error):
            raise
        if os.path.lexists(place):
            raise _kept(place) from None
        put(new, place)  # a disk without hard links: for a moment, somebody could make the file


def write_durably(path: Path, content: bytes) -> None:
    """Put `content`, for its owner's eyes only, in the place of whatever is there. Raises OSError.

    Its folder is made if need be, of mode 0700.
    """
    _write(path, content, over=True)


def create_secret(path: Path, content: bytes) -> None:
    """As `write_durably`; but where there is a file already, maybe another process's new one, that one stays."""
    with suppress(FileExistsError):
        _write(path, content, over=False)
    sync(path.parent)  # whoever made it


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


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """As long as the block lasts, no other process is in one about the same folder.

    The folder is made if need be, of mode 0700. Raises `ConfigurationError` where another process is in it, or where it
    is none.
    """
    try:
        make_folder(folder, 0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise unwritten(folder, error, _OTHER_FOLDER) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigurationError(f"{folder} is in use by another process; end that one, or {_OTHER_FOLDER}") from None
    try:
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
def _hidden_in(folder: Path) -> Iterator[Path]:
    """A hidden folder, which is gone afterwards."""
    hidden = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
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
