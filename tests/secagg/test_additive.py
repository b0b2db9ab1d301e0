"""Additive sums: exact, useless without every share, and one sum in a round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import ConfigurationError, DropoutError, MessageError, ProtocolError
from secure_fl.secagg import SCHEMES, plan, ring, simulate
from secure_fl.secagg.additive.client import AdditiveClient
from secure_fl.secagg.additive.deployment import HOLDERS, AdditiveDeployment
from secure_fl.secagg.additive.holder import ShareHolder, ShareHolderKey
from secure_fl.secagg.additive.wire import (
    HASH_BYTES,
    SUM_SHARES,
    UPLOAD,
    Upload,
    commitment,
    parts_of,
    purpose,
    requested,
    split_upload,
    vouched,
)
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES, AgreementKey, seal_to, unseal
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.numbering import decode_table, encode_table
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import Party, run_protocol
from secure_fl.secagg.transcript import Transcript
from tests.secagg.altered import Altered

CohortFactory = Callable[..., Cohort[Any]]


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
    sent = split_upload(cohort, open_message(cohort, upload, recipient=AGGREGATOR, sender="bank-1").payload)
    counts = np.bincount(np.frombuffer(sent.share, dtype=np.uint8), minlength=256)
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
    holder = HOLDERS[0]
    uploads = {number: upload_of(cohort, deployed, bank) for number, bank in enumerate(cohort.banks)}

    def ask(*banks: int) -> bytes:
        asked = requested(cohort, holder, {number: uploads[number] for number in banks}, (0,))
        return deployed.trustees(cohort)[holder].respond(seal(cohort, SUM_SHARES, AGGREGATOR, holder, asked))

    with pytest.raises(DropoutError, match="threshold"):
        ask(0)
    first = ask(0, 1, 2)
    assert ask(0, 1, 2) == first
    with pytest.raises(ProtocolError, match="does not go back"):
        ask(0, 1)


def test_nobody_answers_what_belongs_to_another_stage(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("additive", 10)
    deployed = AdditiveDeployment(cohort.plan)
    client, holder = deployed.client(cohort, "bank-1", np.ones(10, dtype=np.int64)), deployed.trustees(cohort)
    with pytest.raises(MessageError, match="belongs to stage 'sum_shares' instead of 'upload'"):
        client.respond(seal(cohort, SUM_SHARES, AGGREGATOR, "bank-1"))
    uploads = {number: upload_of(cohort, deployed, bank) for number, bank in enumerate(cohort.banks)}
    table = requested(cohort, HOLDERS[0], uploads, (0,))
    with pytest.raises(MessageError, match="belongs to stage 'upload' instead of 'sum_shares'"):
        holder[HOLDERS[0]].respond(seal(cohort, UPLOAD, AGGREGATOR, HOLDERS[0], table))


@pytest.mark.parametrize("values", [[256] * 10, [-1] * 10, [1] * 9])
def test_values_that_the_plan_is_not_for_are_not_shared(make_cohort: CohortFactory, values: list[int]) -> None:
    cohort = make_cohort("additive", 10)
    with pytest.raises(ConfigurationError):
        AdditiveDeployment(cohort.plan).client(cohort, "bank-1", np.array(values))


def upload_of(cohort: Cohort[Any], deployed: AdditiveDeployment, bank: str) -> Upload:
    """What a bank sends in a cohort."""
    client = deployed.client(cohort, bank, np.ones(cohort.plan.parameters, dtype=np.int64))
    return sent_by(cohort, bank, client)


def sent_by(cohort: Cohort[Any], bank: str, client: Party) -> Upload:
    upload = client.respond(seal(cohort, UPLOAD, AGGREGATOR, bank))
    return split_upload(cohort, open_message(cohort, upload, recipient=AGGREGATOR, sender=bank).payload)


def ask(cohort: Cohort[Any], deployed: AdditiveDeployment, holder: str, uploads: dict[int, Upload]) -> bytes:
    """A share-holder's answer when it is asked for all its sums."""
    return deployed.trustees(cohort)[holder].respond(asked_for_all(cohort, holder, uploads))


def asked_for_all(cohort: Cohort[Any], holder: str, uploads: dict[int, Upload]) -> bytes:
    asked = requested(cohort, holder, uploads, parts_of(cohort, holder))
    return seal(cohort, SUM_SHARES, AGGREGATOR, holder, asked)


OTHER_COHORTS: dict[str, dict[str, Any]] = {
    "round": {"round": 2},
    "attempt": {"attempt": 2},
    "session": {"session": b"another session."},
    "model": {"context": b"another model"},
}


