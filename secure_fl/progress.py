"""How work speaks: how far it is, through a callback that the command line shows as bars or lines; and in words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
ShowProgress = Callable[[], AbstractContextManager[Progress]]
"""Makes one that is shown until the block ends."""


def unseen(what: str, done: int, total: int) -> None:
    """For those who do not want to know."""


def plain_console(stderr: bool = False) -> Console:
    """A console for tables and lines that shows every text as it is, but for what would steer the terminal.

    Paths, columns, banks and models have names with [brackets] and :colons: in them, which rich would read as styles
    and emoji, in cells and titles too; and names that others chose may hold escape sequences. Every console of this
    package is made here; a test sees to that.
    """
    import rich.console

    class Console(rich.console.Console):
        def render_str(self, text: str, **how: Any) -> Text:
            return super().render_str(visible(text), **how)

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def visible(text: str) -> str:
    """The text with a sign in the place of each character that is not printed, but for ends of lines and tabs."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)
