"""How long work says how far it is: a callback, which the command line shows as bars or lines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
ShowProgress = Callable[[], AbstractContextManager[Progress]]
"""Makes one that is shown until the block ends."""


def unseen(what: str, done: int, total: int) -> None:
    """For those who do not want to know."""
