"""SHAP values at banks: they add up to scores, and what is opened is exactly the sum of all banks' rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl.audit.columns import by_column, collisions, positions
from secure_fl.audit.explaining import REPLICATES, explain_rows, sum_features
from secure_fl.audit.groups import group_rows
from secure_fl.audit.opening import AuditedBank, Subject
from secure_fl.audit.ranking import shap_document
from secure_fl.audit.sums import SecureSums, to_integers, to_reals
from secure_fl.errors import AuditError, ConfigurationError, DataError
from secure_fl.training import Network, fraud_learner, make_learner

pytest.importorskip("shap")


def test_values_add_up_to_log_odds_at_every_bank(subject: Subject) -> None:
    explained = explain_rows(subject, 20)
    assert [len(own.rows) for own in explained] == [20, 20, 20]
    assert max(own.largest_gap for own in explained) < 1e-4


@pytest.mark.parametrize("scheme", ["plaintext", "additive", "masked", "ckks", "bfv"])
def test_opened_sums_are_those_of_all_rows_pooled(subject: Subject, scheme: str) -> None:
    explained = explain_rows(subject, 15)
    groupings = group_rows(["amount:20,60"], subject.banks)
    summed = sum_features(subject, explained, groupings, SecureSums(scheme))
    pooled = np.concatenate([own.values for own in explained])
    member = np.concatenate([g[own.rows] for g, own in zip(groupings[0].members, explained, strict=True)])
    assert np.array_equal(summed.absolute, np.abs(pooled).sum(axis=0))
    assert np.array_equal(summed.signed, pooled.sum(axis=0))
    for group, (rows, absolute, signed) in enumerate(summed.groups["amount"].values()):
        assert rows == (member == group).sum()
        assert np.array_equal(absolute, np.abs(pooled[member == group]).sum(axis=0))
        assert np.array_equal(signed, pooled[member == group].sum(axis=0))


def test_resampled_rows_weigh_as_much_as_all(subject: Subject) -> None:
    explained = explain_rows(subject, 15)
    summed = sum_features(subject, explained, (), SecureSums("plaintext"), np.random.default_rng(0))
    assert summed.replicates.shape == (REPLICATES, len(subject.features))
    assert np.allclose(summed.replicates.mean(axis=0), summed.absolute, rtol=0.5, atol=0.05)
    assert not np.array_equal(summed.replicates[0], summed.replicates[1])


def test_each_bank_draws_weights_of_its_own(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a generator that banks share, one could go on to the others' weights."""
    explained, seeds = explain_rows(subject, 5), []
    fresh = np.random.default_rng

    def listen(*seed: object) -> np.random.Generator:
        seeds.append(seed)
        return fresh()

    monkeypatch.setattr("numpy.random.default_rng", listen)
    sum_features(subject, explained, (), SecureSums("plaintext"))
    assert seeds.count(()) >= len(subject.banks)


def test_the_ranking_is_by_mean_absolute_value(subject: Subject) -> None:
    summed = sum_features(subject, explain_rows(subject, 15), (), SecureSums("masked"))
    document = shap_document(summed)
    assert sorted(document["features"]) == sorted(subject.features)
    assert document["mean_abs"] == sorted(document["mean_abs"], reverse=True)
    assert document["mean_abs"][0] == summed.absolute.max() / 45
    assert all(low <= high for low, high in document["interval"])
    assert all(1 <= first <= last <= len(subject.features) for first, last in document["rank_interval"])


def _blurred(bank: AuditedBank, subject: Subject) -> NDArray[np.int64]:
    """Rows in which two columns fall on one position."""
    places = positions(bank.raw.hashed, subject.schema).tolist()
    return np.flatnonzero([len({*row}) < len(row) for row in places])[:10]


