"""Rings of powers of two: sums wrap at exactly that size, and words travel in exactly that many bits."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import MessageError
from secure_fl.secagg import plan, ring
from secure_fl.secagg.budget import RingPlan
from secure_fl.secagg.packing import packed_bytes

BANKS = {6: (3, 4), 10: (3, 8), 12: (10, 8), 16: (3, 14), 17: (3, 15), 24: (256, 16), 32: (256, 24)}
"""Banks and bits of a value that lead to each ring."""


def ring_plan(ring_bits: int, parameters: int = 5) -> RingPlan:
    banks, bits = BANKS[ring_bits]
    planned = cast(RingPlan, plan("masked", banks, parameters, bits))
    assert planned.ring_bits == ring_bits
    return planned


@pytest.mark.parametrize(
    ("ring_bits", "expected"),
    [(12, "02f10f" + "00" * 21), (16, "0201ff00"), (24, "020100ff0000" + "00" * 18), (32, "02010000ff000000")],
)
def test_known_bytes(ring_bits: int, expected: str) -> None:
    planned = ring_plan(ring_bits, 2)
    assert ring.to_bytes(planned, ring.to_ring(planned, np.array([0x0102, 0xFF]))).hex() == expected


@pytest.mark.parametrize("ring_bits", BANKS)
def test_what_words_hold_above_the_ring_does_not_travel(ring_bits: int) -> None:
    planned = ring_plan(ring_bits)
    words = ring.to_ring(planned, np.arange(5))
    words -= words.dtype.type(7)  # wraps around in the machine's words
    sent = ring.to_bytes(planned, words)
    assert ring.from_bytes(planned, memoryview(sent)).tolist() == [(n - 7) % 2**ring_bits for n in range(5)]


@pytest.mark.parametrize(("banks", "bits", "most"), [(10, 8, 1.55), (3, 8, 1.3), (100, 16, 2.9)])
def test_a_million_parameters_take_no_more_than_their_bits(banks: int, bits: int, most: float) -> None:
    for scheme in ("masked", "additive"):
        assert plan(scheme, banks, 1_000_000, bits).upload_bytes < most * 1_000_000


@pytest.mark.parametrize("ring_bits", BANKS)
@given(data=st.data())
def test_vectors_come_back_and_sums_wrap_at_the_size_of_the_ring(ring_bits: int, data: st.DataObject) -> None:
    planned, size = ring_plan(ring_bits), 1 << ring_bits
    value = st.one_of(st.sampled_from([0, 1, size // 2, size - 1]), st.integers(0, size - 1))
    rows = [data.draw(st.lists(value, min_size=5, max_size=5)) for _ in range(3)]
    total = ring.zeros(planned)
    for row in rows:
        sent = ring.to_bytes(planned, ring.to_ring(planned, np.array(row, dtype=np.int64)))
        assert len(sent) == packed_bytes(5, ring_bits)
        received = ring.from_bytes(planned, memoryview(sent))
        assert ring.to_integers(planned, received.copy()).tolist() == row
        total += received
    assert ring.to_integers(planned, total).tolist() == [sum(column) % size for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("ring_bits", BANKS)
def test_a_wrong_length_is_refused(ring_bits: int) -> None:
    planned = ring_plan(ring_bits)
    sent = ring.to_bytes(planned, ring.zeros(planned))
    for wrong in (b"", sent[:-1], sent + b"\0", sent * 2):
        with pytest.raises(MessageError, match="wrong length"):
            ring.from_bytes(planned, memoryview(wrong))
