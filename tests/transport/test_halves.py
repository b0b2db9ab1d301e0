"""The key authority's public key counts with its signature alone, for this roster, and whoever carries it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError, MessageError, ProtocolError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES, SigningKey
from secure_fl.secagg.he.secret_keys import new_secret_key
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.turns import Turns
from secure_fl.settings import Experiment
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.halves import BankHalves
from secure_fl.transport.holder import HolderParty
from secure_fl.transport.orders import ASK, PUBLIC_KEY, TAKE_KEY, About, Order
from secure_fl.transport.roster import Roster
from secure_fl.transport.server_halves import key_of, key_statement, server_half


@pytest.fixture(scope="module", params=["ckks", "bfv", "rlwe"])
def authority(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Credentials:
    folder = tmp_path_factory.mktemp("halves") / "c"
    settings = Experiment(scheme=request.param, hidden="none", dataset="simulated")
    make_certificates(folder, settings, ["localhost"])
    return Credentials.read(folder / "key-authority", "holder")


@pytest.fixture(scope="module")
def signed(authority: Credentials) -> bytes:
    holder = HolderParty(authority.roster, "key-authority", authority.own_key(), Turns())
    assert "Secret" not in repr(holder)
    return holder(Order(1, PUBLIC_KEY))


def plan(authority: Credentials) -> HePlan:
    agreed = Agreement(authority.roster.settings).plan
    assert isinstance(agreed, HePlan)
    return agreed


def halves(roster: Roster) -> BankHalves:
    return BankHalves(roster, "bank-1", Identity())


def test_a_signed_key_is_taken_and_encrypts(authority: Credentials, signed: bytes) -> None:
    bank, agreed = halves(authority.roster), Agreement(authority.roster.settings)
    cohort = agreed.cohort(bytes(16), 1, plan(authority).parameters, b"model")
    values = [0] * plan(authority).parameters
    with pytest.raises(ProtocolError, match="bank-1 has no public key"):
        bank.client(cohort, np.array(values))
    assert bank.key == ""
    bank.take_key(plan(authority), signed)
    assert bank.key == key_of(signed)
    bank.client(cohort, np.array(values))


def test_a_key_of_the_gateway_s_own_making_is_refused(authority: Credentials, signed: bytes) -> None:
    other = new_secret_key(plan(authority).parameters_of_context).public_key()
    gateway = SigningKey()
    for lie in (
        signed[:SIGNATURE_BYTES] + other,
        gateway.sign(key_statement(authority.roster, other)) + other,
        bytes(SIGNATURE_BYTES) + other,
    ):
        with pytest.raises(MessageError, match="key-authority"):
            halves(authority.roster).take_key(plan(authority), lie)


@pytest.mark.parametrize("cut", [0, 10, SIGNATURE_BYTES, SIGNATURE_BYTES + 5, -1])
def test_a_key_that_is_cut_is_refused(authority: Credentials, signed: bytes, cut: int) -> None:
    with pytest.raises(MessageError):
        halves(authority.roster).take_key(plan(authority), signed[:cut])


def test_a_key_that_was_signed_for_another_roster_is_refused(authority: Credentials, signed: bytes) -> None:
    other = dataclasses.replace(authority.roster, federation="another")
    with pytest.raises(MessageError):
        halves(other).take_key(plan(authority), signed)


def test_a_roster_without_a_key_authority_accepts_no_key(authority: Credentials, signed: bytes) -> None:
    members = tuple(member for member in authority.roster.members if member.role != "holder")
    with pytest.raises(ConfigurationError, match="key-authority is not in the roster"):
        halves(dataclasses.replace(authority.roster, members=members)).take_key(plan(authority), signed)


@pytest.mark.parametrize("order", [Order(1, TAKE_KEY), Order(1, "secret_key"), Order(1, ASK), Order(1, ASK, body=b"x")])
def test_a_key_authority_knows_no_order_but_its_own(authority: Credentials, order: Order) -> None:
    holder = HolderParty(authority.roster, "key-authority", authority.own_key(), Turns())
    with pytest.raises(ProtocolError):
        holder(order)


def test_a_key_authority_that_was_started_anew_opens_no_sum_under_the_key_before(authority: Credentials) -> None:
    """What its new key would make of it is no sum; that this is always out of range is not relied on."""
    before, after = (
        HolderParty(authority.roster, "key-authority", authority.own_key(), Turns()) for _ in ("before", "after")
    )
    key = key_of(before(Order(1, PUBLIC_KEY)))
    cohort = Agreement(authority.roster.settings).cohort(bytes(16), 1, 10, b"model")
    asked = Order(2, ASK, About.of(cohort), {"key": key}, b"")
    with pytest.raises(MessageError, match="truncated"):
        before(asked)
    for facts in ({"key": key}, {}, {"key": None}):
        with pytest.raises(ProtocolError, match="another key"):
            after(dataclasses.replace(asked, facts=facts))


def test_a_scheme_that_is_not_known_is_not_taken_for_another(authority: Credentials) -> None:
    agreed = Agreement(authority.roster.settings)
    cohort = agreed.cohort(bytes(16), 1, plan(authority).parameters, b"model")
    strange = dataclasses.replace(cohort, plan=dataclasses.replace(cohort.plan, scheme="ckks2"))
    with pytest.raises(ConfigurationError, match="no halves of ckks2; use secure-fl run"):
        halves(authority.roster).client(strange, np.zeros(plan(authority).parameters))
    with pytest.raises(ConfigurationError, match="no halves of ckks2"):
        server_half(strange)
