"""Orders and answers as bytes: a round trip, and nothing else than `MessageError` for what is none."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import ConfigurationError, MessageError, ProtocolError
from secure_fl.settings import Experiment
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.orders import ASK, MODEL, About, Order, pack_answer, unpack_answer

AGREED = Agreement(Experiment(scheme="masked", hidden="none", dataset="simulated"))
COHORT = AGREED.cohort(bytes(range(16)), 2, 100, b"model")
ORDER = Order(7, ASK, About.of(COHORT), {"stage": "unmask"}, b"\x00body")


@given(
    st.integers(0, 2**32 - 1),
    st.text(max_size=30),
    st.dictionaries(st.text(max_size=5), st.lists(st.floats(allow_nan=False), max_size=3), max_size=3),
    st.binary(max_size=200),
)
def test_orders_come_back_as_they_were(number: int, kind: str, facts: dict[str, list[float]], body: bytes) -> None:
    order = Order(number, kind, About.of(COHORT), facts, body)
    assert Order.from_bytes(order.to_bytes()) == order


def test_an_order_s_cohort_is_the_gateway_s() -> None:
    assert AGREED.cohort_of(Order.from_bytes(ORDER.to_bytes()).about).digest == COHORT.digest


def test_what_orders_share_lies_in_memory_once() -> None:
    model = bytes(1 << 20)
    orders = [Order(number, MODEL, body=b"head", shared=model) for number in (1, 2)]
    assert all(order.pieces[1] is model for order in orders)
    assert Order.from_bytes(orders[1].to_bytes()) == Order(2, MODEL, body=b"head" + model)


@given(st.binary(max_size=500))
def test_answers_come_back_as_they_were(data: bytes) -> None:
    assert unpack_answer(pack_answer(data)) == data
    refusal = unpack_answer(pack_answer(ProtocolError("no; try again", {"bank-2": "why"})))
    assert isinstance(refusal, ProtocolError)
    assert (str(refusal).partition(";")[0], refusal.refused) == ("no", {"bank-2": "why"})


def read(data: bytes) -> None:
    """As a party does: raises `MessageError` for whatever is no order, and nothing else."""
    with suppress(MessageError):
        AGREED.cohort_of(Order.from_bytes(data).about)
    assert isinstance(unpack_answer(data), (bytes, ProtocolError))


@given(st.binary(max_size=300))
def test_random_bytes_are_no_order_and_no_crash(data: bytes) -> None:
    read(data)
    assert isinstance(unpack_answer(b"\x01" + data), ProtocolError)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_heads_of_another_form_are_no_orders(value: object) -> None:
    for head in (value, {"kind": value, "about": None, "facts": value}, {"kind": "", "about": value, "facts": {}}):
        text = json.dumps(head).encode()
        read(b"\x01\0\0\0" + len(text).to_bytes(4, "little") + text)


@pytest.mark.parametrize("field", ["session", "round", "attempt", "length", "context"])
@pytest.mark.parametrize("value", [None, True, -1, 0, 1.0, 2**40, 10**30, "", "zz", "00" * 40, [], {}])
def test_a_cohort_that_cannot_be_is_refused(field: str, value: object) -> None:
    about = {"session": "00" * 16, "round": 1, "attempt": 1, "length": 10, "context": ""} | {field: value}
    can_be = (field, repr(value)) in {("round", "0"), ("context", "''"), ("context", repr("00" * 40))}
    text = json.dumps({"kind": MODEL, "about": about, "facts": {}}).encode()
    data = b"\x01\0\0\0" + len(text).to_bytes(4, "little") + text
    if can_be:
        AGREED.cohort_of(Order.from_bytes(data).about)
    else:
        with pytest.raises(MessageError):
            AGREED.cohort_of(Order.from_bytes(data).about)


@pytest.mark.parametrize("depth", [100_000])
def test_a_head_as_deep_as_a_well_is_refused(depth: int) -> None:
    text = b"[" * depth
    with pytest.raises(MessageError):
        Order.from_bytes(b"\x01\0\0\0" + len(text).to_bytes(4, "little") + text)
    assert isinstance(unpack_answer(b"\x01" + text), MessageError)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"banks": 10, "robust": "multi-krum"}, "a robust rule"),
        ({"scheme": "additive", "proofs": True}, "proofs"),
        ({"drop": ("bank-1@1:upload",), "scheme": "plaintext"}, "drops"),
        ({"downlink": "sum"}, "downlink"),
    ],
)
def test_what_a_network_does_not_have_is_refused_before_it_starts(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"do not do .*{said}"):
        Agreement(Experiment(**asked))


def test_what_a_party_says_steers_no_terminal_and_has_bytes() -> None:
    """Its reasons go to the status page and into the gateway's last line."""
    said = b'\x01{"reason": "\\u001b[2J\\u202e\\ud800 no\\n", "refused": {"bank-\\ud800": "why\\u0007"}}'
    refusal = unpack_answer(said)
    assert isinstance(refusal, ProtocolError)
    for text in (str(refusal), *refusal.refused, *refusal.refused.values()):
        assert text.isprintable()
        text.encode()
    assert "no" in str(refusal)