def test_a_text_column_has_what_its_positions_add(subject: Subject) -> None:
    bank, numeric = max(subject.banks, key=lambda bank: len(_blurred(bank, subject))), len(subject.schema.numeric)
    raw = bank.raw.take(np.concatenate([np.arange(20), _blurred(bank, subject)]))
    assert len(raw) == 30
    values = np.random.default_rng(0).normal(size=(30, 128))
    parts = by_column(values, raw.hashed, bank.background.hashed, subject.schema)
    assert np.allclose(parts.sum(axis=1), values.sum(axis=1))
    assert np.array_equal(parts[:, :numeric], values[:, :numeric])
    only = np.zeros((30, 128))
    there = positions(raw.hashed, subject.schema)
    chosen = np.array([max(row, key=row.count) for row in there.tolist()])
    only[np.arange(30), numeric + chosen] = 1.0
    fallen = there == chosen[:, np.newaxis]
    assert {*fallen.sum(axis=1).tolist()} == {1, 2}
    mine = by_column(only, raw.hashed, bank.background.hashed, subject.schema)[:, numeric:]
    assert np.allclose(mine, fallen / fallen.sum(axis=1, keepdims=True))


def test_collisions_are_counted_as_by_hand(subject: Subject) -> None:
    raw, schema = subject.banks[0].raw, subject.schema
    counted = collisions(raw, schema)
    values: dict[int, set[tuple[int, int]]] = {}
    for row, places in zip(raw.hashed, positions(raw.hashed, schema), strict=True):
        for column, (value, place) in enumerate(zip(row, places, strict=True)):
            values.setdefault(int(place), set()).add((column, int(value)))
    assert [place for place in range(len(counted) - 1) if counted[place]] == sorted(
        place for place, there in values.items() if len(there) > 1
    )
    assert counted[-1] == sum(len({*places}) < len(places) for places in positions(raw.hashed, schema).tolist())


class Multiplied(nn.Module):
    """Two factors of one row: no rule of DeepLIFT."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(128, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        answers = self.layer(rows)
        product: torch.Tensor = 50 * answers[:, 0] * answers[:, 1] * answers[:, 0]
        return product


class _TwoLogits(nn.Module):
    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(128, 8), nn.ReLU(), nn.Linear(8, classes))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.layers(rows)
        return answers


class _InPlace(nn.Module):
    """As many write it, to save memory."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(128, 8), nn.ReLU(inplace=True), nn.Linear(8, 4), nn.ReLU(True))
        self.last = nn.Linear(4, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.last(self.layers(rows))
        return answers


class _Converted(_TwoLogits):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return super().forward(rows.float())


def _with(subject: Subject, make: type[nn.Module]) -> Subject:
    learner = make_learner(make)
    return Subject(subject.experiment, learner, learner.initial(1), subject.schema, subject.banks)


def test_any_module_of_two_logits_is_explained(subject: Subject) -> None:
    assert max(own.largest_gap for own in explain_rows(_with(subject, _TwoLogits), 5)) < 1e-4


def test_layers_that_write_over_their_input_are_explained(subject: Subject) -> None:
    changed = _with(subject, _InPlace)
    assert max(own.largest_gap for own in explain_rows(changed, 5)) < 1e-4
    assert any(getattr(layer, "inplace", False) for layer in changed.learner.restore(changed.weights).modules())


def test_what_a_module_raises_is_one_clear_error(subject: Subject) -> None:
    with pytest.raises(AuditError, match=r"cannot pass through this model \(RuntimeError\); .* float64"):
        explain_rows(_with(subject, _Converted), 5)


def test_squares_in_the_place_of_relu_are_explained(subject: Subject) -> None:
    learner = fraud_learner(network=Network((8, 4), "square"))
    squares = Subject(subject.experiment, learner, learner.initial(1), subject.schema, subject.banks)
    assert max(own.largest_gap for own in explain_rows(squares, 5)) < 1e-4


def test_a_module_that_shap_does_not_know_is_refused(subject: Subject) -> None:
    with pytest.raises(AuditError, match="miss the score by up to"):
        explain_rows(_with(subject, Multiplied), 5)


def test_several_classes_are_refused(subject: Subject) -> None:
    learner = make_learner(lambda: _TwoLogits(3))
    three = Subject(subject.experiment, learner, learner.initial(1), subject.schema, subject.banks)
    with pytest.raises(ConfigurationError, match="3 classes"):
        explain_rows(three, 5)


def test_reals_are_rounded_to_the_nearest_step_and_no_further() -> None:
    values = np.array([0.1, -3.7, 1e5])
    assert np.abs(to_reals(to_integers(values)) - values).max() <= 2**-21
    with pytest.raises(DataError, match="too large"):
        to_integers(np.array([1e9]))
    with pytest.raises(DataError, match="not finite"):
        to_integers(np.array([np.nan]))
