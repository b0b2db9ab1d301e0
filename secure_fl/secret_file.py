"""Files that hold a secret: complete or absent, of mode 0600, on disk when the call returns.

Rules: a file that others could open is refused, not mended, since nobody knows who read it. No error holds a byte of
the content.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from secure_fl.errors import ConfigurationError
from secure_fl.files import sync


def create_secret(path: Path, content: bytes) -> None:
    """Write a new file and its name to disk; where another process just made one, that one stays. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")  # of mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
    sync(path.parent)


def read_secret(path: Path, what: str) -> bytes:
    """The content. Raises ConfigurationError, which calls the file `what`, if others may open it; else OSError."""
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigurationError(f"{what} {path} is open to other users; run: chmod 600 {path}")
    return path.read_bytes()
