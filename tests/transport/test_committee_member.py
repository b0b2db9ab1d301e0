"""A committee makes its key by way of a gateway: what the gateway alters, swaps or brings back is refused by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES, AgreementKey, SigningKey
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.turns import Turns
from secure_fl.settings import Experiment
from secure_fl.transport.agreement import Agreement, joint_key_bytes
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.halves import BankHalves
from secure_fl.transport.holder import HolderParty
from secure_fl.transport.key_words import HASH_BYTES, join_statement, pack_rows, read_joined, seed_of, unpack_rows
from secure_fl.transport.orders import ASK, KEY_ACCEPT, KEY_COMMIT, KEY_JOIN, KEY_PUBLISH, About, Order
from secure_fl.transport.roster import Roster

NAMES = ("key-holder-1", "key-holder-2", "key-holder-3")
SETTINGS = Experiment(scheme="bfv", hidden="none", dataset="simulated", holders=3, quorum=2)
Lie = Callable[[str, dict[str, bytes]], Mapping[str, bytes]]
"""From a member, and what all said to the last order, to what the gateway shows it of that."""
STAGES = (KEY_JOIN, KEY_COMMIT, KEY_PUBLISH, KEY_ACCEPT)


@pytest.fixture(scope="module")
def roster(tmp_path_factory: pytest.TempPathFactory) -> Roster:
    folder = tmp_path_factory.mktemp("committee") / "c"
    make_certificates(folder, SETTINGS, ["localhost"])
    for name in NAMES:
        OWN_KEYS[name] = Credentials.read(folder / name, "holder").own_key()
    return Credentials.read(folder / "bank-1", "bank").roster


OWN_KEYS: dict[str, bytes] = {}


def started(roster: Roster, name: str) -> HolderParty:
    return HolderParty(roster, name, OWN_KEYS[name], Turns())


@pytest.fixture
def members(roster: Roster) -> dict[str, HolderParty]:
    return {name: started(roster, name) for name in NAMES}


def honest(_: str, said: dict[str, bytes]) -> dict[str, bytes]:
    return said


def made(members: Mapping[str, HolderParty], lies: Mapping[str, Lie] | None = None, until: str = KEY_ACCEPT) -> Any:
    """What members say to each order, up to one of them; `lies`: what the gateway shows with an order."""
    said: dict[str, dict[str, bytes]] = {}
    before: dict[str, bytes] = {}
    for kind in STAGES[: STAGES.index(until) + 1]:
        shown = {name: (lies or {}).get(kind, honest)(name, dict(before)) for name in members}
        before = said[kind] = {
            name: member(Order(1, kind, body=pack_rows(shown[name].values()))) for name, member in members.items()
        }
    return said


def seed_and_key(roster: Roster, members: Mapping[str, HolderParty]) -> tuple[bytes, dict[str, bytes], list[bytes]]:
    """What banks are handed, as the gateway puts it together: seed, signatures, what was published."""
    said = made(members)
    signatures = {name: row[HASH_BYTES:] for name, row in said[KEY_ACCEPT].items()}
    return seed_of(roster, read_joined(roster, said[KEY_JOIN])), signatures, list(said[KEY_PUBLISH].values())


def bank(roster: Roster) -> BankHalves:
    return BankHalves(roster, "bank-1", Identity())


def test_a_key_that_all_signed_is_taken_and_encrypts(roster: Roster, members: dict[str, HolderParty]) -> None:
    seed, signatures, published = seed_and_key(roster, members)
    agreed, halves = Agreement(SETTINGS), bank(roster)
    cohort = agreed.cohort(bytes(16), 1, 40, b"model")
    with pytest.raises(ProtocolError, match="bank-1 has no public key"):
        halves.client(cohort, np.zeros(40, dtype=np.int64))
    body = pack_rows([seed, *signatures.values(), *published])
    halves.take_key(agreed.plan, body)
    assert len(halves.key) == 64
    halves.client(cohort, np.zeros(40, dtype=np.int64))
    assert len(body) <= joint_key_bytes(agreed.plan)  # type: ignore[arg-type]


@pytest.mark.parametrize(("holders", "quorum"), [(2, 2), (5, 3), pytest.param(7, 4, marks=pytest.mark.slow)])
def test_no_key_is_larger_than_parties_take(holders: int, quorum: int, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"holders": holders, "quorum": quorum})
    make_certificates(tmp_path / "c", settings, ["localhost"])
    names = tuple(f"key-holder-{number + 1}" for number in range(holders))
    read = {name: Credentials.read(tmp_path / "c" / name, "holder") for name in names}
    members = {name: HolderParty(each.roster, name, each.own_key(), Turns()) for name, each in read.items()}
    agreed, said = Agreement(settings), made(members, until=KEY_PUBLISH)[KEY_PUBLISH]
    assert max(map(len, said.values())) <= agreed.largest_answer
    assert sum(map(len, said.values())) <= joint_key_bytes(agreed.plan)  # type: ignore[arg-type]
    assert agreed.largest_order("bank-1") >= joint_key_bytes(agreed.plan)  # type: ignore[arg-type]


def of_the_gateway(_: str, said: dict[str, bytes]) -> dict[str, bytes]:
    """A key of its own, to which the second member's parts would be sealed."""
    return said | {"key-holder-2": said["key-holder-2"][:SIGNATURE_BYTES] + AgreementKey().public}


