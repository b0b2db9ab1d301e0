"""docs/poisoning.md and its drawing are what the stored figures say, and name every rule and attack."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest

from benchmarks import poisoning
from benchmarks.poisoning import PAGE, PICTURE, SETTINGS, STORED, blocks, draw, maps_of, write_page
from benchmarks.written_blocks import read_block, write_block
from secure_fl.settings import Experiment
from secure_fl.settings.robust import LEAST_BANKS
from tests.report.made_up_poisoning import RESULTS
from tests.report.made_up_poisoning import SETTINGS as MADE_UP

REPORT: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", list(blocks(REPORT)))
def test_a_block_of_the_page_is_what_the_figures_say(name: str) -> None:
    assert read_block(PAGE, name) == blocks(REPORT)[name]


@pytest.mark.slow
def test_the_drawing_is_what_the_figures_say() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(REPORT)
    drawn = ElementTree.fromstring(draw(REPORT))
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    for attack in SETTINGS["attacks"]:
        assert attack in texts
    shown = [f"{value:.2f}" for heat_map in maps_of(REPORT) for line in heat_map.values for value in line if value]
    assert sorted(text for text in texts if text and "." in text and "@" not in text) == sorted(shown)
    assert "prefers-color-scheme: dark" in draw(REPORT)


def test_what_is_stored_is_what_the_command_of_today_would_try() -> None:
    tried = {name: list(value) if isinstance(value, tuple) else value for name, value in SETTINGS.items()}
    assert {name: REPORT["settings"][name] for name in tried} == tried
    assert REPORT["settings"]["banks"] == 10
    assert {row["byzantine"] for row in REPORT["results"]} == {0, 1, 2, 3}
    rows = [(row["rule"], row["attack"], row["byzantine"]) for row in REPORT["results"]]
    assert len(rows) == len({*rows}) == 1 + 6 * 4 + 7 * 7 * 3


def test_the_page_names_every_rule_and_attack_and_what_it_needs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for setting in ("robust", "attack"):
        for name in get_args(Experiment.model_fields[setting].annotation):
            assert f"| `{name}` |" in page or (setting, name) == ("attack", "none")
    for rule, (factor, more) in LEAST_BANKS.items():
        if rule != "fltrust":
            (line,) = [line for line in page.splitlines() if line.startswith(f"| `{rule}` |")]
            assert f"n >= {factor} f" + (f" + {more}" if more else "") in line


def found(rule: str, attack: str, byzantine: int) -> dict[str, Any]:
    return next(
        row for row in REPORT["results"] if (row["rule"], row["attack"], row["byzantine"]) == (rule, attack, byzantine)
    )


def test_what_the_page_tells_readers_to_see_is_in_the_figures() -> None:
    unharmed, rules = found("none", "none", 0), [rule for rule in SETTINGS["rules"] if rule != "none"]
    for attack in ("sign-flip", "scaled"):
        assert found("none", attack, 3)["auprc"] < 0.05
    for row in REPORT["results"]:
        assert row["rule"] == "none" or row["reason"] or row["auprc"] > 0.75
        assert row["reason"] is None or row["auprc"] is None
    for byzantine in (1, 2, 3):
        assert abs(found("none", "backdoor", byzantine)["auprc"] - unharmed["auprc"]) < 0.02
        assert abs(found("none", "label-flip", byzantine)["auprc"] - unharmed["auprc"]) < 0.02
        assert found("none", "backdoor", byzantine)["backdoor_success"] > 0.5
    passing = {rule: found(rule, "backdoor", 3)["backdoor_success"] for rule in rules if rule != "bulyan"}
    assert max(passing, key=lambda rule: passing[rule]) == "norm-clip"
    assert passing["norm-clip"] < unharmed["backdoor_success"] + 0.1
    for attack in ("a-little@1.5", "min-max"):
        quiet = found("multi-krum", attack, 3)
        assert quiet["rightly_excluded"] == 0.0
        assert quiet["wrongly_excluded"] > 0.4
        assert abs(quiet["auprc"] - unharmed["auprc"]) < 0.02
    assert unharmed["frauds_passed"] <= 0.2


@pytest.mark.slow
def test_a_figure_that_was_touched_by_hand_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, picture = tmp_path / "poisoning.md", tmp_path / "poisoning.svg"
    shutil.copy(PAGE, page)
    write_block(page, "cost", read_block(page, "cost").replace("0.", "9.", 1))
    assert read_block(page, "cost") != blocks(REPORT)["cost"]
    monkeypatch.setattr(poisoning, "PAGE", page)
    monkeypatch.setattr(poisoning, "PICTURE", picture)
    write_page(REPORT)
    assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
    assert picture.read_text(encoding="utf-8") == PICTURE.read_text(encoding="utf-8")


def test_blocks_of_made_up_figures() -> None:
    made = blocks({"results": RESULTS, "settings": MADE_UP, "command": "secure-fl attack poisoning"})
    assert "guessing has an AUPRC of 0.0013. Where nobody attacks, the mean reaches an AUPRC of 0.80." in made["run"]
    assert "| sign-flip, 2 | 0.01 | 0.70 | – |" in made["auprc"]
    assert "| backdoor@3: frauds that pass, 1 | 0.90 | 0.50 | 0.20 |" in made["auprc"]
    assert "| bulyan | backdoor@3 | 1 | 50 % | 17 % | 20 % |" in made["excluded"]
    assert "| bulyan | 1 | 0.775 | −0.025 | 1 ms |" in made["cost"]
    assert made["absent"].startswith("- bulyan needs 4 f + 3 banks")
    assert made["absent"].endswith("(3 cells)")
