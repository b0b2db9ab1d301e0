"""100,000 mutated orders, answers and envelopes: each is read, or refused by name, and nothing else happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg import SCHEMES, plan
from secure_fl.secagg.masked import wire
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.protocol import Party, run_protocol
from secure_fl.secagg.transcript import Transcript
from secure_fl.transport.orders import FINISHED, HELLO, MODEL, About, Order, pack_answer, unpack_answer
from tests.secagg.altered import Altered
from tests.transport.mutations import EDITS, Edit, mutated
from tests.transport.test_orders import AGREED, COHORT, ORDER

BATCH, EXAMPLES = 20, 1_700
KEPT = seed(14)
QUIET = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
SCALE = {"mean": [0.5, -1.25], "std": [1.0, 0.0]}


def read_order(data: bytes) -> None:
    with suppress(MessageError):
        AGREED.cohort_of(Order.from_bytes(data).about)


def read_answer(data: bytes) -> None:
    assert isinstance(unpack_answer(data), (bytes, ProtocolError))


def read_envelope(data: bytes) -> None:
    with suppress(MessageError):
        open_message(COHORT, data, recipient=AGGREGATOR, sender="bank-1")


ORDERS = (ORDER, Order(1, HELLO), Order(2**32 - 1, MODEL, About.of(COHORT), SCALE, b"model"), Order(3, FINISHED))
KINDS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "orders": (read_order, [order.to_bytes() for order in ORDERS]),
    "answers": (
        read_answer,
        [pack_answer(b"an answer"), pack_answer(b""), pack_answer(ProtocolError("no; again", {"bank-2": "why"}))],
    ),
    "envelopes": (read_envelope, [seal(COHORT, stage, "bank-1", AGGREGATOR, bytes(64)) for stage in wire.STAGES]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_mutated_messages_are_read_or_refused(kind: str) -> None:
    """Twenty in each example, which hypothesis shrinks to the one that is to blame."""
    read, originals = KINDS[kind]
    one, seen = st.tuples(st.sampled_from(range(len(originals))), EDITS), 0

    @KEPT
    @QUIET
    @given(st.lists(one, min_size=BATCH, max_size=BATCH))
    def each(batch: list[tuple[int, list[Edit]]]) -> None:
        nonlocal seen
        for number, edits in batch:
            seen, data = seen + 1, mutated(originals[number], edits)
            try:
                read(data)
            except Exception:
                note(f"{data!r}")
                raise

    each()
    assert seen >= BATCH * EXAMPLES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "stage"),
    [(name, stage) for name in ("plaintext", "masked", "additive") for stage in SCHEMES[name].stages],
)
def test_a_mutated_payload_that_its_bank_sealed_ends_no_sum_but_by_name(scheme: str, stage: str) -> None:
    """The checksum of an envelope stops nobody who means it. Values may be wrong: each bank chooses its own."""
    banks = ("bank-1", "bank-2", "bank-3", "bank-4")
    cohort: Cohort[Any] = SCHEMES[scheme].cohort(plan(scheme, 4, 30, 8), 3, banks)

    @KEPT
    @settings(max_examples=200)
    @given(EDITS)
    def each(edits: list[Edit]) -> None:
        deployed = SCHEMES[scheme].deploy(cohort.plan)
        parties: dict[str, Party] = {
            bank: deployed.client(cohort, bank, np.full(30, number)) for number, bank in enumerate(banks)
        }
        parties["bank-2"] = Altered(parties["bank-2"], cohort, "bank-2", stage, lambda data: mutated(data, edits))
        with suppress(ProtocolError):
            run_protocol(cohort, deployed.server(cohort), {**parties, **deployed.trustees(cohort)}, Transcript())

    each()
