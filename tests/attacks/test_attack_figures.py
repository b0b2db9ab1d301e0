"""Figures of attacks, of trials made up so that no two of them are alike: what is kept, and where each is shown."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console

from secure_fl.attacks import audit, command, held, inversion, membership, split_view, views
from secure_fl.attacks.audit import Promise
from secure_fl.attacks.command import AttackSettings, _command_line, _plain, _report, attacked_experiment
from secure_fl.attacks.inversion import Rebuilt
from secure_fl.attacks.judging import CLOSE, EXACT, interval_of_mean, interval_of_shares
from secure_fl.attacks.lira import Population, advantage_bound, measure_lira, measure_loss
from secure_fl.attacks.membership import Budget
from secure_fl.attacks.one_run import CONFIDENCE, Guesses, epsilon_bound
from secure_fl.attacks.report import AttackReport, show_rows
from secure_fl.attacks.split_view import Outcome
from secure_fl.attacks.table import print_attack
from secure_fl.attacks.victim import LocalStep
from secure_fl.attacks.views import FROM_UPLOADS, Sight
from secure_fl.cli.progress import show_progress
from secure_fl.errors import ConfigurationError
from secure_fl.report import attack_figures
from secure_fl.report.attack_page import AttackPage, ShownRow, render, verdict
from secure_fl.report.pictures import Picture
from secure_fl.report.svg import ACCENT, GREY, WARM
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.training.local import ADAM_EPS
from tests.page_tables import Tables

NONE, NEAR, RIGHT = 1.0, (CLOSE + EXACT) / 2, EXACT / 2
"""Relative errors: of a row that is not rebuilt, of one that is, and of one that is exact."""


def errors(*shares: float, rows: int = 10) -> NDArray[np.float64]:
    """Of so many tenths of rows each: exact, near, at the limit (which is not below it), and the rest."""
    exact, near = (round(share * rows) for share in shares)
    return np.array([RIGHT] * exact + [NEAR] * near + [CLOSE] + [NONE] * (rows - exact - near - 1))


def rebuilt(exact: float, near: float, guessing: float, matching: float | None, summed: float) -> Rebuilt:
    row = np.zeros((10, 128))
    matched = None if matching is None else errors(0, matching)
    return Rebuilt(
        errors(exact, near), errors(0, guessing), matched, errors(0, summed, rows=30), row, row.astype(np.float32)
    )


def test_an_inversions_figures_are_those_of_their_own_errors() -> None:
    trials = [rebuilt(0.1, 0.4, 0.2, 0.7, 0.1), rebuilt(0.3, 0.4, 0.4, None, 0.3), rebuilt(0.2, 0.6, 0.0, 0.1, 0.8)]
    close, exact, guessing, matching, summed = (
        [0.5, 0.7, 0.8],
        [0.1, 0.3, 0.2],
        [0.2, 0.4, 0.0],
        [0.7, 0.1],
        [0.1, 0.3, 0.8],
    )
    figures = inversion._figures(10, trials)
    assert (figures["batch"], figures["trials"]) == (10, 3)
    assert figures["median_error"] == NEAR
    assert figures["matching_alone"].pop("trials") == 2
    assert figures["opened_sum"].pop("rows") == 30
    for rate, interval, shares in (
        (figures["success_rate"], figures["interval"], close),
        (figures["exact_rate"], figures["exact_interval"], exact),
        (figures["guessing"], figures["guessing_interval"], guessing),
        (*figures["matching_alone"].values(), matching),
        (*figures["opened_sum"].values(), summed),
    ):
        assert rate == pytest.approx(np.mean(shares))
        assert interval == pytest.approx(list(interval_of_shares(shares)))


def test_a_split_views_figures_are_of_the_victim_and_of_the_commonest_refusal() -> None:
    outcomes = [
        Outcome(errors(0.1, 0.4), errors(0, 0.2), None),
        Outcome(errors(0, 0), errors(0, 0.1), "seldom"),
        *[Outcome(errors(0, 0), errors(0, 0.3), "often")] * 2,
    ]
    figures = split_view._figures("two-models", 10, outcomes, np.random.default_rng(1))
    assert figures == {
        "variant": "two-models",
        "batch": 10,
        "trials": 4,
        "success_rate": pytest.approx(0.125),
        "interval": list(interval_of_shares([0.5, 0, 0, 0])),
        "guessing": pytest.approx(0.225),
        "guessing_interval": pytest.approx(list(interval_of_shares([0.2, 0.1, 0.3, 0.3]))),
        "opened": 1,
        "refusal": "often",
    }
    assert split_view._figures("two-models", 10, outcomes[:1], np.random.default_rng(1))["refusal"] is None


@pytest.mark.parametrize(("right", "refuted"), [(40, True), (21, False)])
def test_an_audits_figures_are_of_its_guesses(right: int, refuted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "epsilon", lambda events, delta: events[0].noise_multiplier / 2 + 1e4 * delta)
    promise, multiplier = Promise(1.0, 1e-5, banks=4, runs=2), 3.0
    guesses = Guesses(2_000, 40, right)
    figures = audit._figures(promise, multiplier, "every sum", (5, 4), guesses)
    claimed = 3.0 / 2 + 0.1
    assert figures == {
        "view": "every sum",
        "claimed_epsilon": claimed,
        "audited_epsilon": epsilon_bound(guesses, 1e-5),
        "delta": 1e-5,
        "confidence": CONFIDENCE,
        "refuted": refuted,
        "highest_possible": epsilon_bound(Guesses(2_000, 40, 40), 1e-5),
        "batch": promise.batch,
        "banks": 4,
        "runs": 2,
        "rounds": 5,
        "steps_a_round": 4,
        "sample_rate": 0.1,
        "noise_multiplier": 3.0,
        "canaries": 2_000,
        "guesses": 40,
        "right": right,
        "success_rate": right / 40,
        "guessing": 0.5,
    }
    (event,) = promise.events(multiplier)
    assert (event.noise_multiplier, event.sample_rate, event.steps) == (3.0, 0.1, audit.STEPS)


def test_a_shown_epsilon_equal_to_the_claim_refutes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "epsilon", lambda *_: 1.5)
    monkeypatch.setattr(audit, "epsilon_bound", lambda *_: 1.5)
    figures = audit._figures(Promise(1.5, 1e-5), 1.0, "every sum", (1, 20), Guesses(100, 10, 5))
    assert not figures["refuted"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"runs": 0}, "0 runs"), ({"runs": 1001}, "1001 runs"), ({"banks": 1}, "1 banks"), ({"banks": 41}, "41 banks")],
)
def test_an_audit_is_refused_just_beyond_its_limits(changes: dict[str, int], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        Promise(1.0, 1e-5, **changes)


@pytest.mark.parametrize("changes", [{"runs": 1}, {"runs": 1000}, {"banks": 2}, {"banks": 40}])
def test_an_audit_goes_up_to_its_limits(changes: dict[str, int]) -> None:
    promise = Promise(1.0, 1e-5, **changes)
    assert promise.rows == audit.SAMPLED * promise.batch


def test_every_observer_of_single_steps_and_only_the_nearest_one_of_long_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All canaries that were in leave a mark far above the noise: every guess is right, and progress is told."""

    def train(weights: Any, examples: Any, settings: Any, noise: Any, steps: int, key: bytes) -> Any:
        keys.append(key)
        seen.append(np.array(weights))
        update = np.zeros(len(weights), dtype=np.float32)
        per_row = audit._LEARNING_RATE / ADAM_EPS / settings.batch_size * noise.max_grad_norm
        for row in examples.features[examples.fraud]:
            neuron, value = np.flatnonzero(row)
            update[neuron * len(row) + value] = 50 * per_row
        return weights + update

    monkeypatch.setattr(audit, "calibrate", lambda events, epsilon, delta: {(2.0, 1e-5): 1.5}[epsilon, delta])
    monkeypatch.setattr(audit, "epsilon", lambda events, delta: 2.0)
    keys: list[bytes] = []
    seen: list[Any] = []
    told: list[tuple[str, int, int]] = []
    counter = iter(range(10_000))
    results = audit.run_audit(
        Promise(2.0, 1e-5, banks=2, runs=2),
        np.random.default_rng(3),
        lambda *step: told.append(step),
        train,
        lambda: next(counter).to_bytes(32, "big"),
        shapes=((3, 1), (1, 2)),
    )
    assert [(row["view"], row["rounds"], row["steps_a_round"]) for row in results] == [
        *((view, 3, 1) for view in audit.VIEWS),
        ("sums and colluding banks", 1, 2),
    ]
    assert all(row["right"] == row["guesses"] == round(audit.GUESSED * row["canaries"]) for row in results)
    assert len(keys) == len(set(keys)) == 2 * 2 * (3 + 1)  # runs x banks x rounds: nobody's noise is another's
    assert told == [(f"runs of {shape} steps", n, 2) for shape in ("3 x 1", "1 x 2") for n in range(3)]
    first, second, third = seen[0], seen[2], seen[4]
    assert np.allclose(third - second, second - first)  # the mean over the banks, round after round
    mark = 50 * audit._CLIP * audit._LEARNING_RATE / ADAM_EPS / Promise(2.0, 1e-5, banks=2).batch
    assert np.abs(second - first).max() == pytest.approx(mark / 2, rel=1e-4)  # each canary is in one bank of two


