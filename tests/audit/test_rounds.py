"""What an audit says of earlier rounds: the same rows, exact sums, and which models are compared."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from secure_fl import Result
from secure_fl.audit.auditing import Asked, audit
from secure_fl.audit.explaining import explain_rows, sum_features
from secure_fl.audit.opening import COMPARED, EarlierModel, Subject, spread
from secure_fl.audit.page import render
from secure_fl.audit.ranking import rounds_document
from secure_fl.audit.sums import SecureSums
from secure_fl.errors import DataError
from secure_fl.report.outputs import rounds_kept
from secure_fl.training import load_model

pytest.importorskip("shap")


@pytest.mark.parametrize(
    ("rounds", "compared"),
    [
        ([1], ()),
        ([1, 2], (1,)),
        ([1, 2, 3, 4, 5], (1, 2, 3, 4)),
        ([*range(1, 11)], (1, 3, 5, 8)),
        ([*range(1, 101)], (1, 26, 51, 75)),
        ([4, 9, 10], (4, 9)),
    ],
)
def test_first_rounds_and_rounds_between_are_compared_with_the_last(
    rounds: list[int], compared: tuple[int, ...]
) -> None:
    assert spread(rounds) == compared
    assert len(compared) < COMPARED == 5


def test_an_earlier_model_is_explained_on_the_same_rows_against_the_same_background(subject: Subject) -> None:
    (first,) = subject.earlier
    assert first.round == 1
    alone = replace(subject, weights=first.weights, earlier=())
    then, now = explain_rows(alone, 20), explain_rows(subject, 20)
    for bank, other in zip(then, now, strict=True):
        assert np.array_equal(bank.rows, other.rows)
        assert np.array_equal(np.abs(bank.integers).sum(axis=0), other.earlier[0])
        assert bank.earlier.shape == (0, len(subject.features))


@pytest.mark.parametrize("scheme", ["plaintext", "masked"])
def test_sums_of_earlier_rounds_are_those_of_all_rows(subject: Subject, scheme: str) -> None:
    own = EarlierModel(2, subject.weights)
    explained = explain_rows(replace(subject, earlier=(*subject.earlier, own)), 15)
    sums = SecureSums(scheme)
    summed = sum_features(subject, explained, (), sums)
    assert [made.what for made in sums.made] == ["SHAP values", "SHAP values of earlier rounds"]
    assert sums.made[1].numbers == 2 * len(subject.features)
    assert np.array_equal(summed.earlier[1], summed.absolute)
    document = rounds_document(summed, (1, 2), 3)
    first, same = document["earlier"]
    assert (same["spearman"], same["kept"]) == (pytest.approx(1), 1)
    varying = summed.absolute > 0
    expected = spearmanr(summed.absolute[varying], summed.earlier[0][varying]).statistic
    assert first["spearman"] == pytest.approx(expected, abs=0.02)
    assert first["spearman"] < 1
    order = np.argsort(-summed.absolute, kind="stable")
    assert first["mean_abs"] == (summed.earlier[0] / 45)[order].tolist()


def test_the_page_has_a_column_for_each_round(subject: Subject) -> None:
    found = audit(subject, Asked(rows=10))
    document = found.document()
    (first,) = document["shap"]["rounds"]["earlier"]
    assert document["shap"]["rounds"]["note"] is None
    page = render(found, document)
    table = page.split("Mean |SHAP| of the first features after some rounds", 1)[1].split("</table>", 1)[0]
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)', table) == ["Feature", "Round 1", "Round 2"]
    rows = re.findall(r'<th scope="row" class="words">([^<]*)</th><td>([^<]*)</td><td>([^<]*)</td>', table)
    name, then, now = rows[0]
    assert name == document["shap"]["features"][0]
    assert (then, now) == (f"{first['mean_abs'][0]:.3f}", f"{document['shap']['mean_abs'][0]:.3f}")
    assert rows[-1] == ("Agreement of the ranking", f"{first['spearman']:.3f}", "")


@pytest.mark.slow
def test_what_a_run_did_not_keep_is_said(run_directory: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_directory, tmp_path / "run"))
    shutil.rmtree(run / "models")
    found = audit(Subject.of_run(run), Asked(rows=5))
    document = found.document()["shap"]["rounds"]
    assert (document["earlier_models"], document["earlier"]) == (0, [])
    assert "kept no model of earlier rounds" in document["note"]
    assert document["note"] in render(found, found.document())
    assert "SHAP values of earlier rounds" not in {made.what for made in found.sums}


@pytest.mark.slow
def test_one_round_is_no_change(run_small: Callable[..., Result], tmp_path: Path) -> None:
    run = run_small(scheme="plaintext", rounds=1).save(tmp_path / "run")
    assert "one round" in audit(Subject.of_run(run), Asked(rows=5)).document()["shap"]["rounds"]["note"]


@pytest.mark.slow
def test_models_of_another_run_are_refused(
    run_directory: Path, run_small: Callable[..., Result], tmp_path: Path
) -> None:
    other = run_small(scheme="masked", seed=2).save(tmp_path / "other")
    run = Path(shutil.copytree(run_directory, tmp_path / "run"))
    shutil.copy(rounds_kept(other)[1], rounds_kept(run)[1])
    with pytest.raises(DataError, match=r"round-01.safetensors is a model of another run; ") as caught:
        Subject.of_run(run)
    assert "\n" not in str(caught.value)
    rounds_kept(run)[1].write_bytes(b"no model")
    with pytest.raises(DataError, match=r"round-01.safetensors is not a model"):
        Subject.of_run(run)


@pytest.mark.slow
def test_a_result_has_the_same_earlier_models_as_its_files(
    run_directory: Path, run_small: Callable[..., Result]
) -> None:
    (stored,) = Subject.of_run(run_directory).earlier
    models = run_small(scheme="masked").models
    assert models is not None
    held = models.find(stored.round)
    assert held is not None
    assert np.array_equal(held, stored.weights)
    assert np.array_equal(load_model(rounds_kept(run_directory)[1]).weights, held)
