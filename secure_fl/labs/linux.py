"""What Linux grants a process that asks: not to be read by others, and that nothing of it outlives what it did.

On other systems these functions do nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PDEATHSIG, _GET_DUMPABLE, _SET_DUMPABLE, _CHILD_SUBREAPER = 1, 3, 4, 36  # linux/prctl.h


def _prctl(option: int, value: int = 0) -> int:
    return (
        int(ctypes.CDLL(None).prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0)))) if sys.platform == "linux" else 0
    )


@contextmanager
def unreadable() -> Iterator[None]:
    """Meanwhile other processes of the same user can neither read nor write this one's memory. root still can."""
    before = _prctl(_GET_DUMPABLE)
    _prctl(_SET_DUMPABLE, 0)
    try:
        yield
    finally:
        _prctl(_SET_DUMPABLE, before)


def adopt_orphans() -> None:
    """Processes below this one become its children when their parents end, whatever sessions they opened."""
    _prctl(_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """To be called in a child; holds beyond exec."""
    _prctl(_PDEATHSIG, signal.SIGKILL)


def children() -> list[int]:
    """Of this process, as /proc tells."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[1]) == os.getpid():
            found.append(int(path.parent.name))
    return found
