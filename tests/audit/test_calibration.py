"""Calibration: the map, what it is worth, and that both come from exact sums of counts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from secure_fl import Result
from secure_fl.audit.calibration import BetaMap, Calibration, calibrate
from secure_fl.audit.calibration import calibrating as module
from secure_fl.audit.calibration.halves import Half, halves_of
from secure_fl.audit.calibration.maps import BINS, fit_map
from secure_fl.audit.calibration.page import render, verdict
from secure_fl.audit.calibration.reliability import BIN_EDGES, LENGTH, Probabilities, Reliability, add_up
from secure_fl.audit.calibration.stored import StoredMap, describe
from secure_fl.audit.opening import Subject
from secure_fl.audit.sums import SecureSums
from secure_fl.audit.threshold import EDGES, histogram
from secure_fl.errors import DataError

Truth = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]
SCHEMES = ["plaintext", "additive", "masked", "ckks", "bfv"]


@pytest.fixture(scope="module")
def subject(run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """With frauds enough in both halves."""
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    run_small(scheme="masked", fraud_share=0.08).save(folder)
    return Subject.of_run(folder)


@pytest.fixture(scope="module")
def found(subject: Subject) -> Calibration:
    return calibrate(subject)


def _rows(rows: int, distort: Callable[[NDArray[np.float64]], NDArray[np.float64]], seed: int = 0) -> Truth:
    """True log-odds, the model's distorted ones, and labels that are drawn from the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-4, 2, size=rows)
    return truth, distort(truth), rng.random(rows) < expit(truth)


def _fit(scores: NDArray[np.float64], fraud: NDArray[np.bool_]) -> BetaMap:
    return fit_map(histogram(scores[fraud]), histogram(scores[~fraud]))


