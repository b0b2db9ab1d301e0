"""From a lesson's file to notebooks, and what a student's cell says when something is wrong with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from secure_fl.cli.app import app
from secure_fl.errors import ConfigurationError, LessonError
from secure_fl.labs import notebooks
from secure_fl.labs.notebooks import Lesson, chosen_lessons, executed_notebook, read_lesson, student_notebook
from secure_fl.labs.workbooks import KERNELS, write_kernel, write_notebook

TITLE = "# %% [markdown]\n# # 7. A test\n#\n# 20 minutes.\n\n"
BEGIN = "# %%\nfrom secure_fl.labs.lessons import WrongAnswer, begin_lesson\n\nbegin_lesson()\n\n"
EXERCISE = """# %% tags=["exercise"]
def double(number):
    # BEGIN SOLUTION
    return 2 * number
    # END SOLUTION

"""
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def lesson_of(folder: Path, text: str) -> Lesson:
    path = folder / "07_a_test.py"
    path.write_text(text, encoding="utf-8")
    return read_lesson(path)


def failing(lesson: Lesson, *skipped: int) -> str:
    """What the last cell shows as its error, where the cells of these numbers were skipped."""
    notebook = student_notebook(lesson)
    notebook.cells = [cell for place, cell in enumerate(notebook.cells) if place not in skipped]
    notebook.cells[-1].metadata.tags = ["raises-exception"]
    outputs = executed_notebook(lesson, notebook).cells[-1].outputs
    (error,) = (output for output in outputs if output.output_type == "error")
    return ANSI.sub("", "\n".join(error.traceback))


@pytest.mark.slow
@pytest.mark.parametrize("skipped", [(), (1,)], ids=["the first cell was run", "no cell was run"])
def test_a_cell_that_is_run_too_early_says_so_in_one_line(tmp_path: Path, skipped: tuple[int, ...]) -> None:
    said = failing(lesson_of(tmp_path, TITLE + BEGIN + "# %%\nprint([n for n in range(shares)])\n"), *skipped)
    assert said.startswith("`shares` does not exist yet: run the cells above this one (Run > Run All Above Selected")
    assert "\n" not in said


@pytest.mark.slow
def test_a_name_that_is_missing_inside_of_a_function_keeps_its_traceback(tmp_path: Path) -> None:
    said = failing(lesson_of(tmp_path, TITLE + BEGIN + "# %%\ndef f():\n    return shares\n\n\nf()\n"))
    assert "in f()" in said
    assert "`shares` does not exist yet" in said.splitlines()[-1]


@pytest.mark.slow
def test_a_wrong_answer_and_a_missing_one_are_short(tmp_path: Path) -> None:
    check = '# %% tags=["check"]\nraise WrongAnswer("it is too small")\n'
    assert failing(lesson_of(tmp_path, TITLE + BEGIN + check)) == "not right yet: it is too small"
    said = failing(lesson_of(tmp_path, TITLE + BEGIN + EXERCISE + "# %%\nprint(double(3))\n"))
    assert said == ("no answer yet: your answer goes in the place of `raise NotImplementedError` in the exercise above")
    other = "# %%\nraise NotImplementedError('something else')\n"
    assert failing(lesson_of(tmp_path, TITLE + BEGIN + other)).endswith("NotImplementedError: something else")


@pytest.mark.slow
def test_a_cell_that_fails_is_named(tmp_path: Path) -> None:
    lesson = lesson_of(tmp_path, TITLE + BEGIN + "# %%\nprint(1 / 0)\n")
    with pytest.raises(LessonError, match="lesson 7: cell 3 ends with ZeroDivisionError: division by zero; mend"):
        executed_notebook(lesson)


@pytest.mark.slow
def test_a_cell_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "SECONDS", 2)
    with pytest.raises(LessonError, match="lesson 7: a cell takes longer than 2 s"):
        executed_notebook(lesson_of(tmp_path, TITLE + "# %%\nwhile True:\n    pass\n"))


@pytest.mark.slow
def test_a_kernel_that_dies_is_said(tmp_path: Path) -> None:
    lesson = lesson_of(tmp_path, TITLE + "# %%\nimport os\n\nos._exit(1)\n")
    with pytest.raises(LessonError, match="lesson 7: its kernel died or did not start"):
        executed_notebook(lesson)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no title `# 7. ...`"),
        (BEGIN + TITLE, "no title"),
        (TITLE.replace("7.", "8."), "no title"),
        (TITLE.replace("20 minutes", "a while"), "with its minutes below"),
        (TITLE + "# %%\ndef f(:\n", "cell 2 is not Python \\(invalid syntax, its line 1\\)"),
        (TITLE + EXERCISE.replace("END", "STOP"), "cell 2 must have the tag exercise"),
        (TITLE + EXERCISE.replace("def double", "# END SOLUTION\ndef double"), "cell 2 must have the tag exercise"),
        (TITLE + EXERCISE.replace('tags=["exercise"]', ""), "cell 2 must have the tag exercise"),
        (TITLE + '# %% tags=["exercise"]\ndef f():\n    return 1\n', "cell 2 must have the tag exercise"),
    ],
)
def test_a_file_that_is_no_lesson_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"07_a_test.py is no lesson: .*{problem}.*; mend it there"):
        lesson_of(tmp_path, text)


def test_lessons_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no lessons"):
        chosen_lessons(tmp_path)
    lesson_of(tmp_path, TITLE)
    with pytest.raises(ConfigurationError, match="there is no lesson 99; choose among 7"):
        chosen_lessons(tmp_path, [99])


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(notebooks, "import_module", absent)
    with pytest.raises(ConfigurationError, match=r"jupytext is not installed; install secure-fl\[lessons,docs\]"):
        lesson_of(tmp_path, TITLE)


def test_a_notebook_that_somebody_edited_stays_and_others_follow_the_lesson(tmp_path: Path) -> None:
    place = tmp_path / "book.ipynb"

    def outcome(text: str, **how: bool) -> str:
        return write_notebook(student_notebook(lesson_of(tmp_path, TITLE + text)), place, **how).outcome

    assert outcome("# %%\n1\n1\n") == "written"
    assert outcome("# %%\n1\n1\n") == "as it was"
    there = json.loads(place.read_text(encoding="utf-8"))
    there["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["mine"]}]
    there["cells"][1]["source"] = there["cells"][1]["source"].splitlines(keepends=True)  # as JupyterLab writes it
    place.write_text(json.dumps(there), encoding="utf-8")
    assert outcome("# %%\n1\n1\n") == "as it was"
    assert "mine" in place.read_text(encoding="utf-8"), "cells that were run are no edit, and stay"
    assert outcome("# %%\n2\n") == "written"
    there = json.loads(place.read_text(encoding="utf-8"))
    there["cells"][1]["source"] = "my own"
    place.write_text(json.dumps(there), encoding="utf-8")
    assert outcome("# %%\n2\n") == "as it was"
    assert outcome("# %%\n3\n") == "kept"
    assert "my own" in place.read_text(encoding="utf-8")
    assert outcome("# %%\n3\n", outputs=True) == "kept"
    assert outcome("# %%\n3\n", force=True) == "written"
    place.write_text("no notebook", encoding="utf-8")
    assert outcome("# %%\n3\n") == "kept", "what cannot be read is somebody's too"


def test_the_commands_build_and_list(tmp_path: Path) -> None:
    lesson_of(tmp_path, TITLE + BEGIN + EXERCISE)
    to, lessons = str(tmp_path / "work"), ["--lessons", str(tmp_path)]
    assert CliRunner().invoke(app, ["lesson", "list", *lessons]).stdout == " 7  A test (20 minutes)\n"
    built = CliRunner().invoke(app, ["lesson", "build", "--to", to, *lessons])
    assert (built.exit_code, built.stdout) == (0, f"{to}/07_a_test.ipynb: written\n")
    book = tmp_path / "work" / "07_a_test.ipynb"
    assert "2 * number" not in book.read_text(encoding="utf-8")
    assert (tmp_path / "work" / KERNELS / "kernels" / "python3" / "kernel.json").is_file()
    book.write_text(book.read_text(encoding="utf-8").replace("def double", "def twice"), encoding="utf-8")
    built = CliRunner().invoke(app, ["lesson", "build", "--solutions", "--to", to, *lessons])
    assert built.stdout == f"{book}: kept\n"
    assert "--force replaces it" in built.stderr
    built = CliRunner().invoke(app, ["lesson", "build", "--solutions", "--force", "--to", to, *lessons])
    assert "2 * number" in book.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_command_executes(tmp_path: Path) -> None:
    caption = "# %% [markdown]\n# *Figure.* A line that\n# rises.\n"
    figure = "# %%\nimport matplotlib.pyplot as plt\n\nplt.plot([1, 2])\nplt.show()\n\n"
    lesson_of(tmp_path, TITLE + BEGIN + EXERCISE + figure + caption)
    to = tmp_path / "done"
    done = CliRunner().invoke(app, ["lesson", "execute", "--only", "7", "--to", str(to), "--lessons", str(tmp_path)])
    assert (done.exit_code, done.output) == (0, f"{to}/07_a_test.ipynb: written\n")
    cells = json.loads((to / "07_a_test.ipynb").read_text(encoding="utf-8"))["cells"]
    assert "hide-input" in cells[2]["metadata"]["tags"]
    (picture,) = (output for output in cells[3]["outputs"] if "image/png" in output.get("data", {}))
    assert picture["metadata"]["image/png"]["alt"] == "A line that rises."


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="choose another --to"):
        write_kernel(tmp_path / "file")
