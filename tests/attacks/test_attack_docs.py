"""The figures of docs/attacks.md are what the command wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks import attack_figures
from benchmarks.attack_figures import PAGE, TABLES, with_interval
from benchmarks.written_blocks import read_block, write_block


@pytest.mark.parametrize("block", list(TABLES))
def test_a_table_is_what_its_command_wrote(block: str) -> None:
    assert read_block(PAGE, block) == TABLES[block][0]()


def test_a_figure_that_was_touched_by_hand_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "attacks.md"
    shutil.copy(PAGE, page)
    write_block(page, "audit", read_block(page, "audit").replace("3.00", "2.00"))
    assert read_block(page, "audit") != TABLES["audit"][0]()


@pytest.mark.parametrize("name", list(attack_figures.RUNS))
def test_what_is_kept_says_how_it_was_made(name: str) -> None:
    attack, scheme, _ = attack_figures.RUNS[name]
    report = attack_figures.figures_of(name)
    assert (report["attack"], report["scheme"]) == (attack, scheme)
    assert report["command"].startswith(f"secure-fl attack {attack} --scheme {scheme}")


def test_an_interval_has_two_places() -> None:
    assert with_interval(0.733, (0.5, 1.0)) == "0.73 [0.50, 1.00]"