def _beta_inverse(truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores whose map with a = 0.5, b = 2, c = -1 is the truth."""
    grid = np.linspace(-25, 15, 40_001)
    mapped = 0.5 * -np.logaddexp(0, -grid) + 2 * np.logaddexp(0, grid) - 1
    return np.interp(truth, mapped, grid)


@pytest.mark.parametrize(
    "distort",
    [
        lambda t: t + math.log(10),  # a loss that weighs fraud tenfold
        lambda t: 1.7 * t,  # certainty that grew by training too long
        lambda t: 0.5 * t - 1,
        _beta_inverse,
    ],
)
def test_a_planted_distortion_is_undone(distort: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> None:
    truth, scores, fraud = _rows(200_000, distort)
    there = np.abs(truth + 4) < 5
    recovered = _fit(scores, fraud).log_odds(scores)
    assert np.abs(recovered - truth)[there].max() < 0.25
    assert np.abs(recovered - truth).mean() < 0.05
    assert np.abs(scores - truth).mean() > 0.5, "there was something to undo"


def test_a_loss_that_weighs_fraud_is_undone_by_the_logarithm_of_the_weight() -> None:
    _, scores, fraud = _rows(400_000, lambda t: t + math.log(10))
    fitted = _fit(scores, fraud)
    assert [fitted.a, fitted.b, fitted.c] == pytest.approx([1, 1, -math.log(10)], abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_bins_make_no_difference_beyond_their_width(seed: int) -> None:
    """The same regression of scikit-learn's, on each row by itself."""
    _, scores, fraud = _rows(20_000, lambda t: 1.3 * t + 2, seed)
    features = np.column_stack([-np.logaddexp(0, -scores), np.logaddexp(0, scores)])
    frauds, honest = fraud.sum(), (~fraud).sum()
    wanted = np.where(fraud, (frauds + 1) / (frauds + 2), 1 / (honest + 2))
    direct = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(
        np.vstack([features, features]), np.repeat([1, 0], len(features)), np.concatenate([wanted, 1 - wanted])
    )
    assert direct.coef_.min() > 0
    expected = features @ direct.coef_[0] + direct.intercept_[0]
    assert np.abs(_fit(scores, fraud).log_odds(scores) - expected).max() < EDGES[1] - EDGES[0]


@given(
    numbers=st.tuples(st.floats(0, 20), st.floats(0, 20), st.floats(-30, 30)),
    ends=st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
    scores=st.lists(st.floats(-30, 30), min_size=1, max_size=30),
)
def test_every_map_is_monotone_and_within_0_and_1(
    numbers: tuple[float, float, float], ends: tuple[float, float], scores: list[float]
) -> None:
    made = BetaMap(*numbers, lowest=min(ends), highest=max(ends))
    rising = np.sort(np.array(scores))
    probabilities = made.probabilities(rising)
    assert (np.diff(made.log_odds(rising)) >= -1e-12).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


@given(st.lists(st.tuples(st.integers(0, BINS - 1), st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=12))
def test_whatever_is_counted_a_fit_is_monotone_or_refused(counts: list[tuple[int, int, int]]) -> None:
    frauds, honest = np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64)
    for place, of_fraud, of_honest in counts:
        frauds[place] += of_fraud
        honest[place] += of_honest
    if not frauds.sum() or not honest.sum():
        return
    try:
        fitted = fit_map(frauds, honest)
    except DataError:
        return
    assert min(fitted.a, fitted.b) >= 0
    assert all(map(math.isfinite, asdict(fitted).values()))


def test_classes_that_are_apart_stay_finite() -> None:
    scores = np.concatenate([np.full(1_000, -8.0), np.full(40, 3.0)])
    fitted = _fit(scores, scores > 0)
    low, high = fitted.probabilities(np.array([-8.0, 3.0]))
    assert low == pytest.approx(1 / 1_002, rel=0.05)
    assert high == pytest.approx(41 / 42, rel=0.05)
    assert max(fitted.a, fitted.b) < 10


def test_scores_that_are_all_low_leave_the_upper_slope_small() -> None:
    truth, scores, fraud = _rows(50_000, lambda t: 0.5 * t - 10)
    fitted = _fit(scores, fraud)
    assert fitted.b < 1
    assert np.abs(fitted.log_odds(scores) - truth).mean() < 0.1


def test_a_falling_part_is_left_out_and_the_rest_fitted_again() -> None:
    """Fraud that rises only above 0, and falls below."""
    scores = np.repeat([-6.0, -3.0, 2.0, 4.0], 1_000)
    fraud = np.concatenate([np.arange(1_000) < count for count in (60, 20, 300, 800)])
    fitted = _fit(scores, fraud)
    assert fitted.a == 0
    assert fitted.b > 0


def test_scores_that_rank_the_wrong_way_are_refused() -> None:
    _, scores, fraud = _rows(5_000, lambda t: -t)
    with pytest.raises(DataError, match="scores higher are not fraud more often"):
        _fit(scores, fraud)


@pytest.mark.parametrize("score", [-25.0, -2.5, 17.4])
@pytest.mark.parametrize("frauds", [30, 41, 300])
def test_scores_that_are_all_alike_are_refused(score: float, frauds: int) -> None:
    """Whatever slopes rounding leaves."""
    with pytest.raises(DataError, match="scores higher are not fraud more often"):
        _fit(np.full(1_000 + frauds, score), np.arange(1_000 + frauds) < frauds)


def test_scores_in_the_lowest_bin_tie_and_no_row_changes_its_place() -> None:
    _, scores, fraud = _rows(5_000, lambda t: 4 * t - 20)
    fitted = _fit(scores, fraud)
    assert scores.min() < -25
    assert len({*fitted.probabilities(np.array([-25.0, -20.0, -200.0]))}) == 1
    ordered = [float(f"{each:.9g}") for each in fitted.probabilities(np.sort(scores))]
    assert ordered == sorted(ordered)


def test_nothing_is_extrapolated() -> None:
    _, scores, fraud = _rows(5_000, lambda t: np.clip(t, -9, 1))
    fitted = _fit(scores, fraud)
    ends = fitted.probabilities(np.array([-9.0, 1.0]))
    assert np.allclose(fitted.probabilities(np.array([-30.0, 30.0])), ends, rtol=0.05)


def _halves(half: Half, banks: int = 3) -> list[Half]:
    """Rows dealt to banks."""
    return [Half(half.log_odds[bank::banks], half.fraud[bank::banks]) for bank in range(banks)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_losses_are_those_of_scikit_learn_on_all_rows_pooled(scheme: str) -> None:
    _, scores, fraud = _rows(3_000, lambda t: t + 2)
    fitted, half = _fit(scores, fraud), Half(scores, fraud)
    own = [add_up(part, fitted) for part in _halves(half)]
    total = SecureSums(scheme).add("losses", own)
    assert np.array_equal(total, add_up(half, fitted)), "banks make no difference"
    said = Reliability.of_vector(total)
    for kind, probability in ((said.own, expit(scores)), (said.calibrated, fitted.probabilities(scores))):
        assert kind.brier == pytest.approx(brier_score_loss(fraud, probability), abs=1e-6)
        assert kind.log_loss == pytest.approx(log_loss(fraud, probability), abs=1e-6)
        assert kind.mean == pytest.approx(probability.mean(), abs=1e-6)
        bins = np.digitize(probability, BIN_EDGES)
        gaps = [abs((probability - fraud)[bins == place].sum()) for place in range(len(BIN_EDGES) + 1)]
        assert kind.error == pytest.approx(sum(gaps) / len(fraud), abs=1e-6)
        assert kind.frauds.tolist() == np.bincount(bins[fraud], minlength=len(BIN_EDGES) + 1).tolist()
    differences = (expit(scores) - fraud) ** 2 - (fitted.probabilities(scores) - fraud) ** 2
    mean, (low, high) = said.brier_gain
    assert mean == pytest.approx(differences.mean(), abs=1e-6)
    assert (high - low) / 2 == pytest.approx(1.96 * differences.std() / len(fraud) ** 0.5, rel=1e-2)


@pytest.mark.slow
def test_right_probabilities_are_off_beyond_chance_as_often_as_said() -> None:
    rng, alarms = np.random.default_rng(3), 0
    nothing = BetaMap(1.0, 1.0, 0.0, -20.0, 20.0)
    for seed in range(200):
        _, scores, fraud = _rows(2_000, lambda t: t, seed)
        own = Reliability.of_vector(add_up(Half(scores, fraud), nothing)).own
        alarms += own.error > own.chance(rng)
    assert 2 <= alarms <= 20  # 10 are expected


def test_bins_of_few_rows_are_left_out_and_the_others_have_their_interval() -> None:
    rows, frauds = np.zeros(len(BIN_EDGES) + 1, dtype=np.int64), np.zeros(len(BIN_EDGES) + 1, dtype=np.int64)
    rows[:3], frauds[:3] = (19, 20, 1_000), (1, 0, 20)
    few, none, some, *_ = Probabilities(rows, frauds, 0.02 * rows.astype(np.float64), 0.0, 0.0).bins()
    assert few == {"from": 0.0, "to": 0.0003, "suppressed": "fewer than 20 rows"}
    assert none["interval"] == pytest.approx([0, 1 - 0.025 ** (1 / 20)])
    assert some["interval"] == pytest.approx([0.01226, 0.03072], abs=1e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_opened_counts_are_those_of_all_rows_pooled(
    subject: Subject, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: dict[str, NDArray[np.int64]] = {}
    add = SecureSums.add

    def listen(sums: SecureSums, what: str, vectors: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        opened[what] = add(sums, what, vectors)
        return opened[what]

    monkeypatch.setattr(SecureSums, "add", listen)
    other = replace(subject, experiment=subject.experiment.model_copy(update={"scheme": scheme}))
    made = calibrate(other)
    earlier, later = zip(*halves_of(other), strict=True)
    scores, fraud = (np.concatenate([getattr(half, name) for half in earlier]) for name in ("log_odds", "fraud"))
    edges = np.concatenate([[-np.inf], EDGES, [np.inf]])
    for part, kind in ((slice(0, BINS), fraud), (slice(BINS, 2 * BINS), ~fraud)):
        assert np.array_equal(opened["rows in narrow bins"][part], np.histogram(scores[kind], edges)[0])
    rest = np.concatenate([half.fraud for half in later])
    assert opened["rows in narrow bins"][2 * BINS :].tolist() == [rest.sum(), (~rest).sum()]
    assert opened["losses"].shape == (LENGTH,)
    assert np.array_equal(opened["losses"], np.sum([add_up(half, made.fitted) for half in later], axis=0))
    assert [each.equals_plaintext for each in made.sums] == [True, True]
    assert {*opened} == {"rows in narrow bins", "losses"}


def test_rows_are_halved_in_time_at_every_bank(subject: Subject) -> None:
    for bank, (earlier, later) in zip(subject.banks, halves_of(subject), strict=True):
        assert len(later.fraud) - len(earlier.fraud) in (0, 1)
        cut = np.sort(bank.raw.when)[len(earlier.fraud)]
        assert earlier.fraud.sum() == bank.examples.fraud[bank.raw.when < cut].sum()


def test_without_time_a_half_is_drawn(subject: Subject) -> None:
    """Files can be sorted by their label."""
    source = replace(subject.schema.source, time=None)
    without = replace(subject, schema=_Timeless(source))  # type: ignore[arg-type]  # all that halves look at
    for (drawn, rest), (early, _) in zip(halves_of(without), halves_of(subject), strict=True):
        assert sorted(map(len, (drawn.fraud, rest.fraud))) == sorted((len(drawn.fraud), len(rest.fraud)))
        assert not np.array_equal(drawn.log_odds, early.log_odds)
    again = halves_of(without)[0][0].log_odds
    assert np.array_equal(again, halves_of(without)[0][0].log_odds)


class _Timeless:
    def __init__(self, source: Any) -> None:
        self.source = source


def test_scores_of_a_weighted_loss_are_found_off_and_calibrated(found: Calibration) -> None:
    assert found.subject.experiment.positive_weight == 10
    assert found.own_is_off
    assert found.reliability.own.mean > 2 * found.reliability.calibrated.mean
    assert found.reliability.calibrated.error < found.reliability.own.error
    assert found.reliability.log_loss_gain[1][0] > 0
    assert verdict(found).startswith("The model's own scores are no probabilities: on average they say ")
    assert "10 times (positive_weight)" in found.notes[0]


def test_what_is_said_follows_from_the_figures(found: Calibration) -> None:
    right = replace(found, chance=(1.0, 1.0))
    assert verdict(right).startswith("The model's own scores are probabilities, as far as ")
    assert "miss by no more than chance" in verdict(right)
    assert "still miss what was found by more than chance" in verdict(replace(found, chance=(0.0, 0.0)))
    worse = replace(found.reliability, own=found.reliability.calibrated, calibrated=found.reliability.own)
    assert verdict(replace(found, reliability=worse)).endswith("a loss: do not use this map.")
    alike = replace(found.reliability, calibrated=found.reliability.own)
    assert verdict(replace(found, reliability=alike)).endswith("no difference beyond chance.")


def test_the_page_has_both_tables_and_the_map(found: Calibration) -> None:
    document = found.document()
    page = render(found, document)
    assert f"a = {document['map']['a']:.3f}" in page
    assert page.count("Said on average") == 2
    assert document["model_sha256"][:16] in page


@pytest.mark.parametrize(("half", "place"), [("earlier", 0), ("later", 1)])
@pytest.mark.parametrize("kind", ["frauds", "honest rows"])
def test_few_frauds_or_honest_rows_are_refused(
    subject: Subject, half: str, place: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(_: Subject) -> tuple[tuple[Half, Half], ...]:
        labels = np.arange(1_000) < (29 if kind == "frauds" else 971)
        enough = Half(np.linspace(-8, 4, 1_000), np.arange(1_000) % 2 == 0)
        halves = [enough, enough]
        halves[place] = Half(enough.log_odds, labels)
        nothing = Half(np.zeros(0), np.zeros(0, dtype=np.bool_))
        return ((halves[0], halves[1]), (nothing, nothing), (nothing, nothing))

    monkeypatch.setattr(module, "halves_of", few)
    with pytest.raises(
        DataError, match=rf"^the {half} half of the test rows has 29 {kind}, and a map takes 30"
    ) as said:
        calibrate(subject)
    assert "\n" not in str(said.value)


MAP = BetaMap(0.5, 1.5, -2.0, -12.0, 6.5)


def _written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_file_says_what_was_described(tmp_path: Path) -> None:
    stored = StoredMap.read(_written(tmp_path / "c.json", describe(MAP, "ab" * 32, {"more": [1, 0.25]})))
    assert (stored.fitted, stored.model) == (MAP, "ab" * 32)


@pytest.mark.parametrize("seed", range(40))
def test_one_character_that_changed_is_refused(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    text = bytearray(json.dumps(describe(MAP, "ab" * 32, {"more": [1, 0.25]})).encode())
    place = int(rng.integers(len(text)))
    while chr(text[place]).isspace():
        place = int(rng.integers(len(text)))
    text[place] = ord(rng.choice([c for c in "0123456789aZ" if ord(c) != text[place]]))
    (tmp_path / "c.json").write_bytes(text)
    with pytest.raises(DataError) as said:
        StoredMap.read(tmp_path / "c.json")
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 2}, "of another version"),
        ({"map": None}, "holds no map"),
        ({"map": {"kind": "isotonic"}}, "holds no map"),
        ({"map": {**asdict(MAP), "kind": "beta", "a": -0.1}}, "holds no map"),
        ({"map": {**asdict(MAP), "kind": "beta", "highest": -13.0}}, "holds no map"),
        ({"map": {**asdict(MAP), "kind": "beta", "c": True}}, "holds no map"),
    ],
)
def test_a_file_that_is_whole_and_no_map_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    """With its checksum made anew, as whoever forges would."""
    said = {name: value for name, value in describe(MAP, "ab" * 32, {}).items() if name != "sha256"} | change
    from secure_fl.audit.calibration.stored import _checksum

    with pytest.raises(DataError, match=reason):
        StoredMap.read(_written(tmp_path / "c.json", said | {"sha256": _checksum(said)}))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_none_is_refused(tmp_path: Path, number: float) -> None:
    said = describe(MAP, "ab" * 32, {})
    with pytest.raises(DataError, match="damaged, or was edited"):
        StoredMap.read(_written(tmp_path / "c.json", said | {"map": said["map"] | {"a": number}}))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"row,probability\n", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_calibration_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(DataError, match=r"is no calibration; give the calibration\.json"):
        StoredMap.read(tmp_path / "c.json")
    with pytest.raises(DataError, match="cannot be read"):
        StoredMap.read(tmp_path / "none.json")
