"""How work speaks: how far it is, through a callback that the command line shows as bars or lines; and in words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
ShowProgress = Callable[[], AbstractContextManager[Progress]]
"""Makes one that is shown until the block ends."""


def unseen(what: str, done: int, total: int) -> None:
    """For those who do not want to know."""


def plain_console(stderr: bool = False) -> Console:
    """A console for tables and lines that shows every text as it is.

    Paths, columns, banks and models have names with [brackets] and :colons: in them, which rich would read as styles
    and emoji, in cells and titles too. Every console of this package is made here; a test sees to that.
    """
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)
