"""What a lesson (`examples/lessons`) uses while it runs; how its file becomes notebooks is in `notebooks`.

A lesson begins with `begin_lesson()`. From then on a cell that was run too early says which cells to run first, in one
line instead of a traceback. A kernel that loads this module as an IPython extension, as those of `make lessons` do,
says so even where the lesson's first cell was skipped. Nothing here needs more than the core; outside of a notebook,
`begin_lesson` only sets up figures.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from secure_fl.errors import SecureFLError

NO_ANSWER = "your answer goes in the place of this line"
"""What an exercise raises before somebody solved it."""
_PACKAGE = Path(__file__).parents[1]
_FIGURES: dict[Any, Any] = {
    "figure.figsize": (6.4, 3.2),
    "figure.dpi": 120,
    "font.size": 11,
    "figure.constrained_layout.use": True,
}


class WrongAnswer(SecureFLError):  # noqa: N818  an answer is wrong here, no program
    """What is wrong with an exercise's answer. A notebook shows that line alone."""

    def _render_traceback_(self) -> list[str]:
        """IPython's way to let an error say how it is shown."""
        return [f"not right yet: {self}"]


class Source:
    """The source of a function, a method or a class of the package, as a notebook shows it."""

    def __init__(self, *objects: Callable[..., Any]) -> None:
        written = [inspect.unwrap(each) for each in objects]  # without a cache around it, say
        self._parts = [(_place(each), textwrap.dedent(inspect.getsource(each)).rstrip()) for each in written]

    def __repr__(self) -> str:
        return "\n\n".join(f"# {place}\n{code}" for place, code in self._parts)

    def _repr_markdown_(self) -> str:
        return "\n\n".join(f"`{place}`\n\n```python\n{code}\n```" for place, code in self._parts)


def show(*objects: Callable[..., Any]) -> Source:
    """Our own code, to be read in the lesson: what runs is what is shown."""
    return Source(*objects)


def begin_lesson() -> None:
    """Set up this kernel for a lesson: figures of one size, and a clear word where a cell is run too early."""
    import matplotlib as mpl

    mpl.rcParams.update(_FIGURES)
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None:
        load_ipython_extension(shell)


def load_ipython_extension(shell: Any) -> None:
    """What IPython calls when this module is loaded as an extension."""
    shell.set_custom_exc((NameError, NotImplementedError), _explain)


def _explain(
    shell: Any, kind: type[BaseException], error: Exception, trace: TracebackType | None, tb_offset: int | None = None
) -> None:
    """Show a missing answer, or a name that the cell itself misses, in one line.

    A name that is missing inside of a function keeps its traceback, and gets that line as well.
    """
    line, name = None, getattr(error, "name", None)
    if str(error) == NO_ANSWER:
        line = f"no answer yet: {NO_ANSWER.replace('this line', '`raise NotImplementedError`')} in the exercise above"
    elif name is not None:
        line = (
            f"`{name}` does not exist yet: run the cells above this one (Run > Run All Above Selected Cell). "
            "If you wrote that name yourself, look at its spelling."
        )
        if not _in_the_cell_itself(trace):
            error.add_note(line)
            line = None
    if line is not None:
        vars(error)["_render_traceback_"] = lambda: [line]
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


def _in_the_cell_itself(trace: TracebackType | None) -> bool:
    """Whether the error comes from no function; comprehensions count as none."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_name.startswith("<")


def _place(each: Callable[..., Any]) -> str:
    """File and lines, as somebody who has the repository looks for them."""
    lines, first = inspect.getsourcelines(each)
    path = Path(inspect.getsourcefile(each) or "?")
    named = path.relative_to(_PACKAGE.parent) if path.is_relative_to(_PACKAGE) else Path(path.name)
    return f"{named.as_posix()}, lines {first} to {first + len(lines) - 1}"