def population(seed: int, shift: float = 1.0) -> Population:
    rng = np.random.default_rng(seed)
    member = rng.random((9, 300)) < 0.5
    fraud = np.arange(300) < 90
    confidence = rng.normal(size=(9, 300)) + shift * member * np.where(fraud, 2.0, 0.6) + rng.normal(size=300)
    return Population(confidence, member, fraud)


@pytest.mark.parametrize("budget", [None, Budget(2.0, 0.05)])
def test_membership_figures_are_those_of_their_attack_records_and_rate(budget: Budget | None) -> None:
    scene: Any = SimpleNamespace(experiment=SimpleNamespace(batch_size=17))
    pools = [population(seed) for seed in (1, 2, 3)]
    figures = membership._figures(scene, budget, pools, 150)
    everybody = np.ones(300, dtype=bool)
    for name, attack, among in (
        ("lira", measure_lira, everybody),
        ("lira_on_frauds", measure_lira, pools[0].fraud),
        ("loss", measure_loss, everybody),
    ):
        measured = [attack(pool, among, (0.001, 0.01)) for pool in pools]
        expected: dict[str, Any] = {}
        for key, values in (
            ("advantage", [m.advantage.mean() for m in measured]),
            ("tpr_at_fpr_0.001", [m.tpr_at[0.001].mean() for m in measured]),
            ("tpr_at_fpr_0.01", [m.tpr_at[0.01].mean() for m in measured]),
        ):
            expected[key] = pytest.approx(np.mean(values))
            expected["interval" if key == "advantage" else f"{key}_interval"] = pytest.approx(interval_of_mean(values))
        expected["by_pool"] = pytest.approx([m.advantage.mean() for m in measured])
        assert figures.pop(name) == expected
    everything = membership._attack_figures(measure_lira, pools, membership._all_records)
    assert figures == {
        "batch": 17,
        "epsilon": budget and 2.0,
        "delta": budget and 0.05,
        "rows": 150,
        "pools": 3,
        "trials": 27,
        "success_rate": everything["advantage"],
        "interval": everything["interval"],
        "guessing": 0.0,
        "bound": budget and advantage_bound(2.0, 0.05),
        "frauds_in_pool": 90,
        "records_in_pool": 300,
    }


