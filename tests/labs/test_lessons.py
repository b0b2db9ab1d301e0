"""Every lesson runs from top to bottom, keeps the format, and its checks tell right answers from wrong ones."""

from __future__ import annotations

import importlib.util
import inspect
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from secure_fl.labs.lessons import WrongAnswer, show
from secure_fl.labs.notebooks import (
    CHECK,
    EXERCISE,
    STUB,
    Lesson,
    captioned,
    cells_tagged,
    chosen_lessons,
    executed_notebook,
    student_notebook,
    teacher_notebook,
)

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "lessons"
LESSONS = chosen_lessons(FOLDER)
QUESTION = "**Before you go on.**"
FEWEST_WRONG = 2
"""Wrong answers for each exercise."""
by_number = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: f"{lesson.number:02}")


@pytest.mark.slow
@by_number
def test_a_lesson_runs_from_top_to_bottom(lesson: Lesson) -> None:
    done = executed_notebook(lesson)
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert [output for cell in code for output in cell.outputs if output.get("name") == "stderr"] == []
    for cell in cells_tagged(done, CHECK):
        assert cell.outputs[-1]["text"].splitlines()[-1] == "right"
    pictures = [output for cell in code for output in cell.outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert all(len(picture.metadata["image/png"]["alt"]) > 40 for picture in pictures), "a figure has no caption"


@pytest.mark.slow
@by_number
def test_checks_accept_the_solution_and_refuse_wrong_answers(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plt, "show", lambda: None)
    mpl.use("Agg")
    wrong = wrong_answers(lesson)
    names: dict[str, Any] = {"__name__": "__main__"}
    exercise = ""
    for cell in teacher_notebook(lesson).cells:
        if cell.cell_type == "code":
            exercise = function_in(cell) if EXERCISE in tags(cell) else exercise
            run(cell, names)
            if CHECK in tags(cell):
                refuses(cell, names, exercise, wrong.pop(exercise))
    plt.close("all")
    assert wrong == {}, "there are wrong answers to what is no exercise"


def refuses(check: Any, names: dict[str, Any], exercise: str, wrong: dict[str, Callable[..., Any]]) -> None:
    right = names[exercise]
    assert len(wrong) >= FEWEST_WRONG
    for what, answer in wrong.items():
        assert list(inspect.signature(answer).parameters) == list(inspect.signature(right).parameters)
        names[exercise] = answer
        said = ""
        try:
            run(check, names)
        except WrongAnswer as refusal:
            said = str(refusal)
        assert len(said) > 10, f"the check of {exercise} accepts an answer that is wrong: {what}"
    names[exercise] = right


def wrong_answers(lesson: Lesson) -> dict[str, dict[str, Callable[..., Any]]]:
    """By exercise and by what is wrong; the file's functions are called `EXERCISE__WHAT_IS_WRONG`."""
    path = Path(__file__).parent / "wrong_answers" / lesson.path.name
    spec = importlib.util.spec_from_file_location(f"wrong_answers_{lesson.number}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, dict[str, Callable[..., Any]]] = {}
    for name, function in vars(module).items():
        exercise, _, what = name.partition("__")
        if exercise and what and inspect.isfunction(function):
            found.setdefault(exercise, {})[what] = function
    return found


def run(cell: Any, names: dict[str, Any]) -> None:
    with warnings.catch_warnings(action="ignore"):  # a notebook shows them, and the test above sees that
        exec(compile(cell.source, "<cell>", "exec"), names)


def tags(cell: Any) -> list[str]:
    found: list[str] = cell.metadata.get("tags", [])
    return found


def function_in(cell: Any) -> str:
    name = re.search(r"^def (\w+)", cell.source, re.MULTILINE)
    assert name is not None
    return name[1]


@by_number
def test_a_lesson_keeps_the_format(lesson: Lesson) -> None:
    cells = lesson.master.cells
    text = lesson.path.read_text(encoding="utf-8")
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert code[0] is cells[1]
    assert code[0].source.startswith("from secure_fl.labs.lessons import ")
    assert "\nbegin_lesson()\n" in code[0].source
    assert 15 <= lesson.minutes <= 30
    assert text.count(QUESTION) >= 2
    assert list(captioned(cells))
    showing = [cell.source.splitlines() for cell in code if re.search(r"^show\(", cell.source, re.MULTILINE)]
    assert showing
    assert all(re.match(r"(show\(|\)$)", lines[-1]) for lines in showing), "only the last line of a cell is shown"
    order = [tag for cell in code for tag in (EXERCISE, CHECK) if tag in tags(cell)]
    assert order
    assert order == [EXERCISE, CHECK] * (len(order) // 2), "each exercise is followed by its check"
    assert cells[-1].cell_type == "markdown"


@by_number
def test_a_students_notebook_holds_no_solution_and_no_output(lesson: Lesson) -> None:
    notebook = student_notebook(lesson)
    for master, cell in zip(lesson.master.cells, notebook.cells, strict=True):
        assert "SOLUTION" not in cell.source
        assert not cell.get("outputs")
        if EXERCISE in tags(cell):
            solution = re.search(r"# BEGIN SOLUTION\n(.*?)# END SOLUTION", master.source, re.DOTALL)
            assert solution is not None
            assert STUB in cell.source
            assert all(line not in cell.source.splitlines() for line in solution[1].strip().splitlines())
            names: dict[str, Any] = {}
            exec(compile("from __future__ import annotations\n" + cell.source, "<stub>", "exec"), names)
        else:
            assert cell.source == master.source
    assert "SOLUTION" not in "".join(cell.source for cell in teacher_notebook(lesson).cells)


def test_the_page_lists_the_lessons() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| \[(.+?)\]\((.+?)\) \| (\d+) \|", page, re.MULTILINE)
    told = [(int(number), title, name, int(minutes)) for number, title, name, minutes in rows]
    assert told == [(each.number, each.title, each.path.name, each.minutes) for each in LESSONS]


def test_what_is_shown_is_our_own_code_with_its_place() -> None:
    shown = show(function_in, WrongAnswer)
    first, second = shown._repr_markdown_().split("```python\n")[1:]
    assert inspect.getsource(function_in).rstrip() in first
    assert "class WrongAnswer" in second
    assert re.search(r"`secure_fl/labs/lessons.py, lines \d+ to \d+`", shown._repr_markdown_())
    assert repr(shown).startswith("# test_lessons.py, lines ")
