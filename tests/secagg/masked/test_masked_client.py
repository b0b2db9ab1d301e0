"""A bank against an aggregator that breaks the protocol: what it refuses, and what its masked input gives away."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError, DropoutError, MessageError, ProtocolError, SecureFLError
from secure_fl.secagg import ring
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES, combine, on_one_polynomial
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.masked.wire import ADVERTISE_KEYS, CONSISTENCY_CHECK, MASKED_INPUT, SHARE_KEYS, STAGES, UNMASK
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.numbering import encode_table
from secure_fl.secagg.packing import IntVector

Start = Callable[..., Any]
every_stage = pytest.mark.parametrize("stage", STAGES)


def chi_square_of_bytes(data: bytes) -> float:
    """255 degrees of freedom: above 420 with probability below 1e-9 where all bytes are equally likely."""
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    return float(((counts - len(data) / 256) ** 2 / (len(data) / 256)).sum())


def forged(keys: bytes, **parts: bytes) -> bytes:
    """Advertised keys with some parts replaced, under the old signature."""
    old = wire.AdvertisedKeys.from_bytes(keys)
    return wire.AdvertisedKeys(**{**vars(old), **parts}).to_bytes()


def signed(round_: Any, bank: int, **parts: bytes) -> bytes:
    """Advertised keys with some parts replaced, signed by the bank itself."""
    keys = wire.AdvertisedKeys.from_bytes(forged(round_.keys[bank], **parts))
    return keys.to_bytes()[:-64] + bytes(
        round_.identities[bank].sign(keys.signed_part(round_.cohort, round_.cohort.banks[bank]))
    )


def blames(refused: pytest.ExceptionInfo[ProtocolError], bank: int, why: str) -> None:
    """The refusal is about one bank and says so: the next attempt goes without it."""
    assert refused.value.refused.keys() == {f"bank-{bank + 1}"}
    assert why in refused.value.refused[f"bank-{bank + 1}"]


# What a masked input gives away


@pytest.mark.parametrize("bits", [8, 20, 24])
@pytest.mark.parametrize("banks", [3, 5])
def test_a_masked_input_looks_like_noise(start: Start, banks: int, bits: int) -> None:
    """All updates are zero, so that whatever is not uniform comes from the masks."""
    round_ = start(banks, bits=bits, updates=np.zeros((banks, 60_000), dtype=np.int64))
    round_.play(CONSISTENCY_CHECK)
    assert all(chi_square_of_bytes(data) < 420 for data in round_.inputs.values())
    assert len(set(round_.inputs.values())) == banks


def test_the_statistic_would_notice_values_without_masks(start: Start) -> None:
    round_ = start(3, 60_000)
    assert (
        chi_square_of_bytes(ring.to_bytes(round_.cohort.plan, ring.to_ring(round_.cohort.plan, round_.updates[0])))
        > 420
    )


def test_the_sum_of_masked_inputs_is_noise_until_the_self_masks_are_opened(start: Start) -> None:
    round_ = start(4, updates=np.zeros((4, 60_000), dtype=np.int64))
    round_.play(CONSISTENCY_CHECK)
    total = sum(round_.vector(bank) for bank in round_.everyone)
    assert chi_square_of_bytes(ring.to_bytes(round_.cohort.plan, total.astype(np.uint16))) < 420


def test_one_opened_self_mask_leaves_noise(start: Start) -> None:
    """Pairwise masks stay on: the seed alone shows nothing of a bank's values."""
    round_ = start(3, updates=np.zeros((3, 60_000), dtype=np.int64))
    round_.play(CONSISTENCY_CHECK)
    vector = round_.vector(1).astype(np.uint16)
    subtract_mask(vector, round_.clients[1]._seed)
    assert chi_square_of_bytes(vector.tobytes()) < 420


def test_equal_updates_are_masked_differently_every_time(start: Start) -> None:
    updates, identities = np.ones((3, 1000), dtype=np.int64), [Identity() for _ in range(3)]
    seen = set()
    for number in (1, 1, 2):
        round_ = start(updates=updates, identities=identities, number=number)
        round_.play(CONSISTENCY_CHECK)
        seen |= set(round_.inputs.values())
    assert len(seen) == 9