def test_the_bound_of_a_large_epsilon_is_still_exact() -> None:
    for epsilon in (0.0, 1.0, 8.0, 15.0):
        exact = (math.exp(epsilon) - 1 + 2 * 0.001) / (math.exp(epsilon) + 1)
        assert advantage_bound(epsilon, 0.001) == pytest.approx(exact, rel=1e-12)
    assert advantage_bound(1e6, 0.001) == 1.0


def sight(won: float, same: float, share: float, counts: NDArray[np.int64]) -> Sight:
    wins = {"one upload": won, "two rounds": 0.5, "two sums": 1.0, "sum minus n - 1 colluders": 1.0 - won}
    found = {"sum minus n - 1 colluders": views.Rebuilt(share, 4)}
    return Sight(wins, same, found, counts)


def test_figures_of_views_are_those_of_their_own_games() -> None:
    counts = np.full(256, 100)
    sights = [sight(1, 0, 0.25, counts), sight(0, 0.5, 0.75, counts), sight(1, 0, 0.25, 3 * counts)]
    found = views.figures(sights)
    rows = {row["view"]: row for row in found["views"]}
    assert list(rows) == ["same values twice", "one upload", "two rounds", "two sums", "sum minus n - 1 colluders"]
    for view, wins in (
        ("same values twice", [0, 0.5, 0]),
        ("one upload", [1, 0, 1]),
        ("two rounds", [0.5] * 3),
        ("two sums", [1, 1, 1]),
        ("sum minus n - 1 colluders", [0, 1, 0]),
    ):
        assert rows[view]["told_apart"] == pytest.approx(np.mean(wins))
        assert rows[view]["told_apart_interval"] == pytest.approx(list(interval_of_shares(wins)))
        assert ("rows" in rows[view]) == (view == "sum minus n - 1 colluders")
    assert rows["sum minus n - 1 colluders"]["rows"] == 4
    assert rows["sum minus n - 1 colluders"]["success_rate"] == pytest.approx(1.25 / 3)
    assert rows["sum minus n - 1 colluders"]["interval"] == list(interval_of_shares([0.25, 0.75, 0.25]))
    assert found["uniformity"]["bytes"] == 500 * 256
    assert not found["uploads_tell"]  # sums tell everything, and that is nobody's fault


@pytest.mark.parametrize(
    ("trials", "won", "tells"), [(13, 1.0, False), (14, 1.0, True), (40, 0.0, False), (40, 0.5, False)]
)
@pytest.mark.parametrize("view", FROM_UPLOADS)
def test_uploads_tell_where_one_game_of_theirs_is_won_more_often_than_chance_does(
    trials: int, won: float, tells: bool, view: str
) -> None:
    """2^-13 is above 1e-4, 2^-14 below. Losing always says nothing: who is told apart wins."""
    wins = {name: won if name == view else 0.5 for name in ("one upload", "two rounds")}
    uniform = Sight(wins, won if view == "same values twice" else 0.5, {}, np.full(256, 50))
    assert views.figures([uniform] * trials)["uploads_tell"] == tells


def test_half_a_win_is_no_win() -> None:
    """13 wins and a tie of 14 are 13.5: rounded up they would count as 14."""
    won, tie = (Sight({"one upload": w, "two rounds": 0.5}, 0.5, {}, np.full(256, 50)) for w in (1.0, 0.5))
    assert not views.figures([won] * 13 + [tie])["uploads_tell"]


def test_games_are_ties_where_nothing_tells() -> None:
    numbers, constant = np.arange(6.0), np.ones(6)
    assert views._which(constant, numbers.astype(int), (5 - numbers).astype(int)) == 0.5
    assert views._which(numbers, numbers.astype(int), (5 - numbers).astype(int)) == 1.0
    assert views._which(numbers, (5 - numbers).astype(int), numbers.astype(int)) == 0.0
    assert views._which(numbers, np.ones(6, dtype=int), (5 - numbers).astype(int)) == 1.0  # 0 beats -1
    words = np.arange(5)
    assert views._same_twice(words, words + 1, words + 2) == 0.5
    assert views._same_twice(words, words, words + 2) == 1.0
    assert views._same_twice(words, words + 2, words) == 0.0