@pytest.mark.parametrize("holder", [0, 1])
@pytest.mark.parametrize("what", ["nothing", "bank", "holder", *OTHER_COHORTS])
def test_a_seed_opens_only_for_its_bank_attempt_model_and_holder(
    make_cohort: CohortFactory, what: str, holder: int
) -> None:
    """One bank's seed is replaced by another one that is sealed just as well, but for something else."""
    cohort = make_cohort("additive", 10)
    deployed = AdditiveDeployment(cohort.plan)
    uploads = {number: upload_of(cohort, deployed, bank) for number, bank in enumerate(cohort.banks)}
    if what == "bank":
        uploads[0] = vouched_for(cohort, deployed, cohort, "bank-2")
    elif what == "holder":
        uploads[0] = replace(uploads[0], sealed=uploads[0].sealed[::-1])
    elif what in OTHER_COHORTS:
        uploads[0] = vouched_for(cohort, deployed, replace(cohort, **OTHER_COHORTS[what]), "bank-1")
    if what == "nothing":
        ask(cohort, deployed, HOLDERS[holder], uploads)
        return
    with pytest.raises(ProtocolError, match="cannot use the seeds of bank-1") as caught:
        ask(cohort, deployed, HOLDERS[holder], uploads)
    assert set(caught.value.refused) == {"bank-1"}
    assert caught.value.refused["bank-1"].endswith("an encrypted message between banks was altered")


def vouched_for(cohort: Cohort[Any], deployed: AdditiveDeployment, told: Cohort[Any], bank: str) -> Upload:
    """What a bank sealed in some cohort, with commitments that bank-1 signs for this one."""
    sent = upload_of(told, deployed, bank)
    keys = [deployed._holders[holder].key for holder in HOLDERS]
    seeds = [
        unseal(key, sealed, purpose(told, bank, holder))
        for key, sealed, holder in zip(keys, sent.sealed, HOLDERS, strict=True)
    ]
    commitments = tuple(commitment(cohort, "bank-1", part, seed) for part, seed in enumerate(seeds))
    signature = deployed._identities.of("bank-1").sign_upload(cohort, "bank-1", vouched(commitments))
    return replace(sent, commitments=commitments, signature=signature)


@pytest.mark.parametrize("what", OTHER_COHORTS)
def test_what_was_signed_in_one_attempt_counts_in_no_other(make_cohort: CohortFactory, what: str) -> None:
    cohort = make_cohort("additive", 10)
    deployed = AdditiveDeployment(cohort.plan)
    uploads = {number: upload_of(cohort, deployed, bank) for number, bank in enumerate(cohort.banks)}
    uploads[0] = upload_of(replace(cohort, **OTHER_COHORTS[what]), deployed, "bank-1")
    with pytest.raises(ProtocolError, match="cannot use the seeds of bank-1") as caught:
        ask(cohort, deployed, HOLDERS[0], uploads)
    assert caught.value.refused["bank-1"].endswith("a signature of bank-1 does not verify")


