"""Lessons as notebooks. The master is a Python file in jupytext's percent format that holds the solutions:

    # %% tags=["exercise"]      a function with its solution between `# BEGIN SOLUTION` and `# END SOLUTION`
    # %% tags=["check"]         what tests the function of the cells above, and prints `right` or raises `WrongAnswer`

It gives the student's notebook, without solutions, the teacher's, with them, and the executed one. Needs the extra
`lessons`, and nbclient where notebooks are executed.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import secure_fl
from secure_fl.errors import ConfigurationError, LessonError
from secure_fl.labs.lessons import NO_ANSWER

Notebook: TypeAlias = Any
"""nbformat's NotebookNode."""

EXERCISE, CHECK = "exercise", "check"
FIGURE = "*Figure."
"""How the caption begins, in the cell below a figure; it is the figure's alternative text too."""
STUB = f'raise NotImplementedError("{NO_ANSWER}")'
SECONDS = 240
"""For one cell."""
_NAME = re.compile(r"(\d\d)_\w+\.py")
_TITLE = re.compile(r"# (\d+)\. (.+)")
_MINUTES = re.compile(r"(\d+) minutes")
_SOLUTION = re.compile(r"^([ \t]*)# BEGIN SOLUTION\n.*?^[ \t]*# END SOLUTION$", re.DOTALL | re.MULTILINE)
_MARKER = re.compile(r"^[ \t]*# (BEGIN|END) SOLUTION\n?", re.MULTILINE)
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@dataclass(frozen=True)
class Lesson:
    """One lesson, read and checked."""

    number: int
    title: str
    minutes: int
    path: Path
    master: Notebook = field(repr=False)

    @property
    def file_name(self) -> str:
        """Of its notebooks."""
        return f"{self.path.stem}.ipynb"


def chosen_lessons(folder: Path, only: Collection[int] | None = None) -> tuple[Lesson, ...]:
    """In the order of their numbers; all, or those of these numbers.

    Raises `ConfigurationError` where there are none, or one cannot be read.
    """
    files = {int(path.name[:2]): path for path in sorted(folder.glob("*.py")) if _NAME.fullmatch(path.name)}
    if not files:
        raise ConfigurationError(f"{folder} holds no lessons; name the folder examples/lessons of the repository")
    if unknown := sorted(set(only or ()) - files.keys()):
        raise ConfigurationError(f"there is no lesson {unknown[0]}; choose among {', '.join(map(str, files))}")
    return tuple(read_lesson(path) for number, path in files.items() if not only or number in only)


def read_lesson(path: Path) -> Lesson:
    """Raises `ConfigurationError`, which names the cell, where the file is no lesson."""
    text = path.read_text(encoding="utf-8")
    try:
        master = _tool("jupytext").reads(text, fmt="py:percent")
    except ValueError as error:
        raise _broken(path, f"it cannot be read as cells: {error}") from None
    cells = master.cells
    begin = cells[0].source if cells and cells[0].cell_type == "markdown" else ""
    title, minutes = _TITLE.match(begin), _MINUTES.search(begin)
    if title is None or minutes is None or int(title[1]) != int(path.name[:2]):
        raise _broken(path, f"its first cell is no title `# {int(path.name[:2])}. ...` with its minutes below")
    for place, cell in enumerate(cells):
        _check_cell(path, place, cell)
    master.metadata = {"kernelspec": dict(_KERNEL)}
    for place, cell in enumerate(cells):
        cell.id = f"{path.stem}-{place:02}".replace("_", "-")[-60:]  # else drawn at random
    return Lesson(int(title[1]), title[2].strip(), int(minutes[1]), path, master)


def student_notebook(lesson: Lesson) -> Notebook:
    """Without solutions and without outputs."""
    return _rewritten(lesson, in_place_of_solutions=STUB)


def teacher_notebook(lesson: Lesson) -> Notebook:
    """With the solutions, without outputs."""
    return _rewritten(lesson, in_place_of_solutions=None)


