"""The 128 features: what is where, what the key changes, and that the past of a test row is seen."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from secure_fl.data import (
    DIMENSION,
    Examples,
    FeatureSchema,
    FederationKey,
    Schema,
    Standardization,
    Transactions,
    describe,
    encode,
    extract,
    moments,
    numeric_features,
    pseudonymize,
    time_cut,
    transform,
)
from secure_fl.data.behaviour import behaviour
from secure_fl.data.transactions import codes_of
from secure_fl.errors import ConfigurationError, DataError

KEY = FederationKey.for_simulation(1)


def schema_for(table: Transactions, key: FederationKey = KEY) -> FeatureSchema:
    return FeatureSchema.create(table.schema, Standardization.from_moments(moments(numeric_features(table))), key)


def rows(n: int, schema: Schema, **text: list[str]) -> Transactions:
    """n honest rows with random numbers in every numeric column; one row per hour."""
    rng = np.random.default_rng(0)
    numeric = {name: rng.normal(size=n) for name in schema.numbers}
    hours = np.arange(0.0, 3600.0 * n, 3600.0)
    if schema.time is not None:
        numeric[schema.time] = hours
    texts = {name: np.array(values, dtype=np.object_) for name, values in text.items()}
    return Transactions(schema, numeric, texts, np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int8), hours)


def test_features_are_named_in_order(simulated: Transactions) -> None:
    names = describe(simulated.schema)
    assert names[:4] == ("time: hour sin", "time: hour cos", "time: weekday sin", "time: weekday cos")
    assert names[4:6] == ("amount: log", "amount: linear")
    assert names[6:15] == tuple(
        f"customer: {part} {days} d" for part in ("count", "mean amount", "known fraud") for days in (1, 7, 30)
    )
    assert len(names) == len(set(names)) == 24 == numeric_features(simulated).shape[1]


def test_a_time_without_calendar_gives_no_weekday_and_no_amount_no_means() -> None:
    assert describe(Schema("y", "t", None, ("x",))) == ("t: hour sin", "t: hour cos", "x")
    assert len(describe(Schema("y", "t", identifiers=("card",)))) == 2 + 6
    assert describe(Schema("y", amount="a", identifiers=("card",))) == ("a: log", "a: linear")


def test_clock_and_amount_mean_what_they_say() -> None:
    table = rows(24 * 7, Schema("y", "t", "a", calendar=True))
    found = numeric_features(table)
    np.testing.assert_allclose(found[6, :2], [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(found[42, 2:4], [1.0, 0.0], atol=1e-12)
    amount = table.numeric["a"]
    np.testing.assert_allclose(np.sign(amount) * np.expm1(np.abs(found[:, 4])), amount)
    np.testing.assert_array_equal(found[:, 5], amount)


def test_every_row_has_128_finite_features(simulated: Transactions) -> None:
    features, _ = transform(simulated, schema_for(simulated), KEY)
    assert features.shape == (len(simulated), DIMENSION)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.abs(features).max() <= 8.0


def test_a_text_takes_one_signed_position_per_column() -> None:
    table = rows(3, Schema("y", categorical=("kind", "place")), kind=["a", "b", "a"], place=["x", "x", "x"])
    features, _ = transform(table, schema_for(table), KEY)
    np.testing.assert_array_equal(features[0], features[2])
    assert not np.array_equal(features[0], features[1])
    np.testing.assert_allclose(np.square(features).sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.unique(np.abs(features)), [0.0, 1 / np.sqrt(2)], rtol=1e-6)


def test_hashing_spreads_values_over_all_free_positions_and_both_signs() -> None:
    names = [f"shop {i}" for i in range(5_000)]
    table = rows(5_000, Schema("y", numeric=("x",), categorical=("shop",)), shop=names)
    hashed = transform(table, schema_for(table), KEY)[0][:, 1:]
    used = np.abs(hashed).sum(axis=0)
    assert used.min() > 15
    assert used.max() < 75
    assert abs(hashed.sum()) < 4 * np.sqrt(5_000)


def test_another_key_moves_the_texts_and_leaves_the_numbers(simulated: Transactions) -> None:
    other = FederationKey.for_simulation(2)
    numeric = len(describe(simulated.schema))
    one, two = (transform(simulated, schema_for(simulated, key), key)[0] for key in (KEY, other))
    np.testing.assert_array_equal(one[:, :numeric], two[:, :numeric])
    assert (one[:, numeric:] != two[:, numeric:]).any(axis=1).mean() > 0.95
    with pytest.raises(DataError, match="another federation key"):
        transform(simulated, schema_for(simulated, KEY), other)


def test_without_texts_any_key_will_do() -> None:
    table = rows(5, Schema("y", numeric=("x",)))
    transform(table, schema_for(table, KEY), FederationKey.for_simulation(2))


def test_test_rows_see_their_past_and_training_rows_not_the_future(simulated: Transactions) -> None:
    cut = time_cut(simulated, 0.3)
    whole = extract(simulated, KEY)
    alone = extract(simulated.before(cut), KEY)
    np.testing.assert_allclose(whole.before(cut).numeric, alone.numeric, atol=1e-9)
    assert not np.allclose(whole.since(cut).numeric, extract(simulated.since(cut), KEY).numeric)
    schema = schema_for(simulated)
    scored, _ = transform(simulated.since(cut), schema, KEY, history=simulated.before(cut))
    np.testing.assert_allclose(scored, encode(whole.since(cut), schema).features, atol=1e-5)


def test_features_do_not_depend_on_the_order_of_the_table(simulated: Transactions) -> None:
    unique = simulated.take(np.unique(simulated.when, return_index=True)[1])
    shuffle = np.random.default_rng(0).permutation(len(unique))
    moved = numeric_features(unique.take(shuffle))
    np.testing.assert_allclose(moved, numeric_features(unique)[shuffle], atol=1e-9)


def test_a_label_describes_only_later_rows(simulated: Transactions) -> None:
    """A row's own label, and any label of the last 7 days, changes nothing."""
    flipped = simulated.pattern.copy()
    late = simulated.when > simulated.when.max() - 7 * 86_400
    flipped[late] = 1 - np.minimum(flipped[late], 1)
    other = Transactions(simulated.schema, simulated.numeric, simulated.text, flipped > 0, flipped, simulated.when)
    np.testing.assert_array_equal(numeric_features(simulated), numeric_features(other))