@pytest.mark.parametrize(("bits", "used"), [(14, 1), (16, 2), (21, 2), (24, 3), (32, 4), (54, 4)])
def test_bytes_are_counted_where_words_fill_them(bits: int, used: int) -> None:
    word = 0x0102030405060708
    assert held._low_bytes(np.full(3, word), bits).tolist() == [8 - place for place in range(used)] * 3
    assert held._in_the_clear(np.full(3, word)).uniform.tolist() == [8, 7, 6, 5] * 3
    assert len(held._in_the_clear(np.array([1.5], dtype=np.float32)).uniform) == 4


def test_words_are_centred_in_their_modulus() -> None:
    assert views._centred(np.array([0, 7, 8, 15]), 16.0).tolist() == [0.0, 7.0, -8.0, -1.0]
    assert views._centred(np.array([3, -4]), 0.0).tolist() == [3.0, -4.0]
    assert views._difference(np.array([1, 9]), np.array([2, 1]), 16.0).tolist() == [-1.0, -8.0]


def test_what_each_view_needs_is_its_own() -> None:
    assert {view: views._game(view, [0.5])["needs"] for view in views._NEEDS} == {
        "same values twice": "a round that is repeated with the same values",
        "one upload": "nothing",
        "two rounds": "nothing",
        "two sums": "nothing: every scheme opens sums",
        "sum minus n - 1 colluders": "all banks but the victim",
        "sum minus n - 2 colluders": "all banks but two",
        "sums with and without the victim": "a round that is repeated without the victim, with the same values",
    }


# What is shown: a figure of its own for every place.


def interval(rate: float) -> list[float]:
    return [round(rate - 0.01, 3), round(rate + 0.02, 3)]


def shown(rate: float) -> str:
    return f"{rate:.3g} [{rate - 0.01:.2g}, {rate + 0.02:.2g}]"


def inversion_row(batch: int, at: float) -> dict[str, Any]:
    def told(view: str, rate: float, **rest: Any) -> dict[str, Any]:
        return {
            "view": view,
            "needs": f"need of {view}",
            "told_apart": rate,
            "told_apart_interval": interval(rate),
        } | rest

    return {
        "batch": batch,
        "trials": 100 + batch,
        "success_rate": at,
        "interval": interval(at),
        "exact_rate": at + 0.04,
        "exact_interval": interval(at + 0.04),
        "guessing": at + 0.08,
        "guessing_interval": interval(at + 0.08),
        "median_error": at / 1e4,
        "matching_alone": {"trials": 5, "success_rate": at + 0.12, "interval": interval(at + 0.12)},
        "opened_sum": {"rows": 3 * batch, "success_rate": at + 0.16, "interval": interval(at + 0.16)},
        "views": [
            told("one upload", at + 0.2),
            told("two sums", at + 0.22, rows=2 * batch, success_rate=at + 0.24, interval=interval(at + 0.24)),
        ],
        "uniformity": {"bytes": 1_000, "p_value": at + 0.28},
        "uploads_tell": False,
    }


def split_row(variant: str, at: float, refusal: str | None) -> dict[str, Any]:
    return {
        "variant": variant,
        "batch": 7,
        "trials": 11,
        "success_rate": at,
        "interval": interval(at),
        "guessing": at + 0.05,
        "guessing_interval": interval(at + 0.05),
        "opened": 4,
        "refusal": refusal,
    }


def membership_row(epsilon: float | None, at: float) -> dict[str, Any]:
    def attack(rate: float) -> dict[str, Any]:
        return {
            "advantage": rate,
            "interval": interval(rate),
            "tpr_at_fpr_0.001": rate + 0.005,
            "tpr_at_fpr_0.01": rate + 0.007,
        }

    return {
        "batch": 32,
        "epsilon": epsilon,
        "delta": None if epsilon is None else 1e-5,
        "trials": 60,
        "success_rate": at,
        "interval": interval(at),
        "guessing": 0.0,
        "bound": None if epsilon is None else at + 0.5,
        "lira": attack(at),
        "lira_on_frauds": attack(at + 0.1),
        "loss": attack(at + 0.2),
    }


def audit_row(view: str, claimed: float, audited: float, refuted: bool) -> dict[str, Any]:
    return {
        "view": view,
        "claimed_epsilon": claimed,
        "audited_epsilon": audited,
        "delta": 1e-5,
        "refuted": refuted,
        "highest_possible": 4.5,
        "rounds": 20,
        "steps_a_round": 3,
        "canaries": 4_000,
        "guesses": 80,
        "right": 61,
    }


RESULTS: Mapping[str, list[dict[str, Any]]] = {
    "inversion": [inversion_row(1, 0.5), inversion_row(16, 0.1)],
    "split-view": [split_row("two-models", 0.6, None), split_row("made-up-banks", 0.2, "bank-1 said no")],
    "membership": [membership_row(None, 0.21), membership_row(3.0, 0.03)],
    "audit-epsilon": [audit_row("every sum", 3.0, 1.25, False), audit_row("final model", 2.0, 2.75, True)],
}
COLUMNS = ("hour", "amount", *(f"v{n}" for n in range(9)))
SHOWN = ShownRow(
    2,
    {name: 10.0 + place for place, name in enumerate(COLUMNS)},
    {name: 5e6 + place for place, name in enumerate(COLUMNS)},
    error=0.0625,
)


