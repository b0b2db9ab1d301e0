"""A model's answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from secure_fl.data import Examples
from secure_fl.data.metrics import measure
from secure_fl.errors import DataError
from secure_fl.training import evaluate, evaluation, initial_weights, predict

MakeExamples = Callable[..., Examples]


def test_answers_are_probabilities_even_for_extreme_weights(toy: MakeExamples) -> None:
    for scale in (1, 1_000, 1e8):
        answers = predict(initial_weights(1) * np.float32(scale), toy().features)
        assert answers.shape == (300,)
        assert answers.dtype == np.float64
        assert 0 <= answers.min() <= answers.max() <= 1


def test_answers_repeat_and_do_not_depend_on_the_chunks(toy: MakeExamples, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = predict(initial_weights(1), toy().features)
    assert np.array_equal(whole, predict(initial_weights(1), toy().features))
    monkeypatch.setattr(evaluation, "_CHUNK", 7)
    assert predict(initial_weights(1), toy().features) == pytest.approx(whole, rel=1e-5)


def test_no_rows_have_no_answers() -> None:
    assert predict(initial_weights(1), np.empty((0, 128), dtype=np.float32)).shape == (0,)


def test_evaluation_scores_the_answers(toy: MakeExamples) -> None:
    examples = toy()
    assert evaluate(initial_weights(1), examples) == measure(
        examples.fraud, predict(initial_weights(1), examples.features)
    )


def test_a_test_set_of_one_class_is_refused(toy: MakeExamples) -> None:
    with pytest.raises(DataError, match="one class"):
        evaluate(initial_weights(1), toy(share=0.0))