def executed_notebook(lesson: Lesson, notebook: Notebook | None = None) -> Notebook:
    """The teacher's notebook, or another one of the lesson, with what its cells give in a fresh kernel of this very
    interpreter.

    Captions become the alternative texts of figures, and solutions fold away in pages made by MyST-NB. Raises
    `LessonError` where a cell fails or takes too long.
    """
    failures = _tool("nbclient").exceptions
    _tool("ipykernel_launcher")
    done = deepcopy(teacher_notebook(lesson) if notebook is None else notebook)
    with tempfile.TemporaryDirectory() as folder:
        try:
            _client(done, folder).execute(env=_environment())
        except failures.CellTimeoutError:
            raise LessonError(
                f"lesson {lesson.number}: a cell takes longer than {SECONDS} s; make it smaller"
            ) from None
        except failures.CellExecutionError as error:
            raise LessonError(f"lesson {lesson.number}: {_first_failure(done, error)}; mend that cell") from None
        except RuntimeError:
            raise LessonError(
                f"lesson {lesson.number}: its kernel died or did not start; see to memory, and to secure-fl[lessons]"
            ) from None
    _describe_figures(done.cells)
    for cell in cells_tagged(done, EXERCISE):
        cell.metadata.tags = [*cell.metadata.tags, "hide-input"]
        cell.metadata.mystnb = {"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
    return done


def cells_tagged(notebook: Notebook, tag: str) -> list[Any]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def kernel_command() -> list[str]:
    """A kernel of this interpreter, which knows from its start what to say of cells that are run too early."""
    extension = "--IPKernelApp.extra_extensions=secure_fl.labs.lessons"
    return [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", extension]


def _rewritten(lesson: Lesson, in_place_of_solutions: str | None) -> Notebook:
    notebook = deepcopy(lesson.master)
    for cell in cells_tagged(notebook, EXERCISE):
        if in_place_of_solutions is not None:
            cell.source = _SOLUTION.sub(lambda match: match[1] + in_place_of_solutions, cell.source)
        cell.source = _MARKER.sub("", cell.source)
    return notebook


def _check_cell(path: Path, place: int, cell: Any) -> None:
    if cell.cell_type != "code":
        return
    try:
        ast.parse(cell.source)
    except SyntaxError as error:
        raise _broken(path, f"cell {place + 1} is not Python ({error.msg}, its line {error.lineno})") from None
    is_exercise = EXERCISE in cell.metadata.get("tags", ())
    solutions, markers = len(_SOLUTION.findall(cell.source)), len(_MARKER.findall(cell.source))
    if markers != 2 * solutions or (solutions > 0) != is_exercise:
        raise _broken(
            path,
            f"cell {place + 1} must have the tag {EXERCISE} and lines # BEGIN SOLUTION and # END SOLUTION in pairs, or "
            "neither",
        )


def _broken(path: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{path} is no lesson: {problem}; mend it there")


def _tool(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ConfigurationError(f"{name} is not installed; install secure-fl[lessons,docs]") from None


def _client(notebook: Notebook, folder: str) -> Any:
    """Whatever kernels the user has installed under whatever names, this interpreter's is taken."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from traitlets.config import Config

    class ThisInterpreter(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=kernel_command(), display_name="Python 3", language="python")

    return NotebookClient(
        notebook,
        kernel_manager_class=ThisInterpreter,
        # Sockets in the folder, and not on the network, where others could listen.
        config=Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/.kernel"}}),
        timeout=SECONDS,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": folder}},
    )


def _environment() -> dict[str, str]:
    """The kernel imports the package that runs now, wherever it lies."""
    paths = [str(Path(secure_fl.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _first_failure(notebook: Notebook, error: Any) -> str:
    """The cell that failed, and how."""
    for place, cell in enumerate(notebook.cells, start=1):
        if any(output.output_type == "error" for output in cell.get("outputs", ())):
            return f"cell {place} ends with {error.ename}: {error.evalue}"
    return f"a cell ends with {error.ename}: {error.evalue}"


def _describe_figures(cells: Sequence[Any]) -> None:
    for above, below in captioned(cells):
        paragraph = below.source.split("\n\n")[0]
        caption = " ".join(re.sub(r"[*`$]", "", paragraph).removeprefix("Figure.").split())
        above.metadata.mystnb = {"image": {"alt": caption}}
        for output in above.outputs:
            if "image/png" in output.get("data", {}):
                output.metadata.setdefault("image/png", {})["alt"] = caption


def captioned(cells: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Code cells whose figure has a caption, and the captions."""
    for above, below in pairwise(cells):
        if above.cell_type == "code" and below.cell_type == "markdown" and below.source.startswith(FIGURE):
            yield above, below