def report(attack: str) -> AttackReport:
    rows = (SHOWN,) if attack == "inversion" else ()
    settings = {"seed": 1}
    return AttackReport(attack, "masked", f"secure-fl attack {attack}", settings, RESULTS[attack], "here", ("x",), rows)


def printed(attack: str) -> tuple[list[dict[str, str]], str]:
    """The lines of all tables by their heads, and everything that was said."""
    console = Console(width=240, record=True, file=io.StringIO())
    print_attack(report(attack), console)
    text = console.export_text()
    tables: list[dict[str, str]] = []
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split("[│┃]", line)][1:-1]
        if "┃" in line:
            head = cells
        elif "│" in line:
            tables.append(dict(zip(head, cells, strict=True)))
    return tables, text


def test_an_attack_on_an_experimental_scheme_says_so() -> None:
    console = Console(width=240, record=True, file=io.StringIO())
    print_attack(replace(report("split-view"), scheme="rlwe"), console)
    assert "split-view against rlwe (experimental)" in console.export_text()
    page = render(AttackPage("split-view", "rlwe", "c", {"seed": 1}, RESULTS["split-view"], "s", ("x",), ()))
    assert "<title>split-view against rlwe (experimental): secure_fl attack</title>" in page


def test_the_terminal_shows_each_figure_under_its_name() -> None:
    lines, text = printed("inversion")
    assert lines[0] == {
        "batch": "1",
        "rows rebuilt": shown(0.5),
        "within 0.1 %": shown(0.54),
        "guessing": shown(0.58),
        "matching alone": "0.62",
        "from the opened sum": shown(0.66),
    }
    assert [line["batch"] for line in lines[:2]] == ["1", "16"]
    told = "told apart (guessing: 0.5)"
    assert lines[2:] == [  # of the largest batch
        {"view": "one upload", "needs": "need of one upload", told: shown(0.3), "rows rebuilt": ""},
        {"view": "two sums", "needs": "need of two sums", told: shown(0.32), "rows rebuilt": shown(0.34)},
    ]
    assert "batch of 16" in text
    assert "Uniform bytes in uploads: p = 0.38." in text
    assert printed("split-view")[0] == [
        {
            "how": how,
            "batch": "7",
            "rows rebuilt": shown(at),
            "guessing": shown(at + 0.05),
            "outcome": outcome,
        }
        for how, at, outcome in (
            ("two-models", 0.6, "the sum was opened"),
            ("made-up-banks", 0.2, "refused: bank-1 said no"),
        )
    ]
    assert printed("membership")[0] == [
        {
            "epsilon": epsilon,
            "LiRA": shown(at),
            "on frauds": shown(at + 0.1),
            "loss": shown(at + 0.2),
            "guessing": "0",
            "bound": bound,
            "TPR at FPR 1 %, frauds": f"{at + 0.107:.3g}",
        }
        for epsilon, at, bound in (("no DP", 0.21, "1"), ("3", 0.03, "0.53"))
    ]
    assert printed("audit-epsilon")[0] == [
        {
            "seen from": view,
            "steps": "20 x 3",
            "promised": promised,
            "shown": epsilon,
            "right": "61/80",
            "at best": "4.5",
            "promise": said,
        }
        for view, promised, epsilon, said in (
            ("every sum", "3", "1.25", "not refuted"),
            ("final model", "2", "2.75", "REFUTED"),
        )
    ]


def page_of(attack: str) -> str:
    return report(attack).to_html()


def test_the_page_shows_each_figure_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        attack_figures, "draw", lambda *_: Picture(Markup("<svg>wide</svg>"), Markup("<svg>narrow</svg>"))
    )
    page = page_of("inversion")
    assert '<div class="wide"><svg>wide</svg></div>\n<div class="narrow"><svg>narrow</svg></div>' in page
    rows = Tables(page).rows
    head = ["Rows in the batch", "Trials", "Rebuilt", "Within 0.1 %", "Guessing", "Median error"]
    assert rows[0] == [*head, "Gradient matching alone", "From the opened sum"]
    assert rows[1] == ["1", "101", shown(0.5), shown(0.54), shown(0.58), "5.0 × 10⁻⁵", "0.62", shown(0.66)]
    assert rows[3] == ["Batch", "View", "Needs", "Told apart", "Victim's rows rebuilt", "Out of"]
    assert rows[4] == ["1", "one upload", "need of one upload", shown(0.7), "", ""]
    assert rows[7] == ["16", "two sums", "need of two sums", shown(0.32), shown(0.34), "32"]
    assert rows[8] == ["Batch", "Row", *COLUMNS[:8], "Relative error"]
    assert rows[9] == ["2", "true", *(f"{10 + n}.000" for n in range(8)), ""]
    assert rows[10] == ["", "rebuilt", *(f"{5e6 + n:.2e}" for n in range(8)), "0.0625"]
    assert "a p-value for each batch size: 0.78, 0.38." in page
    assert ">masked<" not in page
    assert "pairwise masks" in page
    assert "inversion against masked: secure_fl attack" in page

    rows = Tables(page_of("split-view")).rows
    assert rows[0] == ["How", "Rows in the batch", "Trials", "Rebuilt", "Guessing", "Outcome"]
    assert rows[1:] == [
        ["two-models", "7", "11", shown(0.6), shown(0.65), "the sum was opened"],
        ["made-up-banks", "7", "11", shown(0.2), shown(0.25), "refused: bank-1 said no"],
    ]

    rows = Tables(page_of("membership")).rows
    head = ["Epsilon", "Models", "LiRA", "LiRA, frauds", "Loss threshold", "Bound"]
    assert rows[0] == [*head, "TPR at FPR 0.1 %", "TPR at FPR 1 %", "The same, frauds"]
    assert rows[1] == ["no DP", "60", shown(0.21), shown(0.31), shown(0.41), "none", "0.215", "0.217", "0.317"]
    assert rows[2] == ["3", "60", shown(0.03), shown(0.13), shown(0.23), "0.53", "0.035", "0.037", "0.137"]

    rows = Tables(page_of("audit-epsilon")).rows
    head = ["What is seen", "Rounds", "Steps a round", "Epsilon claimed", "Shown, at least", "Guesses", "Right"]
    assert rows[0] == [*head, "Most that could be shown"]
    assert rows[1] == ["every sum", "20", "3", "3", "1.25", "80", "61", "4.5"]


