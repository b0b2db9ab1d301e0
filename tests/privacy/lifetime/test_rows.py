"""The same transaction has the same tag whatever is done around it, and a tag says nothing without the key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from secure_fl import Experiment
from secure_fl.data import Schema, Simulation, Transactions, simulate, split_among_banks
from secure_fl.data.given import read_given
from secure_fl.privacy.lifetime.rows import overlap, row_tags

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


@pytest.fixture(scope="module")
def table() -> Transactions:
    return simulate(Simulation(transactions=2_000, fraud_share=0.02, seed=3))


def reduced(table: Transactions, schema: Schema) -> Transactions:
    """The same rows with fewer columns declared."""
    numeric = {name: table.numeric[name] for name in schema.numbers}
    return replace(table, schema=schema, numeric=numeric, text={name: table.text[name] for name in schema.texts})


def test_rows_are_told_apart(table: Transactions) -> None:
    tags = row_tags(table, KEY)
    assert len(tags) == len(table)
    assert (np.diff(tags.astype(object)) > 0).all()


def test_order_and_neighbours_do_not_matter(table: Transactions) -> None:
    shuffled = np.random.default_rng(1).permutation(len(table))
    assert np.array_equal(row_tags(table.take(shuffled), KEY), row_tags(table, KEY))
    assert np.isin(row_tags(table.take(slice(5, 50)), KEY), row_tags(table, KEY)).all()


@pytest.mark.parametrize("banks", [3, 4])
@pytest.mark.parametrize("how", ["even", "size", "pattern"])
def test_every_split_deals_the_same_rows(table: Transactions, banks: int, how: str) -> None:
    parts = split_among_banks(table, banks, how, alpha=10.0, seed=banks)  # type: ignore[arg-type]
    dealt = np.concatenate([row_tags(part, KEY) for part in parts])
    assert np.array_equal(np.sort(dealt), row_tags(table, KEY)), "each row in one bank, under the tag that it has"


def test_other_feature_columns_are_the_same_rows(table: Transactions) -> None:
    fewer = replace(table.schema, categorical=(), calendar=False)
    assert np.array_equal(row_tags(reduced(table, fewer), KEY), row_tags(table, KEY))


def test_without_a_time_every_declared_column_counts(table: Transactions) -> None:
    timeless = replace(table.schema, time=None)
    other = replace(timeless, categorical=())
    assert not overlap(row_tags(reduced(table, timeless), KEY), row_tags(reduced(table, other), KEY))


@pytest.mark.parametrize("column", ["time", "amount", "customer", "fraud"])
def test_a_changed_value_makes_another_row(table: Transactions, column: str) -> None:
    if column == "fraud":
        pattern = np.where(np.arange(len(table)) == 0, 1 - np.sign(table.pattern), table.pattern).astype(np.int8)
        changed = replace(table, fraud=pattern > 0, pattern=pattern)
    elif column in table.numeric:
        values = table.numeric[column].copy()
        values[0] += 0.5
        changed = replace(table, numeric={**table.numeric, column: values})
    else:
        texts = table.text[column].copy()
        texts[0] = "somebody else"
        changed = replace(table, text={**table.text, column: texts})
    assert np.isin(row_tags(changed, KEY), row_tags(table, KEY)).sum() == len(table) - 1


def test_equal_rows_have_one_tag_and_zero_has_one_sign(table: Transactions) -> None:
    row = table.take(np.zeros(5, dtype=np.int64))
    assert len(row_tags(row, KEY)) == 1
    plus, minus = (replace(row, numeric={**row.numeric, "amount": np.full(5, zero)}) for zero in (0.0, -0.0))
    assert np.array_equal(row_tags(plus, KEY), row_tags(minus, KEY))


def test_without_the_key_nobody_makes_the_tags_of_rows_that_he_guesses(table: Transactions) -> None:
    assert not overlap(row_tags(table, KEY), row_tags(table, OTHER_KEY))


def test_tags_do_not_sort_like_the_rows(table: Transactions) -> None:
    """Kept sorted, they show no order of time or amount."""
    for column in ("time", "amount"):
        ordered = table.take(np.argsort(table.numeric[column])[::200])
        first = [int(row_tags(ordered.take([place]), KEY)[0]) for place in range(len(ordered))]  # type: ignore[arg-type]
        assert first != sorted(first)


@pytest.mark.parametrize(
    ("telling", "schema"),
    [
        (True, Schema("fraud", time="time", amount="amount", categorical=("category",))),
        (True, Schema("fraud", time="time", identifiers=("customer",), numeric=("amount",))),
        (False, Schema("fraud", time="time", numeric=("amount",))),
        (False, Schema("fraud", amount="amount", identifiers=("customer",), numeric=("time",))),
        (False, Schema("fraud", numeric=("time", "amount"), categorical=("category",))),
    ],
    ids=str,
)
def test_a_time_and_what_was_paid_or_by_whom_tell_a_row_and_else_every_column_does(
    table: Transactions, telling: bool, schema: Schema
) -> None:
    """A time alone is no row: all that happened in a second would be one."""
    whole = reduced(table, schema)
    further = {name: whole.numeric[name] + 1 for name in schema.numeric}
    texts = {name: np.roll(whole.text[name], 1) for name in schema.categorical}
    changed = replace(whole, numeric={**whole.numeric, **further}, text={**whole.text, **texts})
    assert np.array_equal(row_tags(whole, KEY), row_tags(changed, KEY)) == telling


def test_a_plain_table_is_recognised_in_every_form_that_python_gives_it() -> None:
    values, labels = np.random.default_rng(1).normal(size=(50, 3)), np.arange(50) % 2
    frame = pd.DataFrame(values, columns=["b", "c", "a"])
    forms = [
        frame,
        frame[["a", "b", "c"]],
        frame.to_numpy(),
        frame.astype(np.float32),
        torch.tensor(values, dtype=torch.float32),
    ]

    def tags(form: Any) -> np.ndarray:
        given = read_given(Experiment(dataset="in-memory"), dict.fromkeys("nsw", (form, labels)))
        return row_tags(given.banks["n"], KEY)

    whole = [tags(form) for form in forms]
    for form in whole:
        assert np.isin(whole[0], form).sum() >= 50
        assert overlap(whole[0], form)
    assert not overlap(whole[0], tags(values + 1e-3))


def test_all_gaps_of_a_plain_table_are_alike() -> None:
    schema = Schema("label", numeric=("a",), impute=True, plain=True)
    gaps = [np.full(2, gap) for gap in (np.nan, -np.nan, np.array(0x7FF8000000000001).view(np.float64))]
    fraud = np.array([True, False])

    def table(column: np.ndarray) -> Transactions:
        return Transactions(schema, {"a": column}, {}, fraud, fraud.astype(np.int8), np.arange(2.0))

    assert len({row_tags(table(column), KEY).tobytes() for column in gaps}) == 1
