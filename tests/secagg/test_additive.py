"""Additive sums: exact, useless without every share, and one sum in a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import DropoutError, MessageError, ProtocolError, SecureFLError
from secure_fl.secagg import plan, ring, simulate
from secure_fl.secagg.additive.deployment import HOLDERS, AdditiveDeployment
from secure_fl.secagg.additive.wire import SEALED_SEED_BYTES, SUM_SHARES, UPLOAD, split_upload
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.numbering import decode_table, encode_table
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import Party, Transcript, run_protocol

CohortFactory = Callable[..., Cohort[Any]]


class Altered:
    """A party whose answer's payload passes through a function, sealed anew."""

    def __init__(
        self, party: Party, cohort: Cohort[Any], name: str, stage: str, change: Callable[[bytes], bytes]
    ) -> None:
        self._party, self._cohort, self._name, self._stage, self._change = party, cohort, name, stage, change

    def respond(self, request: bytes) -> bytes:
        answer = open_message(self._cohort, self._party.respond(request), recipient=AGGREGATOR, sender=self._name)
        return seal(self._cohort, self._stage, self._name, AGGREGATOR, self._change(bytes(answer.payload)))


@pytest.mark.parametrize("bits", [4, 8, 14, 16, 22, 24])
def test_sums_of_the_extremes_are_exact_in_every_ring(bits: int) -> None:
    largest = 2**bits - 1
    assert simulate("additive", np.full((4, 999), largest), bits=bits).total.tolist() == [4 * largest] * 999


def test_the_aggregators_share_looks_like_noise(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("additive", 50_000)
    deployed = AdditiveDeployment(cohort.plan)
    upload = deployed.client(cohort, "bank-1", np.zeros(50_000, dtype=np.int64)).respond(
        seal(cohort, UPLOAD, AGGREGATOR, "bank-1")
    )
    _, share = split_upload(cohort, open_message(cohort, upload, recipient=AGGREGATOR, sender="bank-1").payload)
    counts = np.bincount(np.frombuffer(share, dtype=np.uint8), minlength=256)
    chi_square = float(((counts - counts.mean()) ** 2 / counts.mean()).sum())
    assert chi_square < 255 + 6 * np.sqrt(2 * 255)


def parties(cohort: Cohort[Any], deployed: AdditiveDeployment, updates: IntVector) -> dict[str, Party]:
    clients = {bank: deployed.client(cohort, bank, row) for bank, row in zip(cohort.banks, updates, strict=True)}
    return {**clients, **deployed.trustees(cohort)}


@pytest.mark.parametrize("holder", HOLDERS)
def test_without_a_share_holder_there_is_no_sum(make_cohort: CohortFactory, holder: str) -> None:
    cohort = make_cohort("additive", 10)
    deployed = AdditiveDeployment(cohort.plan)
    everyone = parties(cohort, deployed, np.ones((3, 10), dtype=np.int64))
    with pytest.raises(DropoutError, match=holder):
        run_protocol(cohort, deployed.server(cohort), everyone, Transcript(), {holder: SUM_SHARES})


def test_a_share_holder_gives_one_sum_of_enough_banks(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("additive", 10)
    deployed = AdditiveDeployment(cohort.plan)
    sealed = {}
    for number, bank in enumerate(cohort.banks):
        upload = deployed.client(cohort, bank, np.ones(10, dtype=np.int64)).respond(
            seal(cohort, UPLOAD, AGGREGATOR, bank)
        )
        seeds, _ = split_upload(cohort, open_message(cohort, upload, recipient=AGGREGATOR, sender=bank).payload)
        sealed[number] = seeds[0]

    def ask(*banks: int) -> bytes:
        table = encode_table({number: sealed[number] for number in banks})
        return deployed.trustees(cohort)[HOLDERS[0]].respond(seal(cohort, SUM_SHARES, AGGREGATOR, HOLDERS[0], table))

    with pytest.raises(DropoutError, match="threshold"):
        ask(0)
    first = ask(0, 1, 2)
    assert ask(0, 1, 2) == first
    with pytest.raises(ProtocolError, match="second sum"):
        ask(0, 1)


def test_a_seed_opens_only_for_its_bank_round_and_holder(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("additive", 10)
    deployed = AdditiveDeployment(cohort.plan)

    def swap(payload: bytes) -> bytes:
        first, second = payload[:SEALED_SEED_BYTES], payload[SEALED_SEED_BYTES : 2 * SEALED_SEED_BYTES]
        return second + first + payload[2 * SEALED_SEED_BYTES :]

    everyone = parties(cohort, deployed, np.ones((3, 10), dtype=np.int64))
    everyone["bank-1"] = Altered(everyone["bank-1"], cohort, "bank-1", UPLOAD, swap)
    with pytest.raises(MessageError, match="altered"):
        run_protocol(cohort, deployed.server(cohort), everyone, Transcript())


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_altered_uploads_are_an_error_or_change_only_the_liars_own_input(data: st.DataObject) -> None:
    """A bank may always lie about its own input; nothing that it sends may do more than that."""
    cohort: Cohort[Any] = Cohort(plan("additive", 3, 5, 8), 1, ("bank-1", "bank-2", "bank-3"), HOLDERS)
    deployed = AdditiveDeployment(cohort.plan)
    everyone = parties(cohort, deployed, np.ones((3, 5), dtype=np.int64))
    position = data.draw(st.integers(0, 2 * SEALED_SEED_BYTES - 1))
    cut = data.draw(st.sampled_from([None, position]))

    def change(payload: bytes) -> bytes:
        altered = bytearray(payload)
        altered[position] ^= data.draw(st.integers(1, 255))
        return bytes(altered[:cut])

    everyone["bank-2"] = Altered(everyone["bank-2"], cohort, "bank-2", UPLOAD, change)
    with pytest.raises(SecureFLError):
        run_protocol(cohort, deployed.server(cohort), everyone, Transcript())


def test_tables_and_rings_survive_bytes() -> None:
    assert decode_table(encode_table({3: b"ab", 1: b"cd"}), 2, 4) == {1: b"cd", 3: b"ab"}
    for bits in (8, 20, 24):
        planned: Any = plan("additive", 200, 1001, bits)
        values = np.random.default_rng(bits).integers(0, 2**planned.ring_bits, 1001)
        words = ring.from_bytes(planned, memoryview(ring.to_bytes(planned, ring.to_ring(planned, values))))
        assert (ring.to_integers(planned, words) == values).all()
