"""Rules and attacks: what cannot mean anything is refused with the reason, in one line."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from secure_fl import Experiment
from secure_fl.errors import ConfigurationError
from secure_fl.robust import RULES
from secure_fl.settings.robust import LEAST_BANKS, STRENGTHLESS, TOGETHER, Robust, least_banks

PLAIN: dict[str, Any] = {"scheme": "plaintext"}
PRIVATE: dict[str, Any] = {"epsilon": 3.0, "delta": 1e-5}
ATTACKS = [name for name in get_args(Robust.model_fields["attack"].annotation) if name != "none"]


def refusal(**settings: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Experiment(**settings)
    text = str(caught.value)
    assert "\n" not in text
    assert "; " in text, "it says what to do"
    return text


def test_rules_of_settings_and_of_the_package_are_the_same() -> None:
    assert {"none", *RULES} == set(get_args(Robust.model_fields["robust"].annotation)) == {"none", *LEAST_BANKS}
    assert all(name == rule.name for name, rule in RULES.items())
    assert {*STRENGTHLESS, *TOGETHER} <= set(ATTACKS)


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("f", [0, 1, 2])
def test_a_rule_needs_as_many_banks_as_its_paper_says(rule: str, f: int) -> None:
    least = least_banks(rule, f)
    enough: dict[str, Any] = {"robust": rule, "byzantine": f, "banks": max(3, least)}
    assert Experiment(**PLAIN, **enough).robust == rule
    if least > 3:
        text = refusal(**PLAIN, robust=rule, byzantine=f, banks=least - 1)
        assert f"{least - 1} are too few; use at least {least} banks" in text


@pytest.mark.parametrize("scheme", ["additive", "masked", "ckks", "bfv"])
@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_scheme_that_hides_updates_goes_with_distances_and_groups_only(scheme: str, rule: str) -> None:
    grouped: dict[str, Any] = {"robust": rule, "scheme": scheme, "banks": 12, "group_size": 4}
    if rule in {"norm-clip", "fltrust"}:
        assert "says too little of those in it; use another rule" in refusal(**grouped)
    else:
        assert Experiment(**grouped).way(scheme) == "groups"
    if (rule, scheme) == ("multi-krum", "ckks"):
        assert Experiment(robust="multi-krum", scheme=scheme, banks=7, byzantine=2).way(scheme) == "distances"
        text = refusal(robust="multi-krum", scheme=scheme, banks=7, byzantine=2, holders=3)
        assert "distances of encrypted updates are opened by a key authority" in text
        assert Experiment(**grouped, holders=3).committee is not None
        return
    text = refusal(robust=rule, scheme=scheme, banks=7)
    if (rule, scheme) == ("krum", "ckks"):
        assert "a sum over one is its update, which ckks hides; use multi-krum" in text
    else:
        assert f"{rule} compares single updates, and {scheme} hides them; use --" in text
        assert ("--group-size" in text) == (rule not in {"norm-clip", "fltrust"})


@pytest.mark.parametrize("rule", sorted({*RULES} - {"norm-clip", "fltrust"}))
@pytest.mark.parametrize("f", [0, 1, 2])
def test_groups_are_as_many_as_the_rule_needs_banks(rule: str, f: int) -> None:
    settings: dict[str, Any] = {"robust": rule, "scheme": "masked", "byzantine": f, "group_size": 3}
    least = 3 * least_banks(rule, f)
    assert Experiment(**settings, banks=max(3, least)).groups == max(1, least // 3)
    if least > 3:
        text = refusal(**settings, banks=least - 1)
        assert f"with a group size of 3 make {(least - 1) // 3}; use at least {least} banks, smaller groups" in text


def test_what_groups_do_not_go_with() -> None:
    grouped: dict[str, Any] = {"robust": "median", "scheme": "masked", "group_size": 3, "banks": 9}
    assert "leave out --threshold" in refusal(**grouped, threshold=5)
    assert "add --robust, or leave out --group-size" in refusal(group_size=3)
    assert "group_size is refused: input should be greater than or equal to 3" in refusal(
        **(grouped | {"group_size": 2})
    )
    assert "with a group size of 10 make 0" in refusal(**(grouped | {"group_size": 10}))
    assert Experiment(**(grouped | {"scheme": "plaintext"})).way("plaintext") == "groups"


def test_a_clip_range_that_could_only_shrink_is_refused() -> None:
    checked: dict[str, Any]
    for checked in ({"scheme": "plaintext", "robust": "median"}, {"scheme": "additive", "proofs": True}):
        assert "could only shrink" in refusal(**checked, clip_margin=1.0)
        assert Experiment(**checked, clip_margin=1.01)
    assert Experiment(clip_margin=1.0)


def test_a_threshold_that_the_chosen_banks_never_reach_is_refused() -> None:
    chosen: dict[str, Any] = {"scheme": "ckks", "robust": "multi-krum", "banks": 9, "byzantine": 2}
    assert "sums 7 of 9 banks" in refusal(**chosen, threshold=8)
    assert Experiment(**chosen, threshold=7).threshold == 7
    assert Experiment(**(chosen | {"scheme": "plaintext"}), threshold=8).threshold == 8, "all of them arrive"


def test_what_a_rule_does_not_go_with() -> None:
    rule: dict[str, Any] = {**PLAIN, "robust": "median"}
    assert "reads single updates" in refusal(**rule, **PRIVATE, mechanism="distributed")
    assert "leave out error_feedback" in refusal(**rule, error_feedback=True)
    assert "use --downlink weights" in refusal(**rule, downlink="sum")
    assert "which DP-SGD does not cover" in refusal(**(rule | {"robust": "fltrust"}), **PRIVATE)
    assert Experiment(**rule, **PRIVATE).private_rows, "noise of each bank's own protects what a rule reads"
    assert Experiment(**rule, bits="float32").robust == "median"


def test_a_clip_range_that_could_only_narrow_is_refused() -> None:
    """Without a count of clipped values, only a margin brings a mean at the edge of the range to a wider one."""
    for alike in ({**PLAIN, "robust": "median"}, {"scheme": "additive", "proofs": True}):
        assert "use more than 1" in refusal(**alike, clip_margin=1.0)
        assert Experiment.model_validate({**alike, "clip_margin": 1.01}).alike
    assert Experiment(clip_margin=1.0).clip_margin == 1.0


def test_what_proofs_do_not_go_with() -> None:
    proven: dict[str, Any] = {"scheme": "additive", "proofs": True}
    assert Experiment(**proven).alike
    assert "use them with --scheme additive and without --robust" in refusal(**(proven | {"scheme": "masked"}))
    assert "without --robust" in refusal(**proven, robust="median", banks=9, group_size=3)
    assert "leave out --proofs, or use --mechanism dp-sgd" in refusal(**proven, **PRIVATE, mechanism="distributed")
    assert "longer than what is proved" in refusal(**proven, error_feedback=True)
    assert Experiment(**proven, **PRIVATE).private_rows


def test_a_norm_bound_is_one_that_somebody_checks() -> None:
    for checked in ({"scheme": "additive", "proofs": True}, {"robust": "multi-krum"}):
        assert Experiment.model_validate({**checked, "norm_bound": 0.5}).norm_bound == 0.5
    for unchecked in ({}, {**PLAIN, "robust": "median"}, {"scheme": "additive"}):
        assert "nobody would check a norm bound; add" in refusal(**unchecked, norm_bound=0.5)


def test_byzantine_banks_do_something() -> None:
    assert "add --robust or --attack" in refusal(byzantine=1)
    assert "leave no honest one" in refusal(byzantine=3, attack="sign-flip")
    assert "add --attack, or leave it out" in refusal(attack_strength=1.0)
    assert "epsilon would be untrue" in refusal(**PRIVATE, attack="sign-flip", byzantine=1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_has_attackers_and_a_strength_only_where_it_means_something(attack: str) -> None:
    least = 2 if attack in TOGETHER else 1
    assert f"use --byzantine {least} or more" in refusal(attack=attack, byzantine=least - 1, banks=5)
    experiment = Experiment.model_validate({"attack": attack, "byzantine": 2, "banks": 5})
    assert experiment.attackers == ("bank-4", "bank-5")
    if attack in STRENGTHLESS:
        assert "takes no attack_strength; leave it out" in refusal(
            attack=attack, byzantine=2, banks=5, attack_strength=1.0
        )
    else:
        assert experiment.with_(attack_strength=1.5).attack_strength == 1.5


def test_nobody_attacks_where_nothing_is_said() -> None:
    assert Experiment().attackers == ()
    assert Experiment(**PLAIN, robust="median", byzantine=1).attackers == ()