def judged(attack: str, results: list[dict[str, Any]]) -> str:
    return verdict(AttackPage(attack, "masked", "", {}, results, "", (), ()))


def test_the_verdict_says_what_the_figures_say() -> None:
    better, level = inversion_row(1, 0.5), inversion_row(4, 0.9)
    better |= {"guessing": 0.1, "guessing_interval": [0.05, 0.48]}
    assert judged("inversion", [level, better, level]) == (
        "The attack succeeds: it rebuilds up to 90 % of the victim's rows, "
        "and does better than guessing in 1 of 3 settings."
    )
    touching = better | {"guessing_interval": [0.05, 0.49]}  # where the other interval begins
    few = judged("inversion", [touching, inversion_row(4, 0.2)])
    assert few.startswith("The attack rebuilds up to 50 % of the victim's rows, but in so few trials nothing is shown")
    guessed = touching | {"guessing": 0.5}
    nothing = judged("inversion", [guessed, inversion_row(4, 0.2)])
    assert nothing.startswith("The attack finds nothing that guessing would not: it rebuilds 50 % of")
    told = inversion_row(4, 0.2) | {"uploads_tell": True}
    assert judged("inversion", [guessed, told]).startswith("No more rows are rebuilt than by guessing, but uploads")
    assert judged("membership", RESULTS["membership"]) == (
        "The attacker's advantage over guessing who was trained on is, "
        f"without differential privacy: {shown(0.21)}; at epsilon 3: {shown(0.03)}."
    )
    broken = "The promise of epsilon 2 at delta 1e-05 is broken: epsilon is at least 2.75, seen from final model."
    assert judged("audit-epsilon", RESULTS["audit-epsilon"]) == broken
    assert judged("audit-epsilon", RESULTS["audit-epsilon"][::-1]) == broken
    assert judged("audit-epsilon", RESULTS["audit-epsilon"][:1]) == (
        "Nothing contradicts the promise of epsilon 3 at delta 1e-05: the audit shows that epsilon is at least 1.25, "
        "seen from every sum."
    )


def axes_of(figure: Figure) -> Any:
    """The only axes of a drawing."""
    (axes,) = figure.axes
    return axes


def whiskers(axes: Any) -> dict[str, tuple[list[float], list[list[float]]]]:
    """Colour -> what its dots are at, and the ends of its lines."""
    dots = {line.get_color(): list(line.get_ydata()) for line in axes.lines if line.get_marker() == "o"}
    ends = {
        part: [[float(path[0][1]), float(path[1][1])] for path in collection.get_segments()]
        for part, collection in zip(dots, axes.collections, strict=True)
    }
    return {color: (dots[color], ends[color]) for color in dots}


