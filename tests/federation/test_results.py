"""What `metrics.json` holds is what the run found out: every field from its own place, none from another's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from secure_fl.data.metrics import Alerts, OnTest, PrecisionRecall, Scores
from secure_fl.federation.results import Baseline, Custody, Exhibit, Model, Result, RoundRecord, Seconds
from secure_fl.privacy.spent import BankPrivacy, Privacy
from secure_fl.secagg.transcript import Deliveries
from secure_fl.training import fraud_learner

PRIVACY = Privacy(
    mechanism="dp-sgd",
    epsilon=2.5,
    delta=1e-5,
    unit="example",
    neighbours="one row",
    accountant="prv",
    banks=(BankPrivacy("bank-1", 2.25, 1.5, 0.125, 40),),
    statistics_noise_multiplier=21.0,
    epsilon_by_accountant={"pld": 2.4},
    not_covered=("counts",),
    notes=("a note",),
    lifetime_epsilon={"bank-1": 7.5},
    ledger={"lines": 3, "head": "cd"},
    withheld=("an update",),
)
CUSTODY = Custody(
    scheme="masked",
    summary="masks cancel",
    can_decrypt={"aggregator": ("the sum",)},
    broken_by=("two banks together",),
    assumptions=("keys are new",),
    papers=("a paper",),
)


def record(number: int) -> RoundRecord:
    """A round in which no two figures are alike."""
    return RoundRecord(
        round=number,
        contributors=("bank-1",),
        dropped=("bank-2",),
        attempts=number + 1,
        refused={"bank-2": "late"},
        auprc=number + 0.1,
        roc_auc=number + 0.2,
        upload_bytes={"bank-1": 10 * number},
        download_bytes={"bank-1": 20 * number},
        max_abs_error=number + 0.3,
        quantization_step=number + 0.4,
        clipped_fraction=number + 0.5,
        seconds=Seconds(number + 0.6, number + 0.7, number + 0.8, number + 0.9),
        epsilon=number + 0.95,
        excluded=(f"bank-{number + 5}",),
        byzantine=(f"bank-{number + 7}",),
        model_sha256=str(number + 8) * 64,
    )


def on_test(number: int) -> OnTest:
    curve = PrecisionRecall((0.5, 1.0), (0.01 * number, 0.02 * number), 31, 32)
    alerts = Alerts(0.05 * number, 0.06 * number, 7 * number, 0.07 * number, 8.5 * number, 9.5 * number)
    return OnTest(curve, {"bank-1": 0.03 * number, "bank-2": 0.04 * number}, alerts)


def result(**changes: Any) -> Result:
    fields: dict[str, Any] = {
        "experiment": {"rounds": 2},
        "rounds": (record(1), record(2)),
        "final": Scores(0.1, 0.2, 3),
        "on_test": on_test(1),
        "local": (
            Baseline("bank-1", Scores(0.3, 0.4, 5), (0.5, 0.3), on_test(2)),
            Baseline("bank-2", Scores(0.6, 0.7, 8), (0.8, 0.6), on_test(3)),
        ),
        "central": Baseline("all banks pooled", Scores(0.85, 0.9, 10), (0.95, 0.85), on_test(4)),
        "custody": CUSTODY,
        "exhibit": Exhibit("bank-1", np.zeros(1, dtype=np.float32), b"", 0, None),
        "data": {"rows": 11},
        "parameters": 12,
        "privacy": PRIVACY,
        "synthetic": {"review": "approved"},
        "model": Model(np.zeros(9, dtype=np.float32), {}, fraud_learner()),
        "transcript": Deliveries(),
    }
    return Result(**{**fields, **changes})


def _round(number: int) -> dict[str, Any]:
    return {
        "round": number,
        "contributors": ("bank-1",),
        "dropped": ("bank-2",),
        "attempts": number + 1,
        "refused": {"bank-2": "late"},
        "auprc": number + 0.1,
        "roc_auc": number + 0.2,
        "upload_bytes": {"bank-1": 10 * number},
        "download_bytes": {"bank-1": 20 * number},
        "max_abs_error": number + 0.3,
        "quantization_step": number + 0.4,
        "clipped_fraction": number + 0.5,
        "seconds": {"train": number + 0.6, "client": number + 0.7, "server": number + 0.8, "decode": number + 0.9},
        "epsilon": number + 0.95,
        "excluded": (f"bank-{number + 5}",),
        "byzantine": (f"bank-{number + 7}",),
        "model_sha256": str(number + 8) * 64,
    }


def _scores(auprc: float, roc_auc: float, false_positives: int, number: int) -> dict[str, Any]:
    return {
        "auprc": auprc,
        "roc_auc": roc_auc,
        "false_positives_at_80_recall": false_positives,
        "precision_at_100": 0.05 * number,
        "best_precision_at_100": 0.06 * number,
        "alert_days": 7 * number,
        "alert_rate": 0.07 * number,
        "amount_saved": 8.5 * number,
        "amount_of_fraud": 9.5 * number,
    }


def test_metrics_hold_every_field_from_its_own_place() -> None:
    assert result().metrics() == {
        "schema": 1,
        "experiment": {"rounds": 2},
        "parameters": 12,
        "data": {"rows": 11},
        "rounds": [_round(1), _round(2)],
        "final": _scores(0.1, 0.2, 3, 1),
        "baselines": {
            "local": [
                {"bank": "bank-1", **_scores(0.3, 0.4, 5, 2), "auprc_by_round": [0.5, 0.3]},
                {"bank": "bank-2", **_scores(0.6, 0.7, 8, 3), "auprc_by_round": [0.8, 0.6]},
            ],
            "central": {**_scores(0.85, 0.9, 10, 4), "auprc_by_round": [0.95, 0.85]},
        },
        "synthetic": {"review": "approved"},
        "privacy": {
            "mechanism": "dp-sgd",
            "epsilon": 2.5,
            "delta": 1e-5,
            "unit": "example",
            "neighbours": "one row",
            "accountant": "prv",
            "banks": ({"bank": "bank-1", "epsilon": 2.25, "noise_multiplier": 1.5, "sample_rate": 0.125, "steps": 40},),
            "statistics_noise_multiplier": 21.0,
            "epsilon_by_accountant": {"pld": 2.4},
            "not_covered": ("counts",),
            "notes": ("a note",),
            "lifetime_epsilon": {"bank-1": 7.5},
            "ledger": {"lines": 3, "head": "cd"},
            "withheld": ("an update",),
        },
        "curves": {
            "frauds": 31,
            "honest": 32,
            "federated": {"recall": [0.5, 1.0], "precision": [0.01, 0.02]},
            "local": [
                {"bank": "bank-2", "recall": [0.5, 1.0], "precision": [0.03, 0.06]},
                {"bank": "bank-1", "recall": [0.5, 1.0], "precision": [0.02, 0.04]},
            ],
            "central": {"recall": [0.5, 1.0], "precision": [0.04, 0.08]},
        },
        "auprc_on_own_rows": {
            "bank-1": {"federated": 0.03, "alone": 0.06},
            "bank-2": {"federated": 0.04, "alone": 0.12},
        },
        "custody": {
            "scheme": "masked",
            "summary": "masks cancel",
            "can_decrypt": {"aggregator": ("the sum",)},
            "broken_by": ("two banks together",),
            "assumptions": ("keys are new",),
            "papers": ("a paper",),
        },
    }


@pytest.mark.parametrize("name", ["synthetic", "privacy"])
def test_what_there_was_not_is_null(name: str) -> None:
    assert result(**{name: None}).metrics() == {**result().metrics(), name: None}


def test_a_result_is_one_line_and_a_small_table() -> None:
    found = result()
    line = f"Result({found.custody.scheme}, 2 banks, {len(found.rounds)} rounds: AUPRC {found.final.auprc:.3f}, "
    line += "banks alone 0.300 to 0.600, pooled 0.850, epsilon "
    assert repr(found).startswith(line)
    assert "\n" not in repr(found)
    assert "epsilon" not in repr(result(privacy=None))
    page = found._repr_html_()
    for party, reads in found.custody.can_decrypt.items():
        assert f"{party} can read</th>" in page
        assert ("; ".join(reads) or "nothing") in page
    assert page.startswith("<table>")


def test_the_model_is_one_line() -> None:
    weights = np.zeros(fraud_learner().parameters, dtype=np.float32)
    model = Model(weights, {"numeric": ["a", "b"]}, fraud_learner())
    assert repr(model) == "Model(10369 weights, 2 numeric features)"
    module = model.to_torch()
    assert not module.training
    assert not any(part.any() for part in module.parameters())