@pytest.mark.parametrize("secret", ["_seed", "_values", "_mask", "_channel"])
def test_a_client_shows_nothing_of_its_secrets(start: Start, secret: str) -> None:
    client = start().clients[0]
    assert repr(getattr(client, secret)) not in repr(client)


# Different models for different banks (Pasquini et al. 2022)


@every_stage
def test_a_bank_that_was_shown_another_model_refuses_every_message(start: Start, stage: str) -> None:
    round_, other = start(context=b"model"), start(context=b"another model")
    message = seal(other.cohort, stage, AGGREGATOR, "bank-1")
    with pytest.raises(MessageError, match="another cohort, plan or model"):
        round_.clients[0].respond(message)


@pytest.mark.parametrize(("shown", "cancels"), [(b"model", True), (b"another model", False)])
def test_masks_of_banks_that_saw_different_models_do_not_cancel(
    start: Start, shown: bytes, cancels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where every check is out of the way: envelopes are translated, signatures and channels bound to nothing."""
    monkeypatch.setattr(wire.AdvertisedKeys, "verify", lambda *_: None)
    monkeypatch.setattr(wire, "channel_purpose", lambda cohort, sender, recipient: bytes([sender, recipient]))
    zeros = np.zeros((3, 20_000), dtype=np.int64)
    round_, victim = start(updates=zeros), start(updates=zeros, context=shown)
    ours = round_.ask

    def ask(bank: int, stage: str, payload: bytes = b"") -> bytes:
        return bytes(victim.ask(bank, stage, payload) if bank == 0 else ours(bank, stage, payload))

    round_.ask = ask
    round_.play(CONSISTENCY_CHECK)
    total = sum(round_.vector(bank) for bank in round_.everyone).astype(np.uint16)
    for client in (victim.clients[0], *round_.clients[1:]):
        subtract_mask(total, client._seed)
    assert (not ring.to_integers(round_.cohort.plan, total).any()) == cancels
    assert cancels or chi_square_of_bytes(ring.to_bytes(round_.cohort.plan, total)) < 420


# Stages


@pytest.mark.parametrize(("due", "asked"), [(d, a) for d in STAGES for a in STAGES if d != a])
def test_stages_come_in_order_and_once(start: Start, due: str, asked: str) -> None:
    round_ = start()
    round_.play(due)
    with pytest.raises(MessageError, match="out of turn"):
        round_.ask(0, asked, round_.honest_request(0, asked))


@every_stage
def test_no_stage_is_answered_twice(start: Start, stage: str) -> None:
    round_ = start()
    round_.play(stage)
    round_.ask(0, stage, round_.honest_request(0, stage))
    with pytest.raises(MessageError, match="out of turn"):
        round_.ask(0, stage, round_.honest_request(0, stage))


@pytest.mark.parametrize("stage", ["", "upload", "unmask2", "UNMASK"])
def test_unknown_stages_are_refused(start: Start, stage: str) -> None:
    with pytest.raises(MessageError):
        start().ask(0, stage)


def test_a_stage_that_was_refused_is_not_tried_again(start: Start) -> None:
    """An aggregator that was caught gets no second try with another list of survivors."""
    round_ = start(5)
    round_.play(CONSISTENCY_CHECK)
    with pytest.raises(DropoutError):
        round_.check(0, [1, 2, 3])
    with pytest.raises(MessageError, match="out of turn"):
        round_.check(0, [0, 1, 2])


def test_nobody_but_the_aggregator_is_answered(start: Start) -> None:
    round_ = start()
    with pytest.raises(MessageError):
        round_.clients[0].respond(seal(round_.cohort, ADVERTISE_KEYS, "bank-2", "bank-1"))
    with pytest.raises(MessageError):
        round_.clients[0].respond(seal(round_.cohort, ADVERTISE_KEYS, AGGREGATOR, "bank-2"))


# Keys


def test_keys_of_the_aggregator_in_a_banks_place_do_not_verify(start: Start) -> None:
    round_ = start()
    round_.advertise()
    mine = AgreementKey().public
    for part in ("channel", "mask", "commitment"):
        for bank in (0, 2):
            fresh = start(identities=round_.identities)
            fresh.advertise()
            keys = fresh.keys_around(1)
            keys[bank] = forged(keys[bank], **{part: mine})
            with pytest.raises(ProtocolError) as refused:
                fresh.share(1, keys)
            blames(refused, bank, f"signature of bank-{bank + 1}")


def test_keys_signed_by_another_bank_do_not_verify(start: Start) -> None:
    round_ = start()
    round_.advertise()
    with pytest.raises(ProtocolError) as refused:
        round_.share(0, {1: round_.keys[1], 2: round_.keys[1]})
    blames(refused, 2, "signature of bank-3")


@pytest.mark.parametrize("later", [{"number": 2}, {"attempt": 2}])
def test_keys_of_an_earlier_round_or_attempt_do_not_verify(start: Start, later: dict[str, int]) -> None:
    earlier = start()
    earlier.advertise()
    round_ = start(identities=earlier.identities, **later)
    round_.advertise()
    with pytest.raises(ProtocolError) as refused:
        round_.share(0, {**round_.keys_around(0), 1: earlier.keys[1]})
    blames(refused, 1, "signature of bank-2")


@pytest.mark.parametrize("stranger", [0, 5, 65_535])
def test_keys_of_nobody_around_are_refused(start: Start, stranger: int) -> None:
    round_ = start(5)
    round_.advertise()
    with pytest.raises(ProtocolError, match="not a neighbour" if stranger == 0 else "unknown") as refused:
        round_.share(0, {**round_.keys_around(0), stranger: round_.keys[1]})
    assert not refused.value.refused  # that is the aggregator's doing


def test_on_the_sparse_graph_keys_of_a_bank_further_away_are_refused(start: Start) -> None:
    round_ = start(101, threshold=91)
    far = next(bank for bank in round_.everyone if bank and bank not in wire.around(round_.cohort, 0))
    round_.advertise()
    with pytest.raises(ProtocolError, match="not a neighbour") as refused:
        round_.share(0, {**round_.keys_around(0), far: round_.keys[far]})
    assert not refused.value.refused


@pytest.mark.parametrize("stage", [SHARE_KEYS, MASKED_INPUT])
@pytest.mark.parametrize(("banks", "threshold"), [(3, 2), (5, 3), (5, 5), (8, 6)])
def test_too_few_keys_or_shares_are_an_error(start: Start, banks: int, threshold: int, stage: str) -> None:
    """The bank itself counts: it needs threshold - 1 others."""

    def answer(others: range) -> None:
        round_ = start(banks, threshold=threshold)
        round_.play(stage)
        rows = round_.keys if stage == SHARE_KEYS else round_.mail[0]
        round_.ask(0, stage, encode_table({bank: rows[bank] for bank in others}))

    answer(range(1, threshold))
    with pytest.raises(DropoutError, match=f"only {threshold - 1} banks .* {threshold} are needed"):
        answer(range(1, threshold - 1))


@pytest.mark.parametrize("stage", [SHARE_KEYS, UNMASK])
def test_a_bank_that_is_missing_in_the_directory_is_a_named_error(start: Start, stage: str) -> None:
    round_ = start()
    round_.play(stage)
    del round_.directory["bank-3"]
    with pytest.raises(SecureFLError, match="bank-3"):
        round_.ask(0, stage, round_.honest_request(0, stage))


def test_a_bank_cannot_take_off_masks_by_advertising_another_banks_mask_key(start: Start) -> None:
    """bank-3 copies bank-1's key and signs it: bank-2 in the middle subtracts the one mask and adds the other."""
    round_ = start(3, threshold=3)
    round_.advertise()
    copied = wire.AdvertisedKeys.from_bytes(round_.keys[0]).mask
    keys = {0: round_.keys[0], 2: signed(round_, 2, mask=copied)}
    try:
        round_.share(1, keys)
        for bank in (0, 2):
            round_.share(bank, round_.keys_around(bank))
        round_.mask(1, round_.mail[1])
    except MessageError:
        return
    vector = round_.vector(1).astype(np.uint16)
    subtract_mask(vector, round_.clients[1]._seed)  # opened by honest banks at the end
    assert vector.tolist() != round_.updates[1].tolist()


@pytest.mark.parametrize("owner", [0, 2])
@pytest.mark.parametrize(("theirs", "ours"), [("mask", "mask"), ("channel", "channel"), ("mask", "channel")])
def test_a_bank_notices_a_copied_key_by_itself(start: Start, owner: int, theirs: str, ours: str) -> None:
    """Another bank's or its own, where the aggregator lets it pass; nobody can tell who copied."""
    round_ = start(5)
    round_.advertise()
    source = wire.AdvertisedKeys.from_bytes(round_.keys[owner])
    keys = round_.keys_around(0) | {3: signed(round_, 3, **{ours: getattr(source, theirs)})}
    with pytest.raises(MessageError, match="are the same") as refused:
        round_.share(0, keys)
    assert not refused.value.refused


def test_every_attempt_has_fresh_secrets(start: Start) -> None:
    """Seed, keys and shares; for the same bank, identity and values, also at the same round and attempt."""
    first = start(5)
    rounds = [first, *(start(5, identities=first.identities, **c) for c in ({}, {"number": 2}, {"attempt": 2}))]
    clients = [client for round_ in rounds for client in round_.clients]
    for secrets in zip(*((c._seed, c._mask.secret(), c._channel.secret()) for c in clients), strict=True):
        assert len(set(secrets)) == len(clients)
    for round_ in rounds:
        round_.play(MASKED_INPUT)
    assert len({round_.mail[1][0] for round_ in rounds}) == len(rounds)


@pytest.mark.parametrize(("banks", "threshold"), [(3, 2), (5, 3), (5, 4), (5, 5)])
def test_secrets_are_shared_for_exactly_the_threshold(start: Start, banks: int, threshold: int) -> None:
    """With one holder fewer, neither the seed nor the mask key opens."""
    round_ = start(banks, threshold=threshold)
    round_.play(CONSISTENCY_CHECK)
    for kind in (0, 1):
        shares = {holder + 1: round_.clients[holder]._held[0][kind] for holder in round_.everyone}
        assert on_one_polynomial(shares, threshold)
        assert not on_one_polynomial(shares, threshold - 1)
        secret = round_.clients[0]._seed if kind else round_.clients[0]._mask.secret()
        assert combine(shares, threshold) == secret


# Shares


def test_shares_of_a_bank_without_keys_are_refused(start: Start) -> None:
    round_ = start(5)
    round_.advertise()
    round_.share(0, {bank: round_.keys[bank] for bank in (1, 2, 3)})
    for bank in (1, 2, 3, 4):
        round_.share(bank, round_.keys_around(bank))
    with pytest.raises(ProtocolError, match="without keys") as refused:
        round_.mask(0, round_.mail[0])
    assert not refused.value.refused


def test_shares_do_not_open_for_another_sender_or_recipient(start: Start) -> None:
    for swap in ({1: 2, 2: 1}, {1: 1, 2: 1}):
        round_ = start()
        round_.play(MASKED_INPUT)
        with pytest.raises(ProtocolError) as refused:
            round_.mask(0, {bank: round_.mail[0][source] for bank, source in swap.items()})
        for bank, source in swap.items():
            assert ("altered" in refused.value.refused.get(f"bank-{bank + 1}", "")) == (bank != source)
    round_ = start()
    round_.play(MASKED_INPUT)
    with pytest.raises(ProtocolError) as refused:
        round_.mask(0, {1: round_.mail[2][1], 2: round_.mail[0][2]})
    blames(refused, 1, "altered")


def test_shares_of_an_earlier_round_do_not_open(start: Start) -> None:
    earlier = start()
    earlier.play(MASKED_INPUT)
    round_ = start(identities=earlier.identities)
    round_.play(MASKED_INPUT)
    with pytest.raises(ProtocolError) as refused:
        round_.mask(0, {**round_.mail[0], 1: earlier.mail[0][1]})
    blames(refused, 1, "altered")


# Survivors, signatures, and never both kinds of share


@pytest.mark.parametrize("told", [[], [0], [0, 1], [1, 2, 3], [1, 2, 3, 4]])
def test_a_list_without_itself_or_below_the_threshold_is_refused(start: Start, told: list[int]) -> None:
    round_ = start(5)
    round_.play(CONSISTENCY_CHECK)
    with pytest.raises(SecureFLError):
        round_.check(0, told)


@pytest.mark.parametrize("signers", [[0, 1], [0, 1, 2], [0, 1, 2, 3, 4]])
def test_signatures_of_another_list_do_not_count(start: Start, signers: list[int]) -> None:
    round_ = start(5)
    round_.play(CONSISTENCY_CHECK)
    for bank in round_.everyone:
        round_.check(bank, round_.everyone if bank else [0, 1, 2, 3])
    with pytest.raises(DropoutError, match="bank-1 saw 1 signatures"):
        round_.unmask(0, signers)


@pytest.mark.parametrize("signers", [[0], [0, 1], [1, 4], [3]])
def test_too_few_signatures_are_refused(start: Start, signers: list[int]) -> None:
    round_ = start(5)
    round_.play(UNMASK)
    with pytest.raises(DropoutError, match="signatures under the list"):
        round_.unmask(0, signers)


@pytest.mark.parametrize("forgery", [bytes(96), b"\xff" * 96], ids=["zeros", "ones"])
def test_a_forged_signature_does_not_count_and_stops_nobody(start: Start, forgery: bytes) -> None:
    for signers, enough in (([0, 1, 2, 3, 4], True), ([0, 1, 2, 3], True), ([0, 2, 3], False)):
        round_ = start(5)
        round_.play(UNMASK)
        round_.signatures[3] = forgery
        if enough:
            round_.unmask(0, signers)
        else:
            with pytest.raises(DropoutError, match="bank-1 saw 2 signatures"):
                round_.unmask(0, signers)


def test_one_signature_counts_for_one_bank(start: Start) -> None:
    """Neither for a neighbour, nor for the bank itself in another's place."""
    round_ = start(5)
    round_.play(UNMASK)
    round_.signatures |= {1: round_.signatures[0], 2: round_.signatures[0], 3: round_.signatures[4]}
    with pytest.raises(DropoutError, match="bank-1 saw 2 signatures"):
        round_.unmask(0, round_.everyone)


@pytest.mark.parametrize("later", [{}, {"number": 2}, {"attempt": 2}])
def test_signatures_of_an_earlier_run_do_not_count(start: Start, later: dict[str, int]) -> None:
    """Of another round or attempt; nor of the same attempt, by a bank that forgot it and made other keys."""
    earlier = start()
    earlier.play(UNMASK)
    round_ = start(identities=earlier.identities, **later)
    round_.play(UNMASK)
    round_.signatures |= {1: earlier.signatures[1], 2: earlier.signatures[2]}
    with pytest.raises(DropoutError, match="bank-1 saw 1 signatures"):
        round_.unmask(0, round_.everyone)


def test_a_list_must_reach_the_threshold_and_not_only_that_of_shares(start: Start) -> None:
    """On the sparse graph they differ: 3 shares open a secret here, and a sum has 5 survivors at least."""
    for told, refused in (([0, 1, 2, 3], True), ([0, 1, 2, 3, 4], False)):
        round_ = start(7, threshold=5, changes={"degree": 4, "share_threshold": 3})
        round_.play(CONSISTENCY_CHECK)
        if refused:
            with pytest.raises(DropoutError, match="below the threshold of 5"):
                round_.check(0, told)
        else:
            round_.check(0, told)


def test_only_signatures_of_witnesses_count(start: Start) -> None:
    """Of nine banks five are witnesses and four of them must have signed, wherever they are on the circle."""
    changes = {"degree": 4, "share_threshold": 4, "witnesses": 5, "witness_threshold": 4}
    round_ = start(9, changes=changes)
    round_.play(UNMASK)
    witnesses = sorted(wire.witnesses(round_.cohort))
    assert len(witnesses) == 5
    others = set(round_.everyone) - set(witnesses)
    with pytest.raises(DropoutError, match="saw 3 signatures"):
        round_.unmask(0, {*witnesses[:3], *others})
    round_ = start(9, changes=changes)
    round_.play(UNMASK)
    round_.unmask(0, sorted(wire.witnesses(round_.cohort))[:4])


def test_a_witness_that_is_no_neighbour_signs_with_its_own_identity_only(start: Start) -> None:
    """Its keys were not shown, so their hash is taken as it comes; its signature is not."""
    changes = {"degree": 2, "share_threshold": 2, "witnesses": 7, "witness_threshold": 7}
    round_ = start(7, changes=changes)
    round_.play(UNMASK)
    stranger = next(bank for bank in round_.everyone if bank not in {0, *wire.around(round_.cohort, 0)})
    other = next(bank for bank in round_.everyone if bank not in {0, stranger})
    keys_hash = round_.signatures[stranger][:32]
    told = wire.survivors_statement(round_.cohort, keys_hash, round_.everyone)
    round_.signatures[stranger] = keys_hash + round_.identities[other].sign(told)
    with pytest.raises(DropoutError, match="saw 6 signatures"):
        round_.unmask(0, round_.everyone)


def test_one_share_for_each_bank_and_of_the_right_kind(start: Start) -> None:
    round_ = start(5)
    round_.play(CONSISTENCY_CHECK)
    survivors = [0, 1, 3, 4]
    for bank in survivors:
        round_.check(bank, survivors)
    for bank in survivors:
        round_.unmask(bank, survivors)
        assert round_.opened[bank].keys() == {0, 1, 2, 3, 4}
        for owner, share in round_.opened[bank].items():
            mask_share, seed_share = round_.clients[bank]._held[owner]
            assert share == (seed_share if owner in survivors else mask_share)
            assert len(share) == SHARE_BYTES


@pytest.mark.parametrize("banks", [3, 4, 5, 6])
def test_the_aggregator_alone_never_opens_both_secrets_of_a_bank(start: Start, banks: int) -> None:
    """Whoever it tells that bank-1's input is lost, and whichever signatures it shows to whom."""
    everyone, without = list(range(banks)), list(range(1, banks))
    for lied_to in itertools.product((False, True), repeat=banks - 1):
        round_ = start(banks)
        round_.play(CONSISTENCY_CHECK)
        told = {0: everyone, **{bank: without if lie else everyone for bank, lie in enumerate(lied_to, 1)}}
        kinds = [0, 0]
        for bank, survivors in told.items():
            round_.check(bank, survivors)
        for bank, survivors in told.items():
            try:
                round_.unmask(bank, [other for other in everyone if told[other] == survivors])
            except SecureFLError:
                continue
            kinds[round_.clients[bank]._held[0].index(round_.opened[bank][0])] += 1
        assert min(kinds) < round_.cohort.plan.share_threshold
        assert min(kinds) == 0


@pytest.mark.parametrize("corrupt", [0, 1, 2])
def test_both_secrets_take_as_many_accomplices_as_the_threshold_says(start: Start, corrupt: int) -> None:
    """Of 6 banks with t = 4 two must help a lying aggregator: 2t - n, not t (Bonawitz et al., section 6.2)."""
    round_ = start(6, threshold=4)
    round_.play(CONSISTENCY_CHECK)
    helpers = list(range(6 - corrupt, 6))
    honest = list(range(1, 6 - corrupt))
    half = 4 - corrupt - 1  # with the victim and the helpers, a quorum
    groups = {"with": [0, *honest[:half]], "without": honest[half:]}
    lists = {"with": list(range(6)), "without": list(range(1, 6))}
    opened: dict[str, dict[int, bytes]] = {}
    for group, banks in groups.items():
        for bank in banks:
            round_.check(bank, lists[group])
    for group, banks in groups.items():
        round_.signatures |= {bank: round_.signed_survivors(bank, lists[group]) for bank in helpers}
        opened[group] = {bank + 1: round_.clients[bank]._held[0][group == "with"] for bank in helpers}
        for bank in banks:
            try:
                round_.unmask(bank, [*banks, *helpers])
            except DropoutError:
                continue
            opened[group][bank + 1] = round_.opened[bank][0]
    broken = all(len(shares) >= 4 for shares in opened.values())
    assert broken == (corrupt >= 2)
    if broken:
        assert combine(opened["with"], 4) == round_.clients[0]._seed
        assert combine(opened["without"], 4) == round_.clients[0]._mask.secret()


# Values


def client_with(start: Start, values: Any) -> MaskedClient:
    round_ = start()
    cohort: Cohort[Any] = round_.cohort
    return MaskedClient(cohort, "bank-1", values, round_.identities[0], round_.directory)


@pytest.mark.parametrize("values", [[1, 2], [1, 2, 3, 4], [[1, 2, 3]], [-1, 0, 0], [256, 0, 0], [2**40, 0, 0]])
def test_values_that_the_plan_is_not_for_are_refused(start: Start, values: list[int]) -> None:
    with pytest.raises(ConfigurationError):
        client_with(start, np.array(values))


@pytest.mark.parametrize("values", [[1.5, 2.5, 0.1], [float("nan"), 1.0, 1.0]])
def test_values_that_are_no_integers_are_refused(start: Start, values: list[float]) -> None:
    with pytest.raises(ConfigurationError):
        client_with(start, np.array(values))


def test_the_values_of_the_caller_stay_as_they_are(start: Start) -> None:
    values: IntVector = np.array([1, 2, 3])
    round_ = start(updates=np.stack([values, values, values]))
    round_.play(UNMASK)
    assert values.tolist() == [1, 2, 3]
    assert (round_.updates == values).all()


def test_a_masked_input_is_what_the_paper_says(start: Start) -> None:
    """x + PRG(b) + sum of PRG(s) over later neighbours - sum of PRG(s) over earlier ones, from the banks' own keys."""
    round_ = start(3)
    round_.play(CONSISTENCY_CHECK)
    total = np.zeros(3, dtype=np.uint16)
    for bank in round_.everyone:
        add_mask(total, round_.clients[bank]._seed)
    masked = sum(round_.vector(bank) for bank in round_.everyone)
    assert ((masked - total.astype(np.int64)) % 2**round_.cohort.plan.ring_bits == round_.updates.sum(axis=0)).all()


def test_seeds_of_self_masks_are_drawn_at_full_length(start: Start) -> None:
    seeds = [client._seed for client in start(5).clients]
    assert {len(seed) for seed in seeds} == {32}
    assert len({half for seed in seeds for half in (seed[:16], seed[16:])}) == 10, "no half repeats"


def test_an_identity_shows_nothing_and_says_which_bank_goes_back(start: Start) -> None:
    round_ = start()
    identity = round_.identities[1]
    assert repr(identity) == "Identity(...)"
    with pytest.raises(ProtocolError, match=r"^bank-2 already took part in round 1, attempt 1, and does not go back"):
        identity.begin(round_.cohort, "bank-2")


def test_a_bank_does_not_count_a_wrong_signature_of_its_own(start: Start) -> None:
    """The aggregator writes the table: a row under a bank's own number is no more to be believed than another."""
    round_ = start(5)
    round_.play(UNMASK)
    round_.signatures[0] = round_.signatures[0][: wire.HASH_BYTES] + bytes(64)
    with pytest.raises(DropoutError, match="bank-1 saw 2 signatures"):
        round_.unmask(0, [0, 1, 2])