def test_the_schema_survives_json(simulated: Transactions) -> None:
    schema = schema_for(simulated)
    again = FeatureSchema.from_dict(json.loads(json.dumps(schema.to_dict())))
    assert again == schema
    np.testing.assert_array_equal(transform(simulated, again, KEY)[0], transform(simulated, schema, KEY)[0])


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"dimension": 64},
        {"mean": [1.0]},
        {"mean": "abc"},
        {"mean": [float("nan")] * 24},
        {"std": [-1.0] * 24},
        {"std": [None] * 24},
        {"key_check": None},
        {"source": None},
        {"source": {}},
        {"numeric": ["V1"]},
        {"hashed": []},
    ],
)
def test_a_malformed_schema_is_refused(simulated: Transactions, change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="; "):
        FeatureSchema.from_dict({**schema_for(simulated).to_dict(), **change})


def test_a_schema_without_all_its_features_is_refused(simulated: Transactions) -> None:
    with pytest.raises(DataError, match="does not cover the 24 numeric features"):
        FeatureSchema.create(simulated.schema, Standardization((0.0,), (1.0,)), KEY)


def test_a_table_with_other_columns_is_refused(simulated: Transactions) -> None:
    with pytest.raises(DataError, match="other columns than the model"):
        transform(rows(3, Schema("y", numeric=("x",))), schema_for(simulated), KEY)


def test_there_must_be_room_for_the_features() -> None:
    names = tuple(f"V{i}" for i in range(129))
    assert len(describe(Schema("y", numeric=names[:128]))) == 128
    with pytest.raises(ConfigurationError, match="129 numeric features do not fit"):
        describe(Schema("y", numeric=names))
    assert len(describe(Schema("y", numeric=names[:96], categorical=("kind",)))) == 96
    with pytest.raises(ConfigurationError, match="leave 31 positions for text columns"):
        describe(Schema("y", numeric=names[:97], categorical=("kind",)))


def test_all_128_positions_can_be_numeric() -> None:
    table = rows(10, Schema("y", numeric=tuple(f"V{i}" for i in range(128))))
    assert (np.abs(transform(table, schema_for(table), KEY)[0]).max(axis=0) > 0).all()


def test_repr_shows_counts_only(simulated: Transactions) -> None:
    raw = extract(simulated, KEY)
    assert repr(raw) == "RawFeatures(4000 rows, 24 numeric, 3 hashed)"
    assert repr(encode(raw, schema_for(simulated))) == "Examples(4000 rows, 200 fraud)"


def test_the_past_of_each_identifier_stands_under_its_name(simulated: Transactions) -> None:
    """Counts and mean amounts in logarithms, the share of known fraud as it is."""
    names, found = list(describe(simulated.schema)), numeric_features(simulated)
    for identifier in ("customer", "terminal"):
        _, codes = codes_of(simulated.text[identifier])
        past = behaviour(codes, simulated.when, simulated.numeric["amount"], simulated.fraud)
        for place, days in enumerate((1, 7, 30)):
            for part, expected in (
                ("count", np.log(1 + past.count[:, place])),
                ("mean amount", np.log(1 + past.mean_amount[:, place])),
                ("known fraud", past.risk[:, place]),
            ):
                column = found[:, names.index(f"{identifier}: {part} {days} d")]
                np.testing.assert_allclose(column, expected, err_msg=f"{identifier}: {part} {days} d")


