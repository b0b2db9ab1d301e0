"""How many banks may vanish and how many may collude: what every plan says is what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from secure_fl.cli.summary import print_figures
from secure_fl.errors import DropoutError, PlanError
from secure_fl.secagg import SCHEMES, plan, simulate
from secure_fl.secagg.budget import FLOAT32, Plan
from secure_fl.secagg.planning import plan_with_noise

every_scheme = pytest.mark.parametrize("scheme", SCHEMES)
secret_schemes = pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "plaintext"])
sizes = pytest.mark.parametrize(("banks", "threshold"), [(3, None), (5, None), (5, 5), (8, None), (9, 7), (12, 12)])


def updates(banks: int) -> Any:
    return np.random.default_rng(banks).integers(0, 16, (banks, 7))


@pytest.mark.slow
@every_scheme
@sizes
def test_so_many_may_vanish_and_not_one_more(scheme: str, banks: int, threshold: int | None) -> None:
    may = plan(scheme, banks, 7, 4, threshold).may_vanish
    assert may == banks - (threshold or banks // 2 + 1)
    stage, rows = SCHEMES[scheme].input_stage, updates(banks)
    opened = simulate(scheme, rows, 4, threshold, drop=dict.fromkeys(range(may), stage))
    assert (opened.total == rows[may:].sum(axis=0)).all()
    with pytest.raises(DropoutError, match="threshold"):
        simulate(scheme, rows, 4, threshold, drop=dict.fromkeys(range(may + 1), stage))


@secret_schemes
@sizes
def test_one_more_curious_bank_reads_an_update(scheme: str, banks: int, threshold: int | None) -> None:
    """When as many vanish as may; the protocol is followed by all."""
    planned = plan(scheme, banks, 7, 4, threshold)
    may = planned.may_collude_curious
    assert may == planned.threshold - 2
    gone, rows = planned.may_vanish, updates(banks)
    opened = simulate(scheme, rows, 4, threshold, drop=dict.fromkeys(range(gone), SCHEMES[scheme].input_stage))
    known = rows[gone : gone + may + 1].sum(axis=0)
    assert (opened.total - known == rows[-1]).all(), "with one more only the last one is left"
    assert len(opened.contributors) - may == 2, "so many leave the sum of two"


@given(st.integers(3, 100), st.data())
def test_liars_are_fewer_than_what_two_stories_need(banks: int, data: st.DataObject) -> None:
    """With two lists of t survivors each, 2t - n honest banks would have to sign both."""
    threshold = data.draw(st.integers(banks // 2 + 1, banks))
    masked = plan("masked", banks, 7, 4, threshold)
    liars = masked.may_collude_lying
    assert liars is not None
    assert liars == min(2 * threshold - banks - 1, threshold - 2)
    assert 2 * threshold - liars > banks, "so many can sign twice, and there are too few others"
    assert masked.may_collude_curious == threshold - 2 >= liars


@pytest.mark.parametrize("scheme", ["plaintext", "additive", "ckks", "bfv"])
def test_where_a_lying_aggregator_needs_nobody_the_plan_says_so(scheme: str) -> None:
    assert plan(scheme, 5, 7, 4).may_collude_lying is None
    assert plan("plaintext", 5, 7, 4).may_collude_curious is None


@settings(deadline=None, max_examples=40)
@given(st.integers(101, 10_000), st.data())
def test_many_banks_are_no_exception(banks: int, data: st.DataObject) -> None:
    threshold = data.draw(st.one_of(st.none(), st.integers(banks // 2 + 1, banks)))
    masked = plan("masked", banks, 7, 4, threshold)
    curious, liars = masked.may_collude_curious, masked.may_collude_lying
    assert curious is not None
    assert liars is not None
    assert masked.may_vanish == banks - masked.threshold
    assert 0 <= liars <= masked.threshold - 2
    assert 0 < curious <= masked.threshold - 2


@pytest.mark.slow
@pytest.mark.parametrize("banks", [101, 131])
def test_a_hundred_banks_and_more_survive_what_the_plan_says(banks: int) -> None:
    rows, lost = updates(banks), plan("masked", banks, 7, 4).may_vanish
    assert lost > banks // 3
    gone = np.random.default_rng(1).choice(banks, lost, replace=False)
    opened = simulate("masked", rows, 4, drop={int(row): "masked_input" for row in gone})
    assert (opened.total == np.delete(rows, gone, axis=0).sum(axis=0)).all()


@every_scheme
def test_the_figures_of_a_plan_and_what_the_terminal_says(scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    planned = plan(scheme, 9, 1000, 8)
    figures = planned.derived()
    names = ("may_vanish", "may_collude_curious", "may_collude_lying")
    assert [figures[name] for name in names] == [getattr(planned, name) for name in names]
    print_figures(figures)
    said = [re.sub(" +", " ", line).strip() for line in capsys.readouterr().out.splitlines()]
    assert "banks that may vanish 4" in said
    curious, lying = (
        "it alone reads updates" if number is None else str(number)
        for number in (planned.may_collude_curious, planned.may_collude_lying)
    )
    assert f"banks that may collude with a curious aggregator {curious}" in said
    assert f"banks that may collude with a lying aggregator {lying}" in said


def test_the_table_in_the_docs_is_what_the_planner_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+) \|((?: [\d,]+ \|){6})$", page, re.MULTILINE)
    assert len(rows) >= 8
    for banks, figures in rows:
        planned = plan("masked", int(banks.replace(",", "")), 10_369, 8)
        said = [int(figure.replace(",", "")) for figure in figures.strip("| ").split(" | ")]
        names = ("threshold", "may_vanish", "degree", "witnesses", "may_collude_curious", "may_collude_lying")
        assert said == [planned.derived()[name] for name in names]


# Advice


def numbers() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "scheme": st.sampled_from([*SCHEMES, "rot13"]),
            "banks": st.one_of(st.integers(-1, 12), st.integers(9_000, 11_000), st.integers(3, 10_000)),
            "parameters": st.one_of(st.integers(-1, 10), st.integers(10**7, 2 * 10**8)),
            "bits": st.one_of(st.integers(0, 30), st.just(FLOAT32), st.just("eight"), st.just(7.5)),
            "threshold": st.one_of(st.none(), st.integers(0, 11_000), st.just(1.5)),
        }
    )


def advised(refusal: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What to ask for instead, read from the sentence."""
    asked = dict(asked)
    told = refusal.split("; ", 1)[1]
    if found := re.match(r"choose one of (\w+),", told):
        asked["scheme"] = found[1]
    elif found := re.match(r"change (\w+)$", told):
        asked[found[1]] = {"bits": 8, "threshold": None}[found[1]]
    elif found := re.match(r"use (\d+) to (\d+) banks", told):
        asked["banks"] = min(max(asked["banks"], int(found[1])), int(found[2]))
    elif found := re.match(r"use 1 to (\d+)$", told):
        asked["parameters"] = min(max(asked["parameters"], 1), int(found[1]))
    elif found := re.match(r"use (\d+) to (\d+) for", told):
        asked["threshold"] = int(found[1])
    elif found := re.match(r"use (\d+) to (\d+) bits or plaintext$", told):
        asked["bits"] = int(found[1])
    elif found := re.match(r"use (\d+) to (\d+), or float32 with plaintext$", told):
        asked["bits"] = int(found[2])
    elif found := re.match(r"use at most (\d+) bits or fewer banks$", told):
        asked["bits"] = int(found[1])
    else:
        pytest.fail(f"nobody could follow this: {refusal}")
    return asked


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@example({"scheme": "rot13", "banks": 10_001, "parameters": 0, "bits": 0, "threshold": 0})
@given(numbers())
def test_whoever_follows_the_advice_gets_a_plan(asked: dict[str, Any]) -> None:
    """Each refusal leads to another request; after one for each number, and two for the bits, there is a plan."""
    for _ in range(len(asked) + 2):  # bits may have to change twice: what can be a width, then what fits the sum
        try:
            made = plan(**asked)
        except PlanError as refused:
            refusal = str(refused)
        else:
            assert isinstance(made, Plan)
            return
        followed = advised(refusal, asked)
        assert followed != asked, f"the advice changes nothing: {refusal}"
        asked = followed
    pytest.fail("the advice leads nowhere")


@settings(deadline=None, max_examples=150)
@example("additive", 2_501, 1, 20, 1e-6)
@given(
    st.sampled_from(sorted(SCHEMES)),
    st.integers(3, 3_000),
    st.integers(1, 10**6),
    st.integers(4, 24),
    st.floats(1e-6, 1e6),
)
def test_whoever_follows_the_advice_about_noise_gets_a_plan(
    scheme: str, banks: int, parameters: int, bits: int, noise_multiplier: float
) -> None:
    """More bits or fewer, or another noise; `use a larger epsilon` means less of it."""
    for _ in range(60):
        try:
            plan_with_noise(scheme, banks, parameters, noise_multiplier, bits)
            return
        except PlanError as refused:
            told = str(refused).split("; ", 1)[1]
        if found := re.match(r"use at (least|most) (\d+) bits", told):
            assert bits != int(found[2])
            bits = int(found[2])
        elif told in ("use a larger noise multiplier", "use a larger noise multiplier with fewer bits"):
            noise_multiplier *= 4
        else:
            assert told == "use a larger epsilon or more banks"
            noise_multiplier /= 4
    pytest.fail("the advice leads nowhere")
