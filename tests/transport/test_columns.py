"""Banks whose features would not mean the same are told so before the first sum, and nothing of their rows travels."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.data import FederationKey, Simulation, describe, extract, simulate
from secure_fl.errors import ConfigurationError, MessageError
from secure_fl.transport.columns import MOST_FEATURES, Columns, common_features

TABLE = simulate(Simulation(transactions=300, fraud_share=0.05, seed=3))
KEY = FederationKey.for_simulation(1)
ROWS = extract(TABLE, KEY)
HERE = Columns.of(ROWS)


def renamed(**columns: object) -> Columns:
    return Columns.of(replace(ROWS, schema=replace(ROWS.schema, **columns)))  # type: ignore[arg-type]


def test_what_is_said_comes_back_and_is_alike() -> None:
    again = Columns.from_bytes("bank-1", HERE.to_bytes())
    assert common_features({"bank-1": HERE, "bank-2": again}) == len(describe(ROWS.schema)) == HERE.features
    assert HERE.key == KEY.check_value()


@pytest.mark.parametrize(
    "other",
    [
        {"amount": "amt"},
        {"categorical": ("branch",)},
        {"identifiers": ROWS.schema.identifiers[:1]},
        {"identifiers": ROWS.schema.identifiers[::-1]},
    ],
)
def test_other_columns_are_refused_also_where_as_many_numbers_come_of_them(other: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"other columns than each other \(bank-1: .*bank-2: .*one form"):
        common_features({"bank-1": HERE, "bank-2": renamed(**other)})


def test_another_key_is_refused_where_there_is_anything_to_make_pseudonyms_of() -> None:
    other = Columns.of(extract(TABLE, FederationKey.for_simulation(2)))
    with pytest.raises(ConfigurationError, match=r"different keys.*bank-1: .*SECURE_FL_KEY"):
        common_features({"bank-1": HERE, "bank-2": other})
    plain = replace(ROWS.schema, categorical=(), identifiers=())
    alone = [Columns.of(replace(ROWS, schema=plain, key_check=check)) for check in ("1", "2")]
    assert common_features({"bank-1": alone[0], "bank-2": alone[1]}) == len(describe(plain))


@pytest.mark.parametrize(
    "said",
    [
        b"", b"[]", b"{}", b"\xff", b"[" * 10_000,
        *(
            json.dumps({"features": 3, "names": "a", "key": "", **wrong}).encode()
            for wrong in (
                {"features": True}, {"features": -1}, {"features": MOST_FEATURES + 1}, {"features": "3"},
                {"names": 1}, {"names": "a" * 65}, {"key": None}, {"key": "b" * 65}, {"more": 1},
                {"names": "\x1b[2J"}, {"key": "\ud800"},
            )
        ),
    ],
)  # fmt: skip
def test_what_says_nothing_of_columns_is_refused_by_name(said: bytes) -> None:
    with pytest.raises(MessageError, match="bank-7 does not say which columns it has"):
        Columns.from_bytes("bank-7", said)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(said: bytes) -> None:
    with pytest.raises(MessageError):
        Columns.from_bytes("bank-7", said)
