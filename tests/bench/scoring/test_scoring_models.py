"""What is scored: which rows a slow peer gets, and that random models are what they are called."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secure_fl.bench.scoring.models import QUICK, ScoredModel, quick_models, random_model
from secure_fl.scoring import plain_logits


def scored(fraud: NDArray[np.bool_] | None, rows: int) -> ScoredModel:
    made = random_model("a test", (4, 1), rows)
    return ScoredModel("a test", made.layers, made.training, made.clip, made.rows, fraud)


@given(st.lists(st.booleans(), min_size=2, max_size=40), st.data())
def test_few_rows_are_half_fraud_while_there_is_any_and_the_first_of_more(
    labels: list[bool], data: st.DataObject
) -> None:
    fraud = np.array(labels)
    model = scored(fraud, len(labels))
    few = data.draw(st.integers(1, len(labels) - 1))
    more = data.draw(st.integers(few, len(labels) - 1))
    places = model.chosen(few)
    assert len(set(places.tolist())) == few
    assert places.tolist() == model.chosen(more)[:few].tolist()
    scarce = min(fraud.sum(), (~fraud).sum())
    assert min(fraud[places].sum(), (~fraud[places]).sum()) in {min(few // 2, scarce), min((few + 1) // 2, scarce)}


@pytest.mark.parametrize("fraud", [None, np.arange(9) < 2])
def test_all_rows_come_in_their_order(fraud: NDArray[np.bool_] | None) -> None:
    for count in (9, 10, 10_000):
        assert scored(fraud, 9).chosen(count).tolist() == list(range(9))


def test_rows_without_labels_are_chosen_without_repetition() -> None:
    assert len(set(scored(None, 30).chosen(20).tolist())) == 20


def test_quick_models_are_squares_of_the_widths_in_their_names() -> None:
    for model in quick_models():
        network = model.compiled.network
        assert network.widths == QUICK[model.name]
        assert np.allclose(network.logits(model.rows), plain_logits(model.layers, model.rows))
        assert np.abs(model.rows).max() <= model.clip
