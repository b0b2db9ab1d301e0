"""Rings of 2**16, 2**24 and 2**32: sums wrap at exactly that size, and words travel in exactly that many bytes."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import MessageError
from secure_fl.secagg import plan, ring
from secure_fl.secagg.budget import RingPlan

BITS = {16: 8, 24: 20, 32: 24}
"""Bits of a value that lead to each ring, with three banks."""


def ring_plan(ring_bits: int, parameters: int = 5) -> RingPlan:
    planned = cast(RingPlan, plan("masked", 3, parameters, BITS[ring_bits]))
    assert planned.ring_bits == ring_bits
    return planned


@pytest.mark.parametrize(("ring_bits", "expected"), [(16, "0201ff00"), (24, "020100ff0000"), (32, "02010000ff000000")])
def test_known_bytes(ring_bits: int, expected: str) -> None:
    planned = ring_plan(ring_bits, 2)
    assert ring.to_bytes(planned, ring.to_ring(planned, np.array([0x0102, 0xFF]))).hex() == expected


@pytest.mark.parametrize("ring_bits", BITS)
@given(data=st.data())
def test_vectors_come_back_and_sums_wrap_at_the_size_of_the_ring(ring_bits: int, data: st.DataObject) -> None:
    planned, size = ring_plan(ring_bits), 1 << ring_bits
    value = st.one_of(st.sampled_from([0, 1, size // 2, size - 1]), st.integers(0, size - 1))
    rows = [data.draw(st.lists(value, min_size=5, max_size=5)) for _ in range(3)]
    total = ring.zeros(planned)
    for row in rows:
        sent = ring.to_bytes(planned, ring.to_ring(planned, np.array(row, dtype=np.int64)))
        assert len(sent) == 5 * ring_bits // 8
        received = ring.from_bytes(planned, memoryview(sent))
        assert ring.to_integers(planned, received.copy()).tolist() == row
        total += received
    assert ring.to_integers(planned, total).tolist() == [sum(column) % size for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("ring_bits", BITS)
def test_a_wrong_length_is_refused(ring_bits: int) -> None:
    planned = ring_plan(ring_bits)
    sent = ring.to_bytes(planned, ring.zeros(planned))
    for wrong in (b"", sent[:-1], sent + b"\0", sent * 2):
        with pytest.raises(MessageError, match="wrong length"):
            ring.from_bytes(planned, memoryview(wrong))
