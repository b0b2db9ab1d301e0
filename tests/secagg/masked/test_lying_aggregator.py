"""Lies against real banks: the model of `adversary` is faithful, what it finds opens, and known attacks are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import DropoutError, ProtocolError
from secure_fl.secagg import ring
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES, combine
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.masked.server import masked_server
from secure_fl.secagg.numbering import decode_numbers, decode_table, encode_table
from secure_fl.secagg.protocol import run_protocol
from secure_fl.secagg.transcript import Transcript
from tests.secagg.masked.adversary import (
    SEVEN,
    TOLD,
    Lie,
    Rules,
    View,
    complete,
    first_lie,
    members,
    reveals,
    shown,
    signs,
    takes_keys,
    takes_letters,
    union_of,
)

Start = Callable[..., Any]
FORGED = bytes(wire.SIGNED_BYTES)

# The model is the real bank


def read_sum(round_: Any, rules: Rules, lie: Lie, target: int) -> list[int]:
    """The sum over `target` as a lying aggregator reads it, from real banks. Raises what they raise."""
    size, plan = len(rules.around), round_.cohort.plan
    round_.advertise()
    for bank in range(size):
        round_.share(bank, {other: round_.keys[other] for other in members(rules.around[bank])})
    for bank, view in lie.items():
        round_.mask(bank, {other: round_.mail[bank][other] for other in members(view.letters)})
    telling = {bank: view.told for bank, view in lie.items() if view.told}
    for bank, told in telling.items():
        round_.check(bank, members(told))
    shares: dict[tuple[int, int], dict[int, bytes]] = {}
    for holder in members(rules.corrupt):
        for owner in members(rules.around[holder] & rules.honest):
            for kind, share in enumerate(round_.clients[holder]._open_shares(owner, round_.mail[holder][owner])):
                shares.setdefault((owner, kind), {})[holder + 1] = share
    for bank, told in telling.items():
        signed = {o: round_.signatures[o] for o, same in telling.items() if same == told}
        signed |= {o: round_.signed_survivors(o, members(told)) for o in members(rules.corrupt)}
        try:
            opened = decode_table(round_.ask(bank, wire.UNMASK, encode_table(signed)), SHARE_BYTES, size)
        except DropoutError:
            continue
        for owner, share in opened.items():
            shares.setdefault((owner, told >> owner & 1), {})[bank + 1] = share
    keys = {o: AgreementKey(combine(shares[o, 0], rules.holders)) for o in range(size) if known(shares, o, 0, rules)}
    keys |= {other: round_.clients[other]._mask for other in members(rules.corrupt)}
    total = ring.zeros(plan)
    for bank in members(target):
        total += ring.from_bytes(plan, memoryview(round_.inputs[bank]))
        subtract_mask(total, combine(shares[bank, 1], rules.holders))
        for other in members(lie[bank].letters & ~target):
            purpose = wire.mask_purpose(round_.cohort, bank, other)
            one, two = (bank, other) if bank in keys else (other, bank)
            mask = keys[one].agree(wire.AdvertisedKeys.from_bytes(round_.keys[two]).mask, purpose)
            (subtract_mask if bank < other else add_mask)(total, mask)
    return list(ring.to_integers(plan, total).tolist())


def known(shares: dict[tuple[int, int], dict[int, bytes]], owner: int, kind: int, rules: Rules) -> bool:
    return len(shares.get((owner, kind), {})) >= rules.holders


def values_of(round_: Any, target: int) -> list[int]:
    return list(round_.updates[members(target)].sum(axis=0).tolist())


@pytest.mark.parametrize(
    ("banks", "threshold", "colluders", "smallest"),
    [(3, 2, 0, 2), (5, 3, 0, 3), (5, 4, 1, 3), (5, 3, 1, 1), (6, 4, 2, 1)],
)
def test_what_the_search_finds_opens_with_real_banks(
    start: Start, banks: int, threshold: int, colluders: int, smallest: int
) -> None:
    rules = complete(banks, threshold, colluders)
    lie, target = first_lie(rules, smallest)
    round_ = start(banks, 20, threshold=threshold)
    assert read_sum(round_, rules, lie, target) == values_of(round_, target)


def on_a_circle(start: Start, rules: Rules, degree: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Real banks on the sparse graph, in the order of their numbers."""
    monkeypatch.setattr(wire, "around", lambda cohort, bank: tuple(members(rules.around[bank])))
    changes = {"degree": degree, "share_threshold": rules.holders, "witness_threshold": rules.quorum}
    return start(len(rules.around), 20, changes=changes)


