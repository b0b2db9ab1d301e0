"""docs/robust.md says what the settings decide, and the figures that were stored."""

from __future__ import annotations

from benchmarks.robust_page import PAGE, REFUSED, costs, matrix, proofs, refusals, stored
from benchmarks.robust_runs import table
from benchmarks.written_blocks import read_block
from secure_fl.settings.robust import LEAST_BANKS


def test_the_page_is_what_the_settings_decide() -> None:
    assert read_block(PAGE, "matrix") == matrix()
    assert read_block(PAGE, "refusals") == refusals()
    assert read_block(PAGE, "costs") == costs(stored("krum"))
    assert read_block(PAGE, "proofs") == proofs(stored("proofs"))
    assert read_block(PAGE, "runs") == table(stored("robust"))


def test_what_the_page_says_of_its_runs_is_what_they_came_to() -> None:
    clean, cautious, softened, poisoned, borne, borne_wide, grouped = (row["auprc"] for row in stored("robust"))
    assert min(cautious, borne, borne_wide) > clean - 0.03
    assert poisoned < clean - 0.2
    assert poisoned < softened < clean
    assert grouped > clean - 0.1


def test_every_rule_has_a_line_and_every_refusal_its_reason() -> None:
    lines = matrix().splitlines()
    assert len(lines) == 2 + len(LEAST_BANKS)
    assert "| multi-krum | >= 2 f + 3 | updates | - | - | distances | - | - | groups |" in lines
    assert "| fltrust | >= f + 1 | updates | - | - | - | - | - | - |" in lines
    assert len(refusals().splitlines()) == len(REFUSED)
