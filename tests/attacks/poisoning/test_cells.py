"""What poisoning tries, and what it does not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from secure_fl import Experiment
from secure_fl.attacks.poisoning.cells import MEAN, NONE, Cell, Grid, named
from secure_fl.attacks.poisoning.run import possible
from secure_fl.errors import ConfigurationError
from secure_fl.robust import RULES
from secure_fl.settings.robust import least_banks

BASE = Experiment(scheme="plaintext", banks=10)


def grid(**changes: Any) -> Grid:
    settings: dict[str, Any] = {"rules": ("none", "median"), "attacks": ("sign-flip",), "byzantine": (0, 2), "seeds": 1}
    return Grid(**(settings | changes))


def test_each_rule_meets_each_attack_and_nobody_at_all() -> None:
    assert grid().cells == (
        MEAN,
        Cell("none", "sign-flip", 2),
        Cell("median", NONE, 0),
        Cell("median", NONE, 2),
        Cell("median", "sign-flip", 2),
    )


def test_the_mean_without_attackers_is_always_there_and_every_cell_has_its_unharmed_one_before_it() -> None:
    cells = grid(rules=("krum", "median", "krum"), byzantine=(3, 1, 3), attacks=("backdoor", "min-max")).cells
    assert cells[0] == MEAN
    assert len({*cells}) == len(cells)
    for place, cell in enumerate(cells):
        assert cell.unharmed == cell or cell.unharmed in cells[:place]
        assert cell.unharmed.attack == NONE
    assert Cell("none", "sign-flip", 3).unharmed == MEAN
    assert Cell("krum", "sign-flip", 3).unharmed == Cell("krum", NONE, 3)


def test_a_strength_may_be_named() -> None:
    assert named("a-little@1.5") == ("a-little", 1.5)
    assert named("a-little") == ("a-little", None)
    made = Cell("median", "a-little@1.5", 2).experiment(BASE)
    assert (made.robust, made.attack, made.byzantine, made.attack_strength) == ("median", "a-little", 2, 1.5)
    assert Cell("median", NONE, 2).experiment(made).attack == NONE


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"rules": ("mode",)}, "there is no rule 'mode'; choose from none, median"),
        ({"rules": ()}, "no rule is named"),
        ({"attacks": ("none",)}, "there is no attack 'none'; choose from label-flip"),
        ({"attacks": ("sign-flip@hard",)}, "'hard' is no strength of sign-flip; write a number"),
        ({"byzantine": ()}, "fewer than 0 attackers"),
        ({"byzantine": (0, -1)}, "fewer than 0 attackers"),
        ({"seeds": 0}, "0 seeds measure nothing"),
    ],
)
def test_what_does_not_exist_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(what)):
        grid(**changes)


def test_what_cannot_be_is_kept_with_its_reason() -> None:
    attacks = ("sign-flip", "min-max", "a-little", "label-flip@2")
    kept, refused = possible(BASE, grid(rules=("none", *RULES), attacks=attacks, byzantine=(0, 1, 2, 3, 4, 10)))
    every = grid(rules=("none", *RULES), attacks=attacks, byzantine=(0, 1, 2, 3, 4, 10)).cells
    assert {*kept} | {*refused} == {*every}
    assert not {*kept} & {*refused}
    for cell in every:
        if cell.rule in RULES and least_banks(cell.rule, cell.byzantine) > BASE.banks:
            assert cell in refused
    assert {cell.byzantine for cell in refused if cell.rule == "krum" and cell.attack == "sign-flip"} == {4, 10}
    assert refused[Cell("none", "min-max", 1)].startswith("min-max, which compares attackers' updates")
    assert refused[Cell("none", "a-little", 2)].startswith("a-little finds no deviation that hides 2 of 10 banks")
    assert refused[Cell("median", "label-flip@2", 1)].startswith("label-flip takes no attack_strength")
    assert Cell("bulyan", "sign-flip", 1) in kept
    assert refused[Cell("bulyan", "sign-flip", 2)].startswith("bulyan needs 4 f + 3 banks")


def test_where_nothing_that_was_named_can_be_the_first_reason_is_raised() -> None:
    with pytest.raises(ConfigurationError, match="bulyan needs 4 f"):
        possible(BASE, grid(rules=("bulyan",), byzantine=(2, 3)))
    with pytest.raises(ConfigurationError, match="masked hides them"):
        possible(BASE.with_(scheme="masked"), grid(rules=("median",)))
