"""Plausible results of runs, made up: a report is about showing numbers, so none of them needs a real run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from markupsafe import Markup

from secure_fl.data.metrics import Alerts, OnTest, PrecisionRecall, Scores
from secure_fl.federation.results import Baseline, Exhibit, Model, Result, RoundRecord, Seconds
from secure_fl.report import render
from secure_fl.report.pictures import Picture
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.transcript import Deliveries
from secure_fl.training import fraud_learner
from tests.browser import running
from tests.report.measuring import Measuring

PARAMETERS = 10_369
TEST_FRAUDS, TEST_HONEST = 108, 85_335
GUESSING = TEST_FRAUDS / (TEST_FRAUDS + TEST_HONEST)

ALERTS = Alerts(
    precision_at_100=0.31,
    best_precision_at_100=0.36,
    alert_days=3,
    alert_rate=0.0123,
    amount_saved=9_870.5,
    amount_of_fraud=12_340.0,
)

MakeResult = Callable[..., Result]


def _curve(top: float, rounds: int, pace: float) -> tuple[float, ...]:
    return tuple(top * (1 - float(np.exp(-pace * step))) for step in range(1, rounds + 1))


def _on_test(top: float, names: list[str]) -> OnTest:
    """A curve that falls from 1 to the share of fraud, and a last bank whose test rows hold no fraud."""
    recall = tuple(number / 60 for number in range(1, 61))
    precision = tuple(GUESSING + (1 - GUESSING) * (1 - r ** (1 / (1.001 - top))) for r in recall)
    by_bank = {name: top - 0.01 * place for place, name in enumerate(names)} | {names[-1]: None}
    return OnTest(PrecisionRecall(recall, precision, TEST_FRAUDS, TEST_HONEST), by_bank, ALERTS)


def _baseline(name: str, top: float, rounds: int, pace: float, names: list[str]) -> Baseline:
    scores = Scores(auprc=top, roc_auc=0.95, false_positives_at_80_recall=round(900 * (1 - top)))
    return Baseline(name, scores, _curve(top, rounds, pace), _on_test(top, names))


def _round(number: int, auprc: float, names: list[str], dropped: tuple[str, ...], float32: bool) -> RoundRecord:
    present = [name for name in names if name not in dropped]
    wobble = 1 + 0.08 * np.sin(number)
    upload = 4 * PARAMETERS + 48 if float32 else 39_700
    return RoundRecord(
        round=number,
        contributors=tuple(present),
        dropped=dropped,
        attempts=1,
        refused={},
        auprc=auprc,
        roc_auc=0.9 + 0.06 * auprc,
        upload_bytes={name: upload + 10 * (number % 3) + len(name) for name in present},
        download_bytes=dict.fromkeys(names, 4 * PARAMETERS + 210),
        max_abs_error=2.4e-9 if float32 else 3.1e-5 / number**0.5,
        quantization_step=None if float32 else 2.9e-5,
        clipped_fraction=0.0 if float32 else 0.0017 / number,
        seconds=Seconds(train=0.62 * wobble, client=0.011 * wobble, server=0.0038 * wobble, decode=0.0061),
    )


def _exhibit(bank: str, plaintext: bool) -> Exhibit:
    noise = np.random.default_rng(20_26)
    update = (0.004 * noise.standard_t(4, size=1024)).astype(np.float32)
    if plaintext:
        return Exhibit(bank, update, update.tobytes(), 4 * PARAMETERS + 48, update.copy())
    return Exhibit(bank, update, noise.bytes(4096), 39_712, None)


def _custody(plaintext: bool) -> Custody:
    if plaintext:
        return Custody(
            scheme="plaintext",
            summary="Every bank sends its update in the clear.",
            can_decrypt={"aggregator": ("every bank's update", "the sum"), "bank": ("its own update",)},
            broken_by=("the aggregator alone",),
            assumptions=(),
            papers=(),
        )
    return Custody(
        scheme="bfv",
        summary="Banks encrypt under a key that only the key authority holds; the aggregator adds ciphertexts.",
        can_decrypt={
            "bank": ("its own update", "the mean of all updates"),
            "aggregator": (),
            "key authority": ("the sum of all updates",),
            "observer": (),
        },
        broken_by=("the aggregator together with the key authority", "all other banks together, by subtraction"),
        assumptions=("Ring learning with errors is hard at 128 bits.", "The key authority sees no single ciphertext."),
        papers=("Fan and Vercauteren, Somewhat Practical Fully Homomorphic Encryption, IACR ePrint 2012/144.",),
    )


def _share(index: int) -> dict[str, int]:
    return {"train_rows": 66_000 + 900 * index, "train_frauds": 128, "test_rows": 28_000, "test_frauds": 36 + index}


@pytest.fixture(scope="session")
def make_result() -> MakeResult:
    """Builds a result: `make_result(banks=3, rounds=10, plaintext=False, top=0.81, names=None, drop=())`."""

    def make(
        banks: int = 3,
        rounds: int = 10,
        plaintext: bool = False,
        top: float = 0.81,
        names: list[str] | None = None,
        drop: tuple[str, ...] = (),
    ) -> Result:
        names = names or [f"bank-{number}" for number in range(1, banks + 1)]
        curve = _curve(top, rounds, 0.5)
        dropping_round = max(1, rounds // 2)
        return Result(
            experiment={
                "dataset": "ulb",
                "banks": len(names),
                "rounds": rounds,
                "scheme": "plaintext" if plaintext else "bfv",
                "bits": "float32" if plaintext else 8,
                "seed": 7,
                "drop": list(drop),
                "training": {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 512, "weighted": True},
                "out": None,
            },
            rounds=tuple(
                _round(number, score, names, drop if number == dropping_round else (), plaintext)
                for number, score in enumerate(curve, start=1)
            ),
            final=Scores(auprc=curve[-1], roc_auc=0.954, false_positives_at_80_recall=212),
            on_test=_on_test(curve[-1], names),
            local=tuple(
                _baseline(name, 0.78 - 0.13 * i / len(names), rounds, 0.4, names) for i, name in enumerate(names)
            ),
            central=_baseline("all banks pooled", 0.82, rounds, 0.7, names),
            custody=_custody(plaintext),
            exhibit=_exhibit(names[0], plaintext),
            data={
                "source": "Dal Pozzolo et al. 2015, Machine Learning Group, Université Libre de Bruxelles (DbCL)",
                "rows": 284_807,
                "frauds": 492,
                "banks": {name: _share(index) for index, name in enumerate(names)},
            },
            parameters=PARAMETERS,
            privacy=None,
            synthetic=None,
            model=Model(np.zeros(PARAMETERS, dtype=np.float32), {}, fraud_learner()),
            transcript=Deliveries(),
        )

    return make


@pytest.fixture(scope="session")
def page(make_result: MakeResult) -> str:
    """The page of an ordinary run of three rounds, with all of its drawings."""
    return render(make_result(rounds=3))


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Callable[[Result], str]:
    """`words(result)`: its page with labels in the place of drawings, which take nearly all of the time."""

    def label_of(name: str, label: str, *_: object) -> Picture:
        drawing = Markup('<svg role="img" aria-label="{}"></svg>').format(label)
        return Picture(drawing, drawing)

    monkeypatch.setattr("secure_fl.report.pictures.both", label_of)
    return render


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measuring]:
    with running() as browser:
        yield Measuring(browser, tmp_path_factory.mktemp("pages"))