def test_a_key_of_the_gateway_s_own_is_not_sealed_to(members: dict[str, HolderParty]) -> None:
    with pytest.raises(MessageError, match="a signature of key-holder-2 does not verify"):
        made(members, {KEY_COMMIT: of_the_gateway})


def test_a_key_under_another_signature_is_not_sealed_to(roster: Roster, members: dict[str, HolderParty]) -> None:
    """The gateway's, or another member's."""
    for signing in (SigningKey(), SigningKey(OWN_KEYS["key-holder-1"])):
        public = AgreementKey().public
        row = signing.sign(join_statement(roster, "key-holder-2", public)) + public
        with pytest.raises(MessageError, match="a signature of key-holder-2 does not verify"):
            made(members, {KEY_COMMIT: lambda _, said, row=row: said | {"key-holder-2": row}})  # type: ignore[misc]


def test_a_member_takes_no_part_under_a_key_that_it_had_before(roster: Roster, members: dict[str, HolderParty]) -> None:
    before = started(roster, "key-holder-2")(Order(1, KEY_JOIN))
    with pytest.raises(MessageError, match="key-holder-2 has joined another key making"):
        made(members, {KEY_COMMIT: lambda _, said: said | {"key-holder-2": before}})


def test_members_that_are_shown_different_keys_end_with_none(roster: Roster, members: dict[str, HolderParty]) -> None:
    """An earlier key of the second member, shown to the others alone: they sign no seed that it signs."""
    before = started(roster, "key-holder-2")(Order(1, KEY_JOIN))

    def split(name: str, said: dict[str, bytes]) -> dict[str, bytes]:
        return said if name == "key-holder-2" else said | {"key-holder-2": before}

    with pytest.raises(MessageError, match="key-holder-2"):
        made(members, {KEY_COMMIT: split})


def altered(name: str) -> Lie:
    """One bit of what a member said."""
    return lambda _, said: said | {name: bytes([said[name][0] ^ 1]) + said[name][1:]}


@pytest.mark.parametrize("kind", [KEY_PUBLISH, KEY_ACCEPT])
@pytest.mark.parametrize("name", ["key-holder-1", "key-holder-2"])
def test_what_the_gateway_alters_is_not_accepted(members: dict[str, HolderParty], kind: str, name: str) -> None:
    with pytest.raises(MessageError, match=name):
        made(members, {kind: altered(name)})


@pytest.mark.parametrize("kind", [KEY_COMMIT, KEY_PUBLISH, KEY_ACCEPT])
def test_what_is_cut_or_missing_is_refused(members: dict[str, HolderParty], kind: str) -> None:
    cuts: list[Lie] = [
        lambda _, said: {name: row[:-1] for name, row in said.items()},
        lambda _, said: dict.fromkeys(said, b""),
        lambda _, said: said | {"key-holder-1": said["key-holder-1"] + b"x"},
        lambda _, said: said | {"key-holder-4": b""},
        lambda _, said: {},
    ]
    for cut in cuts:
        with pytest.raises(MessageError):
            made(members, {kind: cut})