def test_every_bank_whose_seed_does_not_open_is_named(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("additive", 10)
    deployed = AdditiveDeployment(cohort.plan)
    uploads = {number: upload_of(cohort, deployed, bank) for number, bank in enumerate(cohort.banks)}
    nothing = replace(uploads[0], sealed=(bytes(cohort.plan.sealed_bytes),) * len(HOLDERS))
    with pytest.raises(ProtocolError, match="bank-1, bank-3") as caught:
        ask(cohort, deployed, HOLDERS[0], uploads | {0: nothing, 2: uploads[1]})
    assert set(caught.value.refused) == {"bank-1", "bank-3"}


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_an_altered_seed_or_upload_is_found_out_and_its_bank_named(data: st.DataObject) -> None:
    cohort: Cohort[Any] = Cohort(plan("additive", 3, 5, 8), 1, ("bank-1", "bank-2", "bank-3"), HOLDERS)
    deployed = AdditiveDeployment(cohort.plan)
    everyone = parties(cohort, deployed, np.ones((3, 5), dtype=np.int64))
    position = data.draw(st.integers(0, 2 * (HASH_BYTES + cohort.plan.sealed_bytes) + SIGNATURE_BYTES - 1))
    cut = data.draw(st.sampled_from([None, position]))

    def change(payload: bytes) -> bytes:
        altered = bytearray(payload)
        altered[position] ^= data.draw(st.integers(1, 255))
        return bytes(altered[:cut])

    everyone["bank-2"] = Altered(everyone["bank-2"], cohort, "bank-2", UPLOAD, change)
    if cut is None:
        with pytest.raises(ProtocolError) as caught:
            run_protocol(cohort, deployed.server(cohort), everyone, Transcript())
        assert set(caught.value.refused) == {"bank-2"}
    else:
        finished = run_protocol(cohort, deployed.server(cohort), everyone, Transcript()).sum
        assert finished.contributors == {"bank-1", "bank-3"}
        assert set(finished.refused) == {"bank-2"}
        assert finished.total.tolist() == [2] * 5


def test_tables_and_rings_survive_bytes() -> None:
    assert decode_table(encode_table({3: b"ab", 1: b"cd"}), 2, 4) == {1: b"cd", 3: b"ab"}
    for bits in (8, 20, 24):
        planned: Any = plan("additive", 200, 1001, bits)
        values = np.random.default_rng(bits).integers(0, 2**planned.ring_bits, 1001)
        words = ring.from_bytes(planned, memoryview(ring.to_bytes(planned, ring.to_ring(planned, values))))
        assert (ring.to_integers(planned, words) == values).all()


def test_a_share_holder_shows_its_name_and_nothing_of_its_key(make_cohort: CohortFactory) -> None:
    for name in HOLDERS:
        assert repr(ShareHolderKey(name)) == f"ShareHolderKey({name!r})"


@pytest.mark.parametrize("number", [0, 1])
def test_a_seed_that_does_not_open_is_told_with_the_holder_that_cannot_open_it(
    make_cohort: CohortFactory, number: int
) -> None:
    cohort, holder = make_cohort("additive", 10), HOLDERS[number]
    deployed = AdditiveDeployment(cohort.plan)
    uploads = {place: upload_of(cohort, deployed, bank) for place, bank in enumerate(cohort.banks)}
    with pytest.raises(ProtocolError, match=f"{holder} cannot use the seeds of bank-2; make") as caught:
        ask(cohort, deployed, holder, uploads | {1: uploads[0]})
    told = caught.value.refused["bank-2"]
    assert told == f"{holder} cannot use its seeds: a signature of bank-2 does not verify"


@pytest.mark.parametrize("number", [0, 1])
def test_seeds_of_another_bank_do_not_open_under_a_signature_of_ones_own(
    make_cohort: CohortFactory, number: int
) -> None:
    cohort, holder = make_cohort("additive", 10), HOLDERS[number]
    deployed = AdditiveDeployment(cohort.plan)
    uploads = {place: upload_of(cohort, deployed, bank) for place, bank in enumerate(cohort.banks)}
    with pytest.raises(ProtocolError, match=f"{holder} cannot use the seeds of bank-2; make") as caught:
        ask(cohort, deployed, holder, uploads | {1: replace(uploads[1], sealed=uploads[0].sealed)})
    told = caught.value.refused["bank-2"]
    assert told == f"{holder} cannot use its seeds: an encrypted message between banks was altered"


def test_a_share_holder_adds_up_what_its_banks_signed(make_cohort: CohortFactory) -> None:
    cohort, holder = make_cohort("additive", 10), HOLDERS[0]
    deployed = AdditiveDeployment(cohort.plan)
    uploads = {place: upload_of(cohort, deployed, bank) for place, bank in enumerate(cohort.banks)}
    stranger = AdditiveClient(cohort, "bank-2", np.ones(10, dtype=np.int64), Identity(), deployed.public_keys)
    made_up = sent_by(cohort, "bank-2", stranger)
    with pytest.raises(ProtocolError, match=f"{holder} cannot use the seeds of bank-2; make"):
        ask(cohort, deployed, holder, uploads | {1: made_up})
    key = ShareHolderKey(holder, deployed._holders[holder].key)
    nobody = ShareHolder(cohort, key, {})
    with pytest.raises(ProtocolError) as caught:
        nobody.respond(asked_for_all(cohort, holder, uploads))
    assert set(caught.value.refused) == set(cohort.banks)
    assert caught.value.refused["bank-1"].endswith("nobody knows an identity key of bank-1")


def test_all_share_holders_that_are_silent_are_named(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("additive", 10)
    deployed = AdditiveDeployment(cohort.plan)
    everyone = parties(cohort, deployed, np.ones((3, 10), dtype=np.int64))
    with pytest.raises(DropoutError, match=rf"^{', '.join(HOLDERS)} gave no sum"):
        run_protocol(cohort, deployed.server(cohort), everyone, Transcript(), dict.fromkeys(HOLDERS, SUM_SHARES))


def test_seeds_are_drawn_at_full_length_and_anew_for_every_holder(
    make_cohort: CohortFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, used = make_cohort("additive", 10), list[bytes]()
    deployed = AdditiveDeployment(cohort.plan)

    def watched(vector: Any, seed: bytes) -> None:
        used.append(seed)

    monkeypatch.setattr("secure_fl.secagg.additive.client.subtract_mask", watched)
    for bank in cohort.banks:
        upload_of(cohort, deployed, bank)
    halves = {half for seed in used for half in (seed[:16], seed[16:])}
    assert {len(seed) for seed in used} == {32}
    assert len(halves) == 2 * 3 * len(HOLDERS), "no half repeats"


def test_share_holders_are_two_and_numbered_from_one(make_cohort: CohortFactory) -> None:
    assert HOLDERS == SCHEMES["additive"].trustees == ("share-holder-1", "share-holder-2")
    assert set(AdditiveDeployment(make_cohort("additive").plan).trustees(make_cohort("additive"))) == set(HOLDERS)


def test_what_is_sealed_for_one_holder_opens_as_no_other_even_under_one_key(make_cohort: CohortFactory) -> None:
    cohort, key = make_cohort("additive"), AgreementKey()
    sealed = seal_to(key.public, bytes(SEED_BYTES), purpose(cohort, "bank-1", HOLDERS[0]))
    assert unseal(key, sealed, purpose(cohort, "bank-1", HOLDERS[0])) == bytes(SEED_BYTES)
    with pytest.raises(MessageError):
        unseal(key, sealed, purpose(cohort, "bank-1", HOLDERS[1]))
