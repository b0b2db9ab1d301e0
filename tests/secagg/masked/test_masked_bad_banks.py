"""One bank that sends garbage, gives out wrong shares or lies about others: it is named, and the rest get their sum."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import ProtocolError
from secure_fl.secagg import plan
from secure_fl.secagg.attempts import Completed, attempt_sum
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.masked.deployment import MaskedDeployment
from secure_fl.secagg.masked.wire import CONSISTENCY_CHECK, MASKED_INPUT, SHARE_KEYS, STAGES, UNMASK
from secure_fl.secagg.messages import AGGREGATOR, HEADER_BYTES, Cohort, open_message, seal
from secure_fl.secagg.numbering import decode_table, encode_table
from secure_fl.secagg.protocol import Outcome, Party, run_protocol, to_blame
from secure_fl.secagg.transcript import Transcript

Spoil = Callable[[MaskedClient], Party]
PARAMETERS = 3


class Federation:
    """Banks that attempt a sum of fixed values; one of them is spoilt, in every attempt."""

    def __init__(self, banks: int, bad: Mapping[int, Spoil], threshold: int | None = None) -> None:
        self.plan = plan("masked", banks, PARAMETERS, 8, threshold)
        self.names = tuple(f"bank-{row + 1}" for row in range(banks))
        self.values = np.random.default_rng(banks).integers(0, 256, (banks, PARAMETERS))
        self._bad = {self.names[row]: spoil for row, spoil in bad.items()}
        self._deployed = MaskedDeployment(self.plan)  # type: ignore[arg-type]

    def sum(self) -> Completed:
        return attempt_sum(Cohort(self.plan, 1, self.names, (), b"model"), self._once)

    def _once(self, cohort: Cohort[Any], left_out: Collection[str]) -> Outcome:
        clients = {
            name: self._deployed.client(cohort, name, row) for name, row in zip(self.names, self.values, strict=True)
        }
        spoilt: dict[str, Any] = {name: spoil(clients[name]) for name, spoil in self._bad.items()}  # type: ignore[arg-type]
        server = self._deployed.server(cohort)
        return run_protocol(cohort, server, clients | spoilt, Transcript(), None, left_out)

    def is_exact_over(self, completed: Completed, without: Collection[int]) -> None:
        total = completed.outcome.sum
        rows = [row for row in range(len(self.names)) if row not in without]
        assert total.contributors == {self.names[row] for row in rows}
        assert total.total.tolist() == self.values[rows].sum(axis=0).tolist()


class Garbage:
    """Its answer at one stage is spoilt, but for the envelope."""

    def __init__(self, client: MaskedClient, stage: str, spoil: Callable[[bytes], bytes]) -> None:
        self._client, self._stage, self._spoil = client, stage, spoil

    def respond(self, request: bytes) -> bytes:
        client = self._client
        stage = open_message(client._cohort, request, recipient=client._bank, sender=AGGREGATOR).stage
        answer = client.respond(request)
        if stage != self._stage:
            return answer
        return seal(client._cohort, stage, client._bank, AGGREGATOR, self._spoil(answer[HEADER_BYTES:]))


def noise(payload: bytes) -> bytes:
    return np.random.default_rng(len(payload)).bytes(len(payload))


KINDS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda payload: b"",
    "noise": noise,
    "zeros": lambda payload: bytes(len(payload)),
    "too long": lambda payload: payload + payload[-1:],
    "too short": lambda payload: payload[:-1],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("banks", [3, 4, 5])
def test_garbage_of_each_bank_in_each_stage_is_its_dropout(banks: int, stage: str, kind: str) -> None:
    """Values may be any, so a masked input of the right length is no garbage."""
    if stage == MASKED_INPUT and kind in ("noise", "zeros"):
        return
    for bad in range(banks):
        federation = Federation(banks, {bad: lambda client: Garbage(client, stage, KINDS[kind])})
        completed = federation.sum()
        federation.is_exact_over(completed, {bad} if stage in STAGES[:3] else ())
        if (stage, kind) == (UNMASK, "nothing") or (stage, kind) in SIGNED_NOTHING:
            continue
        assert completed.refused.keys() == {federation.names[bad]}


SIGNED_NOTHING = {(CONSISTENCY_CHECK, "noise"), (CONSISTENCY_CHECK, "zeros")}
"""A signature that does not hold stops nobody and is not looked at by the aggregator; its bank still opens shares."""


# Wrong secrets and shares


class Rewritten:
    """A client whose letters or opened shares are rewritten by a function of (recipient or owner, share)."""

    def __init__(self, client: MaskedClient, stage: str, rewrite: Callable[[int, bytes], bytes]) -> None:
        self._garbage = Garbage(client, stage, self._rows)
        self._width = wire.SEALED_SHARES_BYTES if stage == SHARE_KEYS else SHARE_BYTES
        self._rewrite = rewrite

    def _rows(self, payload: bytes) -> bytes:
        rows = decode_table(payload, self._width, 100)
        return encode_table({number: self._rewrite(number, row) for number, row in rows.items()})

    def respond(self, request: bytes) -> bytes:
        return self._garbage.respond(request)


def cases(banks: int) -> list[tuple[int, tuple[int, ...]]]:
    """The first or the last bank, and some of its neighbours, in every way."""
    neighbours = {bad: [bank for bank in range(banks) if bank != bad] for bad in (0, banks - 1)}
    return [
        (bad, chosen)
        for bad, others in neighbours.items()
        for size in range(1, banks)
        for chosen in itertools.combinations(others, size)
    ]


@pytest.mark.parametrize("banks", [3, 4, 5])
def test_letters_that_cannot_be_opened_take_their_sender_out(banks: int) -> None:
    """Where several banks blame it. Where one does, one of the two lies and both go, if enough are left without."""
    for bad, chosen in cases(banks):

        def spoil(client: MaskedClient, chosen: tuple[int, ...] = chosen) -> Party:
            return Rewritten(client, SHARE_KEYS, lambda to, row: noise(row) if to in chosen else row)

        federation = Federation(banks, {bad: spoil})
        out = {bad} if len(chosen) > 1 else {bad, *chosen}
        if banks - len(out) < federation.plan.threshold:
            out = {bad}  # too few would be left: the one that is blamed goes first
        completed = federation.sum()
        federation.is_exact_over(completed, out)
        assert completed.attempts == 2
        assert completed.refused.keys() == {federation.names[bank] for bank in out}


class WrongShares(MaskedClient):
    """It seals shares of nothing for some neighbours."""

    wrong_for: tuple[int, ...] = ()

    def _encrypt_to(self, other: int, shares: bytes) -> bytes:
        return super()._encrypt_to(other, bytes([other]) * len(shares) if other in self.wrong_for else shares)


@pytest.mark.parametrize("banks", [3, 4, 5])
def test_shares_of_nothing_for_one_some_or_all_neighbours(banks: int) -> None:
    """As long as a threshold of shares is right the sum opens; else its bank is named, and left out of the next."""
    for bad, chosen in cases(banks):

        def spoil(client: MaskedClient, chosen: tuple[int, ...] = chosen) -> Party:
            client.__class__, client.wrong_for = WrongShares, chosen  # type: ignore[attr-defined]
            return client

        federation = Federation(banks, {bad: spoil})
        completed = federation.sum()
        enough = banks - len(chosen) >= federation.plan.threshold
        federation.is_exact_over(completed, () if enough else {bad})
        assert completed.attempts == (1 if enough else 2)
        named = {federation.names[bank] for bank in (chosen if enough else [bad])}
        assert completed.refused.keys() == named
        assert all(federation.names[bad] in why for why in completed.refused.values())


@pytest.mark.parametrize("banks", [3, 4, 5])
@pytest.mark.parametrize("part", ["_seed", "_mask"])
def test_secrets_that_were_not_announced_take_their_bank_out(banks: int, part: str) -> None:
    """The mask key is opened, and looked at, only where its bank vanishes."""

    class Other(Garbage):
        def respond(self, request: bytes) -> bytes:
            answer = super().respond(request)
            if self._client._answered == 1:
                setattr(self._client, part, bytes(32) if part == "_seed" else AgreementKey())
            if self._client._answered == 3 and part == "_mask":
                raise ConnectionError("gone before its input arrived")
            return answer

    federation = Federation(banks, {1: lambda client: Other(client, "", noise)})
    completed = federation.sum()
    federation.is_exact_over(completed, {1})
    assert completed.attempts == 2
    assert completed.refused.keys() == {"bank-2"}


@pytest.mark.parametrize("part", ["channel", "mask", "both"])
@pytest.mark.parametrize("copied", ["from another bank", "from itself", "written otherwise"])
def test_a_copied_key_is_noticed_by_everybody(part: str, copied: str) -> None:
    """By the aggregator before it forwards it: whoever comes second is named."""
    first: dict[int, wire.AdvertisedKeys] = {}

    def remember(client: MaskedClient) -> Party:
        first[client._cohort.attempt] = client._advertised
        return client

    def copy(client: MaskedClient) -> Party:
        own = client._advertised
        source = first[client._cohort.attempt] if copied != "from itself" else own
        changes = {"channel": source.channel, "mask": source.mask} if part == "both" else {part: getattr(source, part)}
        if copied == "written otherwise":  # X25519 does not look at the highest bit
            changes = {name: key[:-1] + bytes([key[-1] | 0x80]) for name, key in changes.items()}
        if copied == "from itself":
            changes = {"channel": own.mask} if part == "channel" else {"mask": own.channel}
        client._advertised = wire.AdvertisedKeys(**{**vars(own), **changes})
        return client

    federation = Federation(5, {0: remember, 3: copy})
    completed = federation.sum()
    federation.is_exact_over(completed, {3})
    assert completed.refused.keys() == {"bank-4"}


# Banks that lie about others


class Complaint:
    """It blames others at one stage, and the others did nothing."""

    def __init__(self, client: MaskedClient, stage: str, accused: Collection[str]) -> None:
        self._client, self._stage, self._accused = client, stage, accused

    def respond(self, request: bytes) -> bytes:
        client = self._client
        stage = open_message(client._cohort, request, recipient=client._bank, sender=AGGREGATOR).stage
        if stage == self._stage:
            raise ProtocolError("I cannot go on; make a new attempt", dict.fromkeys(self._accused, "it is bad"))
        return client.respond(request)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_bank_that_blames_others_without_reason_goes_with_one_of_them_at_most(stage: str, number: int) -> None:
    """One against one, both go; who blames more than one stands alone against them."""
    accused = [f"bank-{row + 1}" for row in range(5) if row != 2][:number]
    federation = Federation(5, {2: lambda client: Complaint(client, stage, accused)})
    completed = federation.sum()
    if stage == UNMASK:  # enough others open their shares
        federation.is_exact_over(completed, ())
    else:
        federation.is_exact_over(completed, {0, 2} if number == 1 else {2})
    assert completed.attempts == (1 if stage == UNMASK else 2)
    assert "bank-3" in completed.refused


@pytest.mark.parametrize("accused", ["nobody", AGGREGATOR, "bank-3"])
def test_a_bank_that_blames_no_other_bank_goes_alone(accused: str) -> None:
    federation = Federation(5, {2: lambda client: Complaint(client, MASKED_INPUT, [accused])})
    completed = federation.sum()
    federation.is_exact_over(completed, {2})
    assert completed.refused.keys() == {"bank-3"}


def test_a_liar_beside_one_who_sends_garbage_saves_neither() -> None:
    """bank-1 sends letters that nobody can open; bank-5 blames bank-2 and keeps quiet about bank-1."""
    federation = Federation(
        7,
        {
            0: lambda client: Rewritten(client, SHARE_KEYS, lambda to, row: noise(row)),
            4: lambda client: Complaint(client, MASKED_INPUT, ["bank-2"]),
        },
        threshold=4,
    )
    completed = federation.sum()
    federation.is_exact_over(completed, {0, 1, 4})
    assert completed.refused.keys() >= {"bank-1", "bank-5"}


@pytest.mark.parametrize("banks", [3, 4, 5, 6])
def test_whom_to_blame_leaves_nobody_who_quarrels_with_anybody_left(banks: int) -> None:
    """Any quarrels among few banks; and one bank that lies never takes more than one other one with it."""
    names = [f"bank-{row + 1}" for row in range(banks)]
    pairs = list(itertools.permutations(names, 2))
    rng = np.random.default_rng(banks)
    for _ in range(200):
        chosen = [pair for pair in pairs if rng.random() < 0.2]
        blames = {a: {b: "why" for other, b in chosen if other == a} for a, _ in chosen}
        out = to_blame(blames)
        assert all({a, b} & out.keys() for a, b in chosen)
        assert all(out.values())
    for liar in names:
        for size in range(1, banks):
            for accused in itertools.combinations([name for name in names if name != liar], size):
                out = to_blame({liar: dict.fromkeys(accused, "why")})
                assert out.keys() == {liar} if size > 1 else out.keys() == {liar, *accused}