def test_what_the_search_finds_on_a_circle_opens_with_real_banks(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    round_ = on_a_circle(start, SEVEN, 4, monkeypatch)
    assert read_sum(round_, SEVEN, shown(SEVEN, TOLD, 1), 1) == values_of(round_, 1)


@pytest.mark.parametrize(("banks", "threshold"), [(3, 2), (4, 3), (5, 3), (9, 6), (10, 7)])
def test_withheld_shares_are_noticed(start: Start, banks: int, threshold: int) -> None:
    """One list for everybody, honestly signed, that names banks whose letters the isolated ones never got."""
    rules = complete(banks, threshold, within_letters=False)
    named = (1 << threshold) - 1
    target = (1 << 2 * threshold - banks) - 1
    told = tuple(named if bank < threshold else 0 for bank in range(banks))
    lie = shown(rules, told, target)
    round_ = start(banks, 20, threshold=threshold)
    with pytest.raises(ProtocolError, match="did not mask with"):
        read_sum(round_, rules, lie, target)
    gullible = start(banks, 20, threshold=threshold)
    for client in gullible.clients:
        client._consistency_check = unchecked(client)
    assert read_sum(gullible, rules, lie, target) == values_of(gullible, target)


def unchecked(client: MaskedClient) -> Callable[[memoryview], bytes]:
    """What a bank did before it compared the list with its letters."""

    def check(payload: memoryview) -> bytes:
        client._survivors = decode_numbers(payload, len(client._cohort.banks))
        keys_hash = client._advertised.hash
        return keys_hash + client._identity.sign(wire.survivors_statement(client._cohort, keys_hash, client._survivors))

    return check


def replayed(start: Start) -> tuple[list[int], list[int]]:
    """Two attempts that are given up, and a third one that reads what it should not with their signatures.

    The banks' identities forget, so that they take part thrice in one attempt; what was read, and the true sum.
    """
    first = start(5, 20)
    signatures = {}
    lists = (0, 1, 2), (0, 1, 3), (0, 1, 4)
    for signed in ({1: lists[0], 0: lists[1]}, {0: lists[2], 1: lists[2]}):
        aborted = start(5, 20, identities=first.identities)
        aborted.play(wire.CONSISTENCY_CHECK)
        for bank, told in signed.items():
            aborted.check(bank, told)
            signatures[bank, told] = aborted.signatures[bank]
    final = start(5, 20, identities=first.identities)
    final.play(wire.CONSISTENCY_CHECK)
    heard = {0: lists[0], 2: lists[0], 1: lists[1], 3: lists[1], 4: lists[2]}
    for bank, told in heard.items():
        final.check(bank, told)
        signatures[bank, told] = final.signatures[bank]
    shares: dict[tuple[int, int], dict[int, bytes]] = {}
    for bank, told in heard.items():
        table = encode_table({other: signatures[other, told] for other in told})
        for owner, share in decode_table(final.ask(bank, wire.UNMASK, table), SHARE_BYTES, 5).items():
            shares.setdefault((owner, int(owner in told)), {})[bank + 1] = share
    plan = final.cohort.plan
    total = ring.zeros(plan)
    for bank in (0, 1):
        total += ring.from_bytes(plan, memoryview(final.inputs[bank]))
        subtract_mask(total, combine(shares[bank, 1], 3))
        for other in (2, 3, 4):
            theirs = wire.AdvertisedKeys.from_bytes(final.keys[bank]).mask
            mask = AgreementKey(combine(shares[other, 0], 3)).agree(
                theirs, wire.mask_purpose(final.cohort, bank, other)
            )
            subtract_mask(total, mask)
    return ring.to_integers(plan, total).tolist(), values_of(final, 0b11)


def test_signatures_do_not_replay_between_attempts(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by what is signed, even where identities forget; without that, two of five banks are read."""
    with pytest.raises(DropoutError, match="signatures under the list"):
        replayed(start)
    monkeypatch.setattr(wire.AdvertisedKeys, "hash", bytes(32))
    read, true = replayed(start)
    assert read == true


def test_an_identity_takes_part_in_an_attempt_once_and_does_not_go_back(start: Start) -> None:
    round_ = start(5)
    identity = round_.identities[0]

    def again(**changes: Any) -> MaskedClient:
        cohort = replace(round_.cohort, **changes)
        return MaskedClient(cohort, "bank-1", round_.updates[0], identity, round_.directory)

    with pytest.raises(ProtocolError, match="already took part"):
        again()
    with pytest.raises(ProtocolError, match="already took part"):
        again(context=b"another model")
    again(attempt=2)
    again(round=2)
    for changes in ({"attempt": 3}, {"round": 2}):
        with pytest.raises(ProtocolError, match="already took part"):
            again(**changes)
    with pytest.raises(ProtocolError, match="session that began before"):
        again(session=bytes(16), round=9)
    again(session=b"\xff" * 16)


def around_of(round_: Any) -> tuple[int, ...]:
    return tuple(sum(1 << o for o in wire.around(round_.cohort, bank)) for bank in round_.everyone)


@pytest.mark.parametrize(
    "shape", [(3, 2, {}), (4, 3, {}), (5, 3, {}), (5, 4, {}), (7, 4, {"degree": 4, "share_threshold": 3})]
)
def test_real_banks_do_what_the_model_says(start: Start, shape: tuple[int, int, dict[str, int]]) -> None:
    """Random views at every stage: the same are refused, and the same kinds of shares are given out."""
    banks, threshold, changes = shape
    rng, seen = np.random.default_rng(banks * threshold), set()
    for _ in range(40):
        round_ = start(banks, threshold=threshold, changes=changes)
        corrupt = int(rng.integers(2)) << banks - 1
        planned = round_.cohort.plan
        rules = Rules(around_of(round_), planned.share_threshold, threshold, planned.witness_threshold, corrupt)
        seen |= Comparison(round_, rules, rng).run()
    assert seen == {(stage, verdict) for stage in wire.STAGES[1:] for verdict in (True, False)}


class Comparison:
    """Real banks and modelled ones, shown the same random things."""

    def __init__(self, round_: Any, rules: Rules, rng: np.random.Generator) -> None:
        self._round, self._rules, self._rng = round_, rules, rng
        self._share_shown = float(rng.choice([0.8, 0.97]))
        self._verdicts: set[tuple[str, bool]] = set()
        self._keys = dict(enumerate(rules.around))
        self._letters: dict[int, int] = {}
        self._told: dict[int, int] = {}

    def run(self) -> set[tuple[str, bool]]:
        self._round.advertise()
        for bank in members(self._rules.corrupt):
            self._round.share(bank, self._round.keys_around(bank))
        for stage in (self._share, self._mask, self._check, self._unmask):
            for bank in members(self._rules.honest):
                stage(bank)
        return self._verdicts

    def _most_of(self, banks: int) -> int:
        return sum(1 << bank for bank in members(banks) if self._rng.random() < self._share_shown)

    def _agrees(self, stage: str, expected: bool, act: Callable[[], None]) -> bool:
        try:
            act()
        except ProtocolError:
            assert not expected
        else:
            assert expected
        self._verdicts.add((stage, expected))
        return expected

    def _share(self, bank: int) -> None:
        everyone = (1 << len(self._rules.around)) - 1
        keys = self._most_of(everyone if self._rng.random() < 0.1 else self._rules.around[bank])
        expected = takes_keys(self._rules, bank, keys)
        rows = {other: self._round.keys[other] for other in members(keys)}
        accepted = self._agrees(wire.SHARE_KEYS, expected, lambda: self._round.share(bank, rows))
        self._keys[bank] = keys if accepted else 0

    def _mask(self, bank: int) -> None:
        mail = self._round.mail[bank]
        letters = self._most_of(union_of(mail))
        if self._keys[bank]:
            expected = takes_letters(self._rules, bank, self._keys[bank], letters)
            rows = {other: mail[other] for other in members(letters)}
            if self._agrees(wire.MASKED_INPUT, expected, lambda: self._round.mask(bank, rows)):
                self._letters[bank] = letters

    def _check(self, bank: int) -> None:
        everyone = (1 << len(self._rules.around)) - 1
        told = everyone & ~(int(self._rng.random() < 0.3) << int(self._rng.integers(len(self._rules.around))))
        told = self._most_of(told) if self._rng.random() < 0.2 else told
        if bank in self._letters:
            expected = signs(self._rules, bank, self._letters[bank], told)
            if self._agrees(wire.CONSISTENCY_CHECK, expected, lambda: self._round.check(bank, members(told))):
                self._told[bank] = told

    def _unmask(self, bank: int) -> None:
        if bank not in self._told:
            return
        told = self._told[bank]
        passed = {other: self._round.signatures[other] for other in self._told if self._rng.random() < 0.9}
        passed |= {other: self._round.signed_survivors(other, members(told)) for other in members(self._rules.corrupt)}
        passed |= {int(self._rng.integers(len(self._rules.around))): FORGED} if self._rng.random() < 0.2 else {}
        signers = self._rules.corrupt & union_of(passed)
        signers |= sum(1 << o for o in passed if self._told.get(o) == told and passed[o] == self._round.signatures[o])
        signers &= ~sum(1 << other for other, signature in passed.items() if signature == FORGED)
        given = reveals(self._rules, bank, self._keys[bank], self._letters[bank], told, signers)
        opened: dict[int, bytes] = {}

        def ask() -> None:
            answer = self._round.ask(bank, wire.UNMASK, encode_table(passed))
            opened.update(decode_table(answer, SHARE_BYTES, len(self._rules.around)))

        if self._agrees(wire.UNMASK, given is not None, ask) and given:
            held = self._round.clients[bank]._held
            for kind, owners in enumerate(given):
                assert owners == sum(1 << o for o, share in opened.items() if share == held[o][kind])


# The other lines of "broken by" in the custody report


def test_a_round_repeated_without_one_bank_gives_that_bank_away(start: Start) -> None:
    """Each attempt is honest by itself; banks cannot tell that the first one was opened."""
    first = start(5, 20)
    second = start(5, 20, identities=first.identities, attempt=2, updates=first.updates)
    whole = first.run()
    rest = second.run(lambda stage, bank, payload: None if bank == 3 else payload)
    assert (whole.total - rest.total).tolist() == first.updates[3].tolist()


@pytest.mark.parametrize(("banks", "threshold"), [(3, 2), (5, 3), (5, 4)])
def test_as_many_banks_as_the_threshold_read_a_bank_without_any_lie_about_models(
    start: Start, banks: int, threshold: int
) -> None:
    """They hold enough shares of both its secrets."""
    rules = complete(banks, threshold, threshold)
    lie, target = {0: View(rules.around[0], rules.corrupt, 0)}, 1
    round_ = start(banks, 20, threshold=threshold)
    assert read_sum(round_, rules, lie, target) == values_of(round_, target)


class Recorded:
    """A bank that is not there: what it once answered."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = iter(answers)

    def respond(self, request: bytes) -> bytes:
        return next(self._answers)


def test_whoever_reads_all_messages_opens_the_sum_as_the_aggregator_does(start: Start) -> None:
    """Why the custody report asks for a transport that encrypts: the aggregator's half needs no key of its own."""
    round_ = start(5, 20)
    tape: dict[int, list[bytes]] = {bank: [] for bank in round_.everyone}

    def record(stage: str, bank: int, message: bytes) -> bytes:
        tape[bank].append(message)
        return message

    total = round_.run_raw(record)
    banks = {name: Recorded(tape[bank]) for bank, name in enumerate(round_.cohort.banks)}
    observed = run_protocol(round_.cohort, masked_server(round_.cohort), banks, Transcript())
    assert observed.sum.total.tolist() == total.total.tolist()
