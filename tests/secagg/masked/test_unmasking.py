"""Taking off the masks at the end, and the canary: what the aggregator's half ever holds of the banks' secrets."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import DropoutError, ProtocolError
from secure_fl.secagg import ring
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.shamir import open_secret, split
from secure_fl.secagg.masked import unmasking, wire
from secure_fl.secagg.masked.unmasking import take_off_masks
from secure_fl.secagg.masked.wire import CONSISTENCY_CHECK, MASKED_INPUT, UNMASK

Start = Callable[..., Any]
Shares = dict[int, dict[int, bytes]]


class End:
    """The last step on its own: masked inputs of some of five banks, and as many shares as a test likes."""

    def __init__(self, round_: Any, lost: set[int]) -> None:
        round_.play(CONSISTENCY_CHECK)
        self.round, self.survivors = round_, set(round_.everyone) - lost
        self.sharing = set(round_.everyone)
        self.keys = {bank: wire.AdvertisedKeys.from_bytes(keys) for bank, keys in round_.keys.items()}
        self.total = ring.zeros(round_.cohort.plan)
        for bank in self.survivors:
            self.total += ring.from_bytes(round_.cohort.plan, memoryview(round_.inputs[bank]))

    def shares(self, holders: Any = range(1, 6)) -> Shares:
        threshold = self.round.cohort.plan.share_threshold
        clients = self.round.clients
        return {
            bank: split(
                clients[bank]._seed if bank in self.survivors else clients[bank]._mask.secret(), holders, threshold
            )
            for bank in self.round.everyone
        }

    def take_off(self, shares: Shares) -> Any:
        take_off_masks(self.round.cohort, self.total, self.keys, self.sharing, self.survivors, shares)
        return ring.to_integers(self.round.cohort.plan, self.total)

    @property
    def expected(self) -> list[int]:
        total: list[int] = self.round.updates[sorted(self.survivors)].sum(axis=0).tolist()
        return total


every_loss = pytest.mark.parametrize("lost", [set(), {0}, {4}, {1, 3}])


@every_loss
@pytest.mark.parametrize("bits", [8, 20, 24])
def test_what_is_left_is_the_sum_of_the_survivors(start: Start, lost: set[int], bits: int) -> None:
    end = End(start(5, 20, bits), lost)
    assert end.take_off(end.shares()).tolist() == end.expected


@every_loss
@pytest.mark.parametrize("holders", [(1, 2, 3), (3, 4, 5), (2, 4, 5, 1)])
def test_any_threshold_of_holders_will_do(start: Start, lost: set[int], holders: tuple[int, ...]) -> None:
    end = End(start(5), lost)
    assert end.take_off(end.shares(holders)).tolist() == end.expected


@pytest.mark.parametrize("bank", range(5))
def test_too_few_shares_of_one_bank_are_an_error_that_names_it(start: Start, bank: int) -> None:
    end = End(start(5), {1, 3})
    shares = end.shares()
    shares[bank] = dict(list(shares[bank].items())[:2])
    with pytest.raises(DropoutError, match=f"only 2 shares of a secret of bank-{bank + 1} "):
        end.take_off(shares)


@pytest.mark.parametrize("bank", range(5))
def test_no_shares_of_one_bank_are_an_error_that_names_it(start: Start, bank: int) -> None:
    end = End(start(5), {1, 3})
    shares = end.shares()
    del shares[bank]
    with pytest.raises(DropoutError, match=f"only 0 shares of a secret of bank-{bank + 1} "):
        end.take_off(shares)


@pytest.mark.parametrize("bank", range(5))
def test_shares_of_another_secret_are_an_error_that_names_the_bank(start: Start, bank: int) -> None:
    end = End(start(5), {1, 3})
    wrong = split(bytes(range(32)), range(1, 6), 3)
    with pytest.raises(ProtocolError, match=f"shares of bank-{bank + 1} do not open"):
        end.take_off(end.shares() | {bank: wrong})


def test_a_bank_that_never_shared_is_not_opened(start: Start) -> None:
    end = End(start(5), {4})
    end.sharing -= {4}
    shares = end.shares()
    del shares[4]
    assert end.take_off(shares).tolist() != end.expected  # the others did mask with it, in this made-up case


# The canary

Walk = list[object]


def reachable(*roots: object) -> Walk:
    """Everything that suspended generators and other objects lead to, without modules and classes."""
    seen: dict[int, object] = {}
    todo: list[object] = list(roots)
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, (ModuleType, type, BuiltinFunctionType)):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, FunctionType):
            todo += [thing.__closure__, thing.__defaults__, thing.__kwdefaults__]
            continue
        todo += gc.get_referents(thing)
        frame = getattr(thing, "gi_frame", None)
        if frame is not None:
            todo += frame.f_locals.values()
        if isinstance(thing, memoryview):
            todo.append(thing.obj)
    return list(seen.values())


def found(secret: bytes, things: Walk) -> bool:
    return any(secret in bytes(t) for t in things if isinstance(t, (bytes, bytearray, memoryview)))


def never_shown(round_: Any) -> dict[str, bytes]:
    """What no aggregator may ever hold."""
    clients = enumerate(round_.clients)
    return {f"channel key of {bank}": client._channel.secret() for bank, client in clients} | {
        f"identity of {bank}": key._key._key.private_bytes_raw() for bank, key in enumerate(round_.identities)
    }


def secrets_of(round_: Any) -> dict[str, bytes]:
    return {
        **{f"seed of {bank}": client._seed for bank, client in enumerate(round_.clients)},
        **{f"mask key of {bank}": client._mask.secret() for bank, client in enumerate(round_.clients)},
    }


class Wires:
    """Replies that look around in the server half whenever it asks for the next one."""

    def __init__(self, server: Any, forbidden: dict[str, bytes], replies: list[tuple[str, bytes]]) -> None:
        self._server, self._forbidden, self._replies = server, forbidden, iter(replies)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return self

    def __next__(self) -> tuple[str, bytes]:
        things = reachable([v for v in self._server.gi_frame.f_locals.values() if v is not self])
        assert not [name for name, secret in self._forbidden.items() if found(secret, things)]
        return next(self._replies)


def test_the_walk_finds_a_planted_secret(start: Start) -> None:
    round_ = start()
    secret = round_.clients[0]._seed

    def innocent(planted: object) -> Iterator[int]:
        yield 1
        print(planted)  # noqa: T201

    generator = innocent({"deep": [(memoryview(b"head" + secret + b"tail"),)]})
    next(generator)
    assert found(secret, reachable(generator))
    assert not found(secret, reachable(start().server))


@pytest.mark.parametrize("lost", [set(), {3}, {0, 4}])
def test_the_aggregators_half_never_holds_both_secrets_of_a_bank(
    start: Start, lost: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    round_ = start(5)
    forbidden = never_shown(round_) | secrets_of(round_)
    opened: list[bytes] = []

    def watched(*arguments: Any) -> tuple[bytes, frozenset[int]]:
        secret, wrong = open_secret(*arguments)
        opened.append(secret)
        return secret, wrong

    monkeypatch.setattr(unmasking, "open_secret", watched)
    server, gone = round_.server, set[str]()
    step = next(server)
    while True:
        gone |= {f"bank-{bank + 1}" for bank in lost} if step.name == MASKED_INPUT else set()
        assert not [name for name, secret in forbidden.items() if found(secret, reachable(server, step))]
        replies = [
            (name, round_.clients[round_.cohort.banks.index(name)].respond(request))
            for name, request in step.requests.items()
            if name not in gone
        ]
        if step.name == UNMASK:
            # Of each bank there is one kind of share among all that arrived.
            for owner, client in enumerate(round_.clients):
                kinds = {
                    kind
                    for holder in set(round_.everyone) - lost
                    for kind in (0, 1)
                    if any(round_.clients[holder]._held[owner][kind] in message for _, message in replies)
                }
                assert kinds == {0 if owner in lost else 1}, client
        try:
            step = server.send(Wires(server, forbidden, replies))
        except StopIteration as finished:
            total = finished.value
            break
    assert round_.is_exact(total)
    expected = {round_.clients[b]._mask.secret() if b in lost else round_.clients[b]._seed for b in round_.everyone}
    assert set(opened) == expected
    assert not [name for name, secret in forbidden.items() if found(secret, reachable(total, server))]


def test_while_masks_come_off_nothing_else_is_within_reach(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each secret that is opened: what the aggregator's frames hold is that secret and those opened before it."""
    round_ = start(5)
    allowed: set[bytes] = set()
    everything = never_shown(round_) | secrets_of(round_)
    held: dict[str, Any] = {}
    take_off = unmasking.take_off_masks

    def watched(*arguments: Any) -> dict[str, str]:
        held["arguments"] = arguments
        return take_off(*arguments)

    def look(shares: Any, *arguments: Any) -> tuple[bytes, frozenset[int]]:
        things = reachable(held["arguments"], shares)
        assert not [name for name, secret in everything.items() if secret not in allowed and found(secret, things)]
        secret, wrong = open_secret(shares, *arguments)
        allowed.add(secret)
        return secret, wrong

    monkeypatch.setattr("secure_fl.secagg.masked.server.take_off_masks", watched)
    monkeypatch.setattr(unmasking, "open_secret", look)
    total = round_.run(lambda stage, bank, payload: None if (stage, bank) == (MASKED_INPUT, 2) else payload)
    assert round_.is_exact(total)
    assert allowed == {round_.clients[b]._seed for b in (0, 1, 3, 4)} | {round_.clients[2]._mask.secret()}


def test_opened_keys_are_checked_before_they_are_used(start: Start) -> None:
    """A secret that opens to another public key takes off no mask at all."""
    end = End(start(5), {4})
    before = end.total.copy()
    wrong = {bank: split(AgreementKey().secret(), range(1, 6), 3) for bank in range(5)}
    with pytest.raises(ProtocolError):
        end.take_off(wrong)
    assert np.array_equal(end.total, before)
