"""Numbers for people, and a verdict that says what the numbers say."""

from __future__ import annotations

import pytest

from secure_fl.data.metrics import Scores
from secure_fl.federation.results import Baseline
from secure_fl.report import wording


def scores(auprc: float) -> Scores:
    return Scores(auprc=auprc, roc_auc=0.9, false_positives_at_80_recall=100)


def judge(federated: float, local: tuple[float, ...], pooled: float = 0.9) -> str:
    banks = [Baseline(f"bank-{number}", scores(value), (value,)) for number, value in enumerate(local, start=1)]
    return wording.verdict(scores(federated), banks, Baseline("all banks pooled", scores(pooled), (pooled,)))


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ((0.6, 0.7, 0.75), "finds fraud better than all 3 models that banks trained alone (AUPRC 0.800"),
        ((0.85, 0.9), "finds fraud worse than both models that banks trained alone (AUPRC 0.800"),
        ((0.795, 0.8, 0.805), "is level with all 3 models"),
        ((0.6, 0.8, 0.8), "better than 1 of the 3 models that banks trained alone and is level with the others"),
        ((0.9, 0.8), "worse than 1 of the 2 models that banks trained alone and is level with the other ("),
        ((0.6, 0.9, 0.8), "better than 1 of the 3 models that banks trained alone, but worse than 1 of them"),
        ((0.6,), "better than the one model that a bank trained alone (AUPRC 0.800 against 0.600)"),
        ((), "reaches an AUPRC of 0.800, and stays"),
    ],
)
def test_verdict_against_banks_alone(local: tuple[float, ...], expected: str) -> None:
    assert expected in judge(0.8, local)


@pytest.mark.parametrize(
    ("pooled", "expected"),
    [
        (0.85, "stays 0.050 below one model trained on all the data pooled (0.850)."),
        (0.805, "is level with one model trained on all the data pooled (0.805)."),
        (0.7, "ends 0.100 above one model trained on all the data pooled (0.700), which may well be chance."),
    ],
)
def test_verdict_against_pooled_data(pooled: float, expected: str) -> None:
    assert judge(0.8, (0.6, 0.7), pooled).endswith(expected)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_610, "123.6 kB"), (999_960, "1.0 MB"), (5_060_000, "5.1 MB")],
)
def test_bytes(size: int, text: str) -> None:
    assert wording.bytes_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0000042, "4.2 µs"), (0.0123, "12.3 ms"), (1.234, "1.23 s"), (75.2, "1 min 15 s")]
)
def test_seconds(seconds: float, text: str) -> None:
    assert wording.seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.25, "0.25"), (2.34e-5, "2.3 \N{MULTIPLICATION SIGN} 10⁻⁵"), (-0.5, "-0.5")],
)
def test_small_numbers(value: float, text: str) -> None:
    assert wording.small_text(value) == text


def test_shares_names_and_counts() -> None:
    assert [wording.share_text(share) for share in (0.0, 0.00173, 0.2, 1.0)] == ["0 %", "0.17 %", "20 %", "100 %"]
    assert wording.names_text(["a", "b"]) == "a, b"
    assert wording.names_text(list("abcdefg")) == "a, b, c, d and 3 more"
    assert (wording.plural(1, "bank"), wording.plural(3, "bank")) == ("1 bank", "3 banks")
    assert wording.scheme_text("masked") == "pairwise masks"
    assert wording.bits_text("float32") == "float32"
    assert wording.dataset_text("my.csv") == "my.csv"