def test_without_an_amount_there_is_still_a_past() -> None:
    table = rows(30, Schema("y", "t", identifiers=("card",)), card=["a", "b", "c"] * 10)
    found = numeric_features(table)
    names = list(describe(table.schema))
    assert names[2:] == [f"card: {part} {days} d" for part in ("count", "known fraud") for days in (1, 7, 30)]
    np.testing.assert_allclose(np.expm1(found[:, 2]), np.minimum(np.arange(30) // 3 + 1, 8))  # one in three hours
    assert not found[:, 5:].any()


def test_the_same_text_in_two_columns_takes_two_places() -> None:
    names = [f"text {number}" for number in range(50)]
    table = rows(50, Schema("y", categorical=("kind", "place")), kind=names, place=names)
    raw = extract(table, KEY)
    assert not np.isin(raw.hashed[:, 0], raw.hashed[:, 1]).any()
    for column, name in enumerate(("kind", "place")):
        np.testing.assert_array_equal(raw.hashed[:, column], pseudonymize(name, table.text[name], KEY))


def test_a_column_more_of_any_kind_is_another_table() -> None:
    base = Schema("y", numeric=("x",), categorical=("kind",))
    schema = schema_for(rows(3, base, kind=["a"] * 3))
    for other in (
        Schema("y", numeric=("x", "z"), categorical=("kind",)),
        Schema("y", numeric=("z",), categorical=("kind",)),
        Schema("y", numeric=("x",), categorical=("kin",)),
        Schema("y", numeric=("x",), identifiers=("kind",)),
        Schema("z", numeric=("x",), categorical=("kind",)),
    ):
        with pytest.raises(DataError, match="other columns than the model"):
            encode(extract(rows(3, other, **{name: ["a"] * 3 for name in other.texts}), KEY), schema)


def test_mean_and_deviation_both_cover_every_feature(simulated: Transactions) -> None:
    whole = (0.0,) * 24
    FeatureSchema.create(simulated.schema, Standardization(whole, whole), KEY)
    for mean, std in ((whole, whole[1:]), (whole[1:], whole), (whole[1:], whole[1:]), (whole, (*whole, 1.0))):
        with pytest.raises(DataError, match="does not cover the 24 numeric features"):
            FeatureSchema.create(simulated.schema, Standardization(mean, std), KEY)


def test_the_numbers_of_a_schema_may_be_whole_and_are_all_looked_at(simulated: Transactions) -> None:
    document = schema_for(simulated).to_dict()
    again = FeatureSchema.from_dict(document | {"mean": [0] * 24, "std": [1] * 24})
    assert (again.standardization.mean, again.standardization.std) == ((0.0,) * 24, (1.0,) * 24)
    for field in ("mean", "std"):
        for bad in ("1", None, float("inf"), float("nan"), [1.0]):
            for place in (0, 23):
                values: list[Any] = list(document[field])
                values[place] = bad
                with pytest.raises(DataError, match="malformed"):
                    FeatureSchema.from_dict(document | {field: values})


def test_a_part_of_the_features_is_a_part_of_every_column(simulated: Transactions) -> None:
    raw, rows_ = extract(simulated, KEY), np.array([7, 3, 11])
    part = raw.take(rows_)
    for name in ("numeric", "hashed", "fraud", "pattern", "when"):
        np.testing.assert_array_equal(getattr(part, name), getattr(raw, name)[rows_])
    examples = [encode(raw.take(slice(start, start + 50)), schema_for(simulated)) for start in (0, 900)]
    pooled = Examples.pooled(examples)
    for name in ("features", "fraud", "pattern"):
        both = np.concatenate([getattr(each, name) for each in examples])
        np.testing.assert_array_equal(getattr(pooled, name), both)


def test_rows_keep_their_day_and_amount(simulated: Transactions) -> None:
    """Of a part of the rows, and of two banks' parts one after the other."""
    half = simulated.take(slice(1_000, 3_000))
    made = encode(extract(half, KEY).take(slice(500, None)), schema_for(half))
    assert simulated.schema.amount is not None
    assert made.day is not None
    np.testing.assert_array_equal(made.day, half.when[500:] // 86_400)
    np.testing.assert_array_equal(made.amount, half.numeric[simulated.schema.amount][500:])
    twice = Examples.pooled([made, made])
    assert twice.day is not None
    np.testing.assert_array_equal(twice.day, np.tile(made.day, 2))
    alone = Examples(made.features, made.fraud, made.pattern)
    assert Examples.pooled([made, alone]).day is None
    assert Examples.pooled([made, alone]).amount is None


@pytest.mark.parametrize("schema", [Schema("y", numeric=("a",)), Schema("y", time="t", time_unit="months")])
def test_rows_without_days_have_none(schema: Schema) -> None:
    raw = extract(rows(9, schema), KEY)
    assert (raw.day, raw.amount) == (None, None)
