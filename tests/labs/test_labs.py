"""Every lab can be solved, cannot be guessed, and its solution finds nothing where the defect is mended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secure_fl.cli.app import app
from secure_fl.errors import ConfigurationError
from secure_fl.labs import Lab, all_labs, check, find_lab, seen_text
from secure_fl.labs.lab import Instance

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "labs"
LABS = all_labs(FOLDER)
by_number = pytest.mark.parametrize("lab", LABS, ids=lambda lab: str(lab.number))


def solution(lab: Lab) -> Path:
    return Path(__file__).parent / "solutions" / f"lab_{lab.number:02}.py"


def written(folder: Path, text: str) -> Path:
    answer = folder / "answer.py"
    answer.write_text(text, encoding="utf-8")
    return answer


@pytest.mark.slow
@by_number
def test_the_solution_scores_full_marks_and_nothing_against_the_strong_protocol(lab: Lab) -> None:
    grade = check(lab.instance, solution(lab))
    assert (grade.right, grade.instances, grade.trouble) == (20, 20, None)
    assert check(lab.strong, solution(lab), instances=5).right == 0


@by_number
def test_a_blind_guess_scores_nothing(lab: Lab, tmp_path: Path) -> None:
    guess = "import secrets\ndef recover(seen):\n    return [secrets.randbelow(256) for _ in range(8)]\n"
    assert check(lab.instance, written(tmp_path, guess)).right == 0


@by_number
def test_what_is_seen_differs_each_time_and_does_not_hold_what_is_hidden(lab: Lab) -> None:
    first, second = lab.instance(), lab.instance()
    assert first.seen != second.seen
    assert first.hidden != second.hidden
    assert len(first.hidden) == 8
    assert str(first.hidden)[1:-1] not in json.dumps(first.seen)


def test_weak_code_says_so_and_the_page_lists_it() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [lab.number for lab in LABS] == list(range(1, len(LABS) + 1))
    for path in FOLDER.glob("[0-9]*.py"):
        assert path.read_text(encoding="utf-8").startswith('"""WEAK ON PURPOSE, never use it: ')
        assert f"({path.name})" in page


def test_nothing_of_the_package_reaches_weak_code() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "secure_fl").rglob("*.py")]
    assert not any("import examples" in text or "from examples" in text for text in sources)


def known() -> Instance:
    return Instance({"value": 7}, [7, 8])


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("def recover(seen):\n    return [7]\n", "not a list of 2 whole numbers"),
        ("def recover(seen):\n    return 7\n", "not iterable"),
        ("def other(seen):\n    return [7, 8]\n", "no function recover"),
        ("def recover(seen):\n    raise ValueError('lost')\n", "ValueError: lost"),
        ("def recover(seen)\n", "SyntaxError"),
        ("import sys\nsys.exit(3)\n", "status 3"),
        ("def recover(seen):\n    while True:\n        pass\n", "longer than 0.5 s"),
    ],
)
def test_what_an_answer_does_wrong_is_said(tmp_path: Path, text: str, trouble: str) -> None:
    grade = check(known, written(tmp_path, text), instances=3, seconds=0.5 if "while" in text else 30.0)
    assert (grade.right, grade.instances) == (0, 3)
    assert trouble in (grade.trouble or "")


@pytest.mark.parametrize(
    "printing", ["pass", "print('[0, 0]')", "__import__('os').write(1, b'[0, 0]\\n')", "print('x' * 100_000)"]
)
def test_what_an_answer_prints_is_not_its_answer(tmp_path: Path, printing: str) -> None:
    text = f"def recover(seen):\n    {printing}\n    return [seen['value'], 8]\n"
    grade = check(known, written(tmp_path, text), instances=3)
    assert (grade.right, grade.trouble) == (3, None)


def test_an_answer_runs_where_nothing_lies(tmp_path: Path) -> None:
    """It finds neither the lab nor what is hidden beside itself."""
    text = "import os, sys\ndef recover(seen):\n    return [len(os.listdir('.')), len(sys.argv) - 2]\n"
    assert check(lambda: Instance({}, [0, 0]), written(tmp_path, text), instances=2).full


def test_a_lab_or_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no labs"):
        all_labs(tmp_path)
    with pytest.raises(ConfigurationError, match="there is no lab 99; choose one of 1, 2"):
        find_lab(FOLDER, 99)
    with pytest.raises(ConfigurationError, match="is no file"):
        check(known, tmp_path / "absent.py")


def test_the_command_grades_and_lists(tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["lab", "list", "--labs", str(FOLDER)])
    assert [line for line in listed.stdout.splitlines() if line.startswith("1 ")] == [f"1  {LABS[0].title}"]
    words = ["lab", "check", "2", str(solution(LABS[1])), "--labs", str(FOLDER), "--instances", "3"]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout.strip()) == (0, f"{LABS[1].title}: 3 of 3, solved")
    wrong = written(tmp_path, "def recover(seen):\n    return []\n")
    words[3] = str(wrong)
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "lab": 2, "right": 0, "instances": 3, "trouble": "an answer is not a list of 8 whole numbers",
    }  # fmt: skip


@by_number
def test_a_lab_is_shown_with_its_banner_its_goal_and_what_is_seen_in_a_bearable_size(lab: Lab) -> None:
    done = CliRunner().invoke(app, ["lab", "show", str(lab.number), "--labs", str(FOLDER)])
    code = lab.path.read_text(encoding="utf-8")
    assert done.exit_code == 0
    assert lab.title in done.stdout
    assert lab.goal in done.stdout
    assert code in done.stdout
    seen = json.loads(done.stdout[done.stdout.index("\n{\n") : done.stdout.rindex("\n}\n") + 2])
    assert seen.keys() == lab.instance().seen.keys()
    assert len(done.stdout) < len(code) + 3_000


def test_a_lab_is_shown_whole_as_json_and_without_what_is_hidden(tmp_path: Path) -> None:
    weak = "TITLE, GOAL = 'A title', 'find it'\ndef instance():\n    return {'long': 'x' * 500}, [int('9' * 7)]\n"
    (tmp_path / "01_weak.py").write_text(f"{weak}strong = instance\n", encoding="utf-8")
    shown = CliRunner().invoke(app, ["lab", "show", "1", "--labs", str(tmp_path)]).stdout
    assert "... (500 characters)" in shown
    whole = CliRunner().invoke(app, ["lab", "show", "1", "--labs", str(tmp_path), "--json"]).stdout
    assert json.loads(whole) == {"lab": 1, "title": "A title", "goal": "find it", "seen": {"long": "x" * 500}}
    assert "9999999" not in shown + whole


def test_long_values_are_cut_wherever_they_stand_and_short_ones_are_not() -> None:
    seen = {"a": [list(range(13)), "y" * 61], "b": {"c": "z" * 60, "d": tuple(range(12))}}
    cut = json.loads(seen_text(seen))
    assert cut["a"] == [[*range(12), "... (13 items)"], "y" * 60 + "... (61 characters)"]
    assert cut["b"] == {"c": "z" * 60, "d": list(range(12))}