@pytest.mark.parametrize("kind", [KEY_COMMIT, KEY_PUBLISH, KEY_ACCEPT])
def test_orders_out_of_turn_are_refused(roster: Roster, kind: str) -> None:
    members = {name: started(roster, name) for name in NAMES}
    said = made(members)
    again = Order(2, kind, body=pack_rows(said[STAGES[STAGES.index(kind) - 1]].values()))
    for member in members.values():
        with pytest.raises(MessageError, match="key making"):
            member(again)
    with pytest.raises(MessageError, match="knows no order"):
        members["key-holder-1"](Order(3, "key_parts"))


def test_a_bank_takes_no_joint_key_that_one_did_not_sign(roster: Roster, members: dict[str, HolderParty]) -> None:
    seed, signatures, published = seed_and_key(roster, members)
    plan, other = Agreement(SETTINGS).plan, dataclasses.replace(roster, federation="another")
    swapped = dict(zip(NAMES, reversed(signatures.values()), strict=True))
    for lie in (
        [seed, *{**signatures, "key-holder-3": bytes(SIGNATURE_BYTES)}.values(), *published],
        [seed, *swapped.values(), *published],
        [bytes(32), *signatures.values(), *published],
        [seed, *signatures.values(), published[0][:40] + b"lie" + published[0][43:], *published[1:]],
        [seed, *signatures.values(), *reversed(published)],
        [seed, *signatures.values()],
        [],
    ):
        with pytest.raises(MessageError):
            bank(roster).take_key(plan, pack_rows(lie))
    whole = pack_rows([seed, *signatures.values(), *published])
    with pytest.raises(MessageError, match="a signature of key-holder-1"):
        bank(other).take_key(plan, whole)
    for cut in (whole[:-1], whole[:20], whole + b"x"):
        with pytest.raises(MessageError):
            bank(roster).take_key(plan, cut)


def asked(key: object) -> Order:
    cohort = Agreement(SETTINGS).cohort(bytes(16), 1, 40, b"model")
    return Order(2, ASK, About.of(cohort), {"key": key}, b"")


def name_of(roster: Roster, members: Mapping[str, HolderParty]) -> str:
    """What orders call a key that is made now."""
    seed, signatures, published = seed_and_key(roster, members)
    halves = bank(roster)
    halves.take_key(Agreement(SETTINGS).plan, pack_rows([seed, *signatures.values(), *published]))
    return halves.key


def test_a_member_that_was_started_anew_has_no_part_and_says_so(
    roster: Roster, members: dict[str, HolderParty]
) -> None:
    key = name_of(roster, members)
    for name in NAMES:
        with pytest.raises(MessageError, match="truncated"):
            members[name](asked(key))
        for other in (key, None, 7, ["x"]):
            with pytest.raises(ProtocolError, match=f"{name} was started anew, and has no part of this key"):
                started(roster, name)(asked(other))


def test_the_key_in_use_stays_until_a_sum_is_asked_for_under_the_next(
    roster: Roster, members: dict[str, HolderParty]
) -> None:
    def opens(key: str) -> bool:
        """As far as the request, which is none."""
        with pytest.raises(ProtocolError, match=r"truncated|no part of this key") as found:
            members["key-holder-1"](asked(key))
        return "truncated" in str(found.value)

    first = name_of(roster, members)
    assert opens(first)
    second, third = name_of(roster, members), name_of(roster, members)
    made(members, until=KEY_PUBLISH)
    assert not opens(second)
    assert opens(third)
    assert not opens(first)
    fourth = name_of(roster, members)
    assert opens(third)
    assert not opens(fourth)


def test_what_a_member_is_made_of_is_not_shown(members: dict[str, HolderParty]) -> None:
    made(members)
    assert repr(members["key-holder-1"]) == "HolderParty('key-holder-1')"
    assert repr(members["key-holder-1"]._member) == "CommitteeMember('key-holder-1')"


@pytest.mark.parametrize("rows", [[], [b""], [b"a", b"", b"bc"]])
def test_rows_arrive_as_they_were_sent(rows: list[bytes]) -> None:
    assert unpack_rows(pack_rows(rows), len(rows)) == rows
    for count in (len(rows) - 1, len(rows) + 1):
        if count >= 0:
            with pytest.raises(MessageError):
                unpack_rows(pack_rows(rows), count)