def test_what_is_drawn_is_what_was_found() -> None:
    axes = axes_of(attack_figures._success(RESULTS["inversion"], 760))
    drawn = whiskers(axes)
    for color, shift in ((ACCENT, 0.0), (GREY, 0.08), (WARM, 0.16)):
        rates = [0.5 + shift, 0.1 + shift]
        assert drawn[color][0] == pytest.approx(rates)
        assert np.allclose(drawn[color][1], [interval(rate) for rate in rates])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "16"]
    axes = axes_of(attack_figures._split_view(RESULTS["split-view"], 760))
    points = {to_hex(line.get_color()): list(line.get_xdata()) for line in axes.lines}
    assert points == {ACCENT: pytest.approx([0.6, 0.2]), GREY: pytest.approx([0.65, 0.25])}
    reach = {
        to_hex(lines.get_color()[0]): [p[:, 0].tolist() for p in lines.get_segments()] for lines in axes.collections
    }
    assert np.allclose(reach[ACCENT], [interval(rate) for rate in (0.6, 0.2)])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["two-models, 7 rows", "made-up-banks, 7 rows"]

    axes = axes_of(attack_figures._advantage(RESULTS["membership"], 760))
    drawn = whiskers(axes)
    assert drawn[ACCENT][0] == [0.21, 0.03]
    assert drawn[WARM][0] == pytest.approx([0.31, 0.13])
    assert [list(line.get_ydata()) for line in axes.lines if line.get_linewidth() == 2.2] == [[0.53, 0.53]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["no DP", "3"]

    axes = axes_of(attack_figures._audit(RESULTS["audit-epsilon"], 760))
    assert [(bar.get_width(), to_hex(bar.get_facecolor())) for bar in axes.patches] == [(1.25, ACCENT), (2.75, WARM)]
    assert [list(line.get_xdata()) for line in axes.lines] == [[3.0, 3.0], [2.0, 2.0]]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["every sum\n20 x 3 steps", "final model\n20 x 3 steps"]


@pytest.mark.parametrize(("attack", "rates"), [("split-view", "0.6, 0.2"), ("audit-epsilon", "1.25, 2.75")])
def test_the_drawing_says_its_figures_to_a_screen_reader(attack: str, rates: str) -> None:
    picture = attack_figures.draw(attack, RESULTS[attack])
    for drawing in (picture.wide, picture.narrow):
        assert f"Chart of the {attack} attack; it reaches {rates}, row by row of the table" in drawing
    assert picture.wide.split("viewBox")[1][:30] != picture.narrow.split("viewBox")[1][:30]


def test_the_json_says_what_its_figures_are_and_holds_no_row() -> None:
    for attack, figure in (
        ("inversion", "below 0.05"),
        ("membership", "TPR - FPR"),
        ("audit-epsilon", "right guesses"),
    ):
        found = json.loads(report(attack).to_json())
        assert (found["attack"], found["scheme"], found["settings"]) == (attack, "masked", {"seed": 1})
        assert found["results"] == json.loads(json.dumps(RESULTS[attack]))
        assert figure in found["success"]
        assert "shown" not in found
    intervals = {attack: json.loads(report(attack).to_json())["interval"] for attack in RESULTS}
    assert intervals["inversion"] == intervals["split-view"] == "95 %, Clopper-Pearson over trials"
    assert intervals["membership"] == "95 %, Student over pools"
    assert "exact_rate: below 0.001" in json.loads(report("inversion").to_json())["success"]
    with pytest.raises(ValueError, match="JSON"):
        replace(report("inversion"), results=[{"success_rate": math.nan}]).to_json()


def test_rows_shown_are_the_first_three_of_the_first_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secure_fl.attacks.report.undo", lambda row, schema: {"at": float(row[0]), schema: 0.0})
    scene: Any = SimpleNamespace(schema="schema")

    def trial(start: float, rows: int) -> Rebuilt:
        numbers = start + np.arange(rows, dtype=float)
        return Rebuilt(numbers / 4, numbers, None, numbers, 100 + numbers[:, None], numbers[:, None].astype(np.float32))

    found = show_rows(scene, {2: [trial(10, 2), trial(20, 2)], 5: [trial(30, 5), trial(40, 5)]})
    assert [(r.batch, r.true["at"], r.rebuilt["at"], r.error) for r in found] == [
        (batch, at, 100 + at, at / 4) for batch, at in ((2, 10), (2, 11), (5, 30), (5, 31), (5, 32))
    ]


# From the options to the federation, and back to the command that repeats it.

OTHER: dict[str, Any] = {
    "dataset": "simulated",
    "seed": 9,
    "banks": 5,
    "bits": 12,
    "trials": 3,
    "batches": (2, 5),
    "step": "sgd",
    "holders": 3,
    "quorum": 2,
    "witnesses": 1,
    "noise_multiplier": 0.5,
    "rows": 70,
    "models": 11,
    "pools": 4,
    "rounds": 2,
    "epsilons": (math.inf, 2.0),
    "delta": 1e-6,
    "epsilon": 4.0,
    "runs": 7,
    "rules": ("none", "median"),
    "attacks": ("sign-flip",),
    "byzantine": (0, 1),
    "seeds": 2,
}


def test_every_setting_is_another_one_here() -> None:
    assert set(OTHER) == {field.name for field in fields(AttackSettings)}


def test_the_command_repeats_every_setting_that_is_not_the_default() -> None:
    assert _command_line("membership", "masked", AttackSettings()) == "secure-fl attack membership --scheme masked"
    words = _command_line("inversion", "bfv", AttackSettings(**OTHER)).split()
    assert words[:5] == ["secure-fl", "attack", "inversion", "--scheme", "bfv"]
    given = dict(zip(words[5::2], words[6::2], strict=True))
    assert given == {
        f"--{name.replace('_', '-')}": ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in OTHER.items()
    }


def test_a_split_view_is_of_a_federation_with_those_who_open_its_sums() -> None:
    several = AttackSettings(holders=3, quorum=2)
    assert attacked_experiment("split-view", "bfv", several).kind.trustees == tuple(
        f"key-holder-{n}" for n in (1, 2, 3)
    )
    seen = AttackSettings(witnesses=1)
    assert attacked_experiment("split-view", "ckks", seen).kind.trustees == ("key-authority", "witness-1")
    assert attacked_experiment("inversion", "ckks", seen).witnesses == 0


def test_what_is_kept_of_an_attack_is_of_its_experiment() -> None:
    settings = AttackSettings(**(OTHER | {"bits": None}))
    experiment = attacked_experiment("inversion", "masked", settings)
    found = _report("inversion", experiment, settings, [], "a source", (SHOWN,))
    assert (found.attack, found.scheme, found.source, found.shown) == ("inversion", "masked", "a source", (SHOWN,))
    assert found.custody == SCHEMES["masked"].custody.broken_by
    lists = {name: list(value) for name, value in OTHER.items() if isinstance(value, tuple)}
    assert found.settings == OTHER | lists | {"bits": 16, "epsilons": ["inf", 2.0]}
    assert _plain({"epsilons": (1.0,), "x": (1, 2), "y": 3}) == {"epsilons": [1.0], "x": [1, 2], "y": 3}


@pytest.mark.parametrize(
    ("attack", "scheme", "bits", "expected"),
    [
        ("inversion", "plaintext", None, "float32"),
        ("membership", "plaintext", None, 16),
        ("inversion", "ckks", None, 16),
        ("split-view", "masked", 12, 12),
    ],
)
def test_the_federation_that_is_attacked_is_the_one_asked_for(
    attack: str, scheme: str, bits: int | None, expected: object
) -> None:
    alone: dict[str, Any] = {"holders": None, "quorum": None, "witnesses": 0}
    experiment = attacked_experiment(attack, scheme, AttackSettings(**(OTHER | alone | {"bits": bits})))
    assert (experiment.scheme, experiment.bits, experiment.dataset) == (scheme, expected, "simulated")
    assert (experiment.banks, experiment.seed) == (5, 9)
    if attack == "membership":
        assert (experiment.rounds, experiment.local_epochs, experiment.batch_size) == (2, 5, 32)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dataset": "mine.csv"},
        {"batches": ()},
        {"batches": (1, 0)},
        {"batches": (-1, 2)},
        {"epsilon": 0.0},
        {"epsilon": math.nan},
        {"epsilons": (1.0, 0.0)},
        {"epsilons": (-1.0, 3.0)},
        {"delta": 0.0},
        {"delta": 1.0},
    ],
    ids=str,
)
def test_each_setting_is_refused_just_beyond_its_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="; use"):
        AttackSettings(**wrong)


