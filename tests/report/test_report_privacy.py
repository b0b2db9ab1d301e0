"""The section on differential privacy: what was promised, what it cost, what is left out, and when there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from secure_fl.federation.results import BankPrivacy, Privacy, Result
from secure_fl.report import budget_figure, figures, render
from secure_fl.report.promise import (
    delta_text,
    epsilon_text,
    largest_share_of_right_guesses,
    promise_of,
    spending,
)

pytestmark = pytest.mark.slow

MakeResult = Callable[..., Result]
Words = Callable[[Result], str]

PER_ROW = Privacy(
    mechanism="dp-sgd",
    epsilon=2.8104,
    delta=1e-5,
    unit="transaction",
    neighbours="one of them added to a bank's training rows, or removed",
    accountant="prv",
    banks=(BankPrivacy("bank-1", 2.8104, 0.91931, 0.015406, 1_320), BankPrivacy("<b>2", 2.5, 0.91931, 0.0151, 1_310)),
    statistics_noise_multiplier=20.0,
    epsilon_by_accountant={"prv": 2.8104, "pld": 2.8011, "rdp": 3.1234, "rdp (Google)": 3.1233},
    not_covered=("the number of rows", "the choice of <settings>"),
    notes=("delta is not below 1 / 900 rows",),
)
PER_BANK = replace(
    PER_ROW,
    mechanism="distributed",
    unit="bank",
    neighbours="one bank's update replaced by zero",
    accountant="rdp",
    banks=(BankPrivacy("bank-1", 2.8104, 4.2, 1.0, 4),),
    statistics_noise_multiplier=None,
    epsilon_by_accountant={},
    notes=("a bank knows its own share of the noise",),
)


def spent(result: Result, privacy: Privacy, budget: float | None = 3.0) -> Result:
    """The result of a run that spent `privacy`, in equal parts in every round."""
    part = privacy.epsilon / len(result.rounds)
    rounds = tuple(replace(record, epsilon=part * record.round) for record in result.rounds)
    if privacy.mechanism == "distributed":
        rounds = tuple(replace(record, max_abs_error=None) for record in rounds)
    experiment = {**result.experiment, **({} if budget is None else {"epsilon": budget})}
    return replace(result, privacy=privacy, rounds=rounds, experiment=experiment)


def section(page: str) -> str:
    """The text of the section, without tags and drawings."""
    found = re.search(r'<section id="privacy".*?</section>', page, flags=re.DOTALL)
    assert found is not None
    text = re.sub(r"<svg.*?</svg>", " ", found[0], flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_without_privacy_one_sentence_says_so(make_result: MakeResult, words: Words) -> None:
    page = words(replace(make_result(rounds=2), privacy=None))
    assert section(page).endswith(
        "This run was trained without differential privacy: nothing limits what the sums and the model reveal about "
        "single transactions."
    )
    assert "without privacy" not in page
    assert "Epsilon" not in page


def test_promise_per_row_names_figures_unit_and_readers(make_result: MakeResult, words: Words) -> None:
    text = section(words(spent(make_result(rounds=4), PER_ROW)))
    for said in (
        "the aggregator, the other banks, everybody who ever gets the model",
        "any one transaction was among the rows that the bank trained on: epsilon 2.811 at delta 1e-5.",
        "one of them added to a bank&#39;s training rows, or removed",
        "this run may spend 3",
        "noisy histograms, noise multiplier 20",
        "delta is not below 1 / 900 rows",
        "bank-1 0.9193 0.01541 1,320 2.811",
        "&lt;b&gt;2 0.9193 0.0151 1,310 2.500",
        "Opacus 2.811",
        "3.124",
        "the number of rows",
        "the choice of &lt;settings&gt;",
    ):
        assert said in text, said


def test_promise_per_bank_does_not_cover_who_sees_single_updates(make_result: MakeResult, words: Words) -> None:
    hidden = section(words(spent(make_result(rounds=4), PER_BANK)))
    assert "Whoever sees nothing but the sums and the models can tell only to a limit whether any one bank" in hidden
    assert "bounds its Rényi divergence only" in hidden
    assert "Statistics of round 0 not covered" in hidden
    assert "a bank knows its own share of the noise" in hidden
    shown = section(words(spent(make_result(rounds=4, plaintext=True), PER_BANK)))
    assert "under plaintext the aggregator sees more, and is promised nothing" in shown


@pytest.mark.slow
def test_noise_in_a_sum_is_not_called_an_error_of_it(make_result: MakeResult, words: Words) -> None:
    result = make_result(rounds=4)
    assert "Largest error of the mean" in words(spent(result, PER_ROW))
    page = words(spent(result, PER_BANK))
    assert "Largest error of the mean" not in page
    assert "it would be the noise that the banks added on purpose, so it is left out" in page
    assert page.count("withheld</span></td>") == 4


def test_all_runs_together_are_shown_beside_the_run(make_result: MakeResult) -> None:
    life = {"bank-1": 4.2, "<b>2": 5.6788}
    text = section(render(spent(make_result(rounds=2), replace(PER_ROW, lifetime_epsilon=life))))
    assert "All runs on the rows of &lt;b&gt;2 that its ledgers know of have spent epsilon 5.679 together" in text
    assert "bank-1 0.9193 0.01541 1,320 2.811 4.200" in text
    assert "no limit for life was set" in text
    unknown = section(render(spent(make_result(rounds=2), PER_ROW)))
    assert "Nothing is known of what earlier runs on the same rows have spent." in unknown


@pytest.mark.parametrize("message", [b"", bytes(range(256))], ids=["readable", "hidden"])
def test_an_update_that_is_left_out_is_said_to_be(make_result: MakeResult, message: bytes) -> None:
    result = spent(make_result(rounds=2), replace(PER_BANK, withheld=("the <update>: only the sum is protected",)))
    empty = np.empty(0, dtype=np.float32)
    page = render(
        replace(result, exhibit=replace(result.exhibit, update=empty, message=message, aggregator_reads=None))
    )
    assert "The update of bank-1" not in page
    assert "Grid of the first 0 values" not in page
    assert ("The message that arrived" in page) == bool(message)
    assert "the &lt;update&gt;: only the sum is protected" in page


@pytest.mark.parametrize("banks", [3, 12], ids=["curves", "band"])
def test_baselines_are_said_to_be_trained_without_privacy(make_result: MakeResult, words: Words, banks: int) -> None:
    page = words(spent(make_result(banks=banks, rounds=4), PER_ROW))
    assert "banks alone, without privacy" in page
    assert "all data pooled, without privacy" in page
    assert page.count("without privacy: banks alone") == 2
    assert "Only the federated model was trained under differential privacy." in page
    assert "All models took the same number of training steps" not in page


@pytest.mark.parametrize("budget", [3.0, None])
@pytest.mark.parametrize("rounds", [1, 4, 40])
def test_budget_is_drawn_round_by_round(
    make_result: MakeResult, words: Words, rounds: int, budget: float | None
) -> None:
    result = spent(make_result(rounds=rounds), PER_ROW, budget)
    page = words(result)
    labels = re.findall(r'aria-label="(Line chart of epsilon[^"]*)"', page)
    assert len(labels) == 2
    assert f"2.811 after round {rounds}" in labels[0]
    assert ("dashed line at 3" in labels[0]) == (budget is not None)
    assert ("the noise was given" in page) == (budget is None)
    for width in (figures.WIDE, figures.NARROW):
        drawing = budget_figure.budget(result, width)
        curve, *allowed = drawing.axes[0].lines
        assert np.asarray(curve.get_xydata()).tolist() == [[r.round, r.epsilon] for r in result.rounds]
        assert [np.asarray(line.get_ydata()).tolist() for line in allowed] == ([[budget] * 2] if budget else [])
        assert ("may be spent: 3" in texts(drawing)) == (budget is not None)


def texts(drawing: Figure) -> list[str]:
    """What is written beside the curves."""
    return [text.get_text() for axes in drawing.axes for text in axes.texts]


def test_links_of_a_page_under_privacy_lead_somewhere(make_result: MakeResult) -> None:
    page = render(spent(make_result(rounds=4, plaintext=True), PER_ROW))
    assert len(re.findall(r'aria-label="Line chart of epsilon', page)) == 2
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_rounds_without_an_epsilon_are_not_drawn(make_result: MakeResult, words: Words) -> None:
    silent = replace(make_result(rounds=2), privacy=PER_ROW)
    assert spending(silent) == ()
    assert "Line chart of epsilon" not in words(silent)


def test_nothing_listed_is_not_called_covered(make_result: MakeResult, words: Words) -> None:
    text = section(words(spent(make_result(rounds=2), replace(PER_ROW, not_covered=(), notes=()))))
    assert "That is not a proof that all is covered." in text


def test_epsilon_is_rounded_up() -> None:
    assert epsilon_text(2.9991) == "3.000"
    assert epsilon_text(2.999) == "2.999"
    assert epsilon_text(0.00001) == "0.001"
    assert epsilon_text(math.inf) == "infinite"
    assert [delta_text(delta) for delta in (1e-5, 2.5e-6, 0.001)] == ["1e-5", "2.5e-6", "0.001"]


@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 0.0), (1.0, 1e-5), (3.0, 1e-2)])
def test_no_test_within_the_region_of_a_promise_guesses_better(epsilon: float, delta: float) -> None:
    """Over all pairs of error rates that (epsilon, delta) allows."""
    best = 0.0
    for false_positives in (step / 20_000 for step in range(20_001)):
        true_positives = min(
            1.0,
            math.exp(epsilon) * false_positives + delta,
            1 - math.exp(-epsilon) * (1 - delta - false_positives),
        )
        best = max(best, (true_positives + 1 - false_positives) / 2)
    assert largest_share_of_right_guesses(epsilon, delta) == pytest.approx(best, abs=1e-4)


def test_a_huge_epsilon_is_called_worthless(make_result: MakeResult) -> None:
    for epsilon in (12.0, 1e4, math.inf):
        found = promise_of(spent(make_result(rounds=1), replace(PER_ROW, epsilon=epsilon), None))
        assert found is not None
        assert "promises next to nothing" in found.meaning