def test_an_attack_gets_every_setting_that_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No attack is run: what each would be called with."""
    asked: dict[str, Any] = {}

    def note(name: str, found: Any) -> Any:
        def run(*arguments: Any) -> Any:
            rng = next(argument for argument in arguments if isinstance(argument, np.random.Generator))
            asked[name] = [a for a in arguments if not isinstance(a, np.random.Generator)]
            asked[f"{name} draws"] = rng.random()
            return found

        return run

    def opened(experiment: Any, largest: int) -> Any:
        asked["opened"] = (experiment.scheme, largest)
        return scene

    experiment = attacked_experiment("inversion", "masked", AttackSettings(**OTHER))
    scene = SimpleNamespace(experiment=experiment, dataset=SimpleNamespace(source="its source"))
    monkeypatch.setattr(command, "open_scene", opened)
    monkeypatch.setattr(command, "run_inversion", note("inversion", ([{"of": "inversion"}], {2: []})))
    monkeypatch.setattr(command, "show_rows", lambda scene, rebuilt: (SHOWN,) if 2 in rebuilt else ())
    for name in ("split_view", "membership", "audit"):
        monkeypatch.setattr(command, f"run_{name}", note(name, [{"of": name}]))

    def run_poisoning(*arguments: Any) -> Any:
        asked["poisoning"] = arguments
        return [{"of": "poisoning"}], scene.dataset

    monkeypatch.setattr(command, "run_poisoning", run_poisoning)

    def progress(what: str, done: int, total: int) -> None:
        """Nothing."""

    settings = AttackSettings(**OTHER)
    reports = {attack: command.run_attack(attack, experiment, settings, progress) for attack in command.ATTACKS}
    local = LocalStep("sgd", 0.5)
    budgets = [None, Budget(2.0, 1e-6)]
    assert asked["opened"] == ("masked", 5)
    assert asked["inversion"] == asked["split_view"] == [scene, local, (2, 5), 3, progress]
    assert asked["membership"] == [scene, budgets, 70, 11, 4, progress]
    assert asked["audit"] == [Promise(4.0, 1e-6, 5, 7), progress]
    first = np.random.default_rng(9).random()
    assert all(asked[f"{name} draws"] == first for name in ("inversion", "split_view", "membership", "audit"))
    assert {attack: report.results[0]["of"] for attack, report in reports.items()} == {
        "inversion": "inversion",
        "split-view": "split_view",
        "membership": "membership",
        "audit-epsilon": "audit",
        "poisoning": "poisoning",
    }
    assert asked["poisoning"] == (experiment, settings.grid, progress)
    assert {attack: report.source for attack, report in reports.items()} == {
        **dict.fromkeys(("inversion", "split-view", "membership", "poisoning"), "its source"),
        "audit-epsilon": "canaries, made for the audit; nobody's transactions",
    }
    assert {attack for attack, report in reports.items() if report.shown} == {"inversion"}


def test_the_files_are_those_of_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "run_attack", lambda *_: report("split-view"))
    files = (tmp_path / "a.json", tmp_path / "a.html")
    command.run_command("split-view", "masked", *files, show_progress, seed=4, bits=None)
    assert (tmp_path / "a.json").read_text() == report("split-view").to_json() + "\n"
    assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert "split-view against masked" in capsys.readouterr().out


def test_render_needs_no_rows() -> None:
    found = report("inversion")
    page = AttackPage("inversion", "masked", "c", {}, found.results, "s", ("x",), ())
    assert "Rows, true and rebuilt" not in render(page)
