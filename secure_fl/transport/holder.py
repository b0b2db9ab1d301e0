"""A key holder on a network: a key authority or its witness, a member of a committee, or a share-holder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.additive.holder import ShareHolder, ShareHolderKey
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.hazmat.agreement import AgreementKey, SigningKey
from secure_fl.secagg.he.authority import HeDecryptor
from secure_fl.secagg.he.secret_keys import new_secret_key
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Party
from secure_fl.secagg.turns import OneAnswer, Turns
from secure_fl.secagg.witnessed.authority import WitnessedDecryptor
from secure_fl.secagg.witnessed.wire import witnesses_of
from secure_fl.secagg.witnessed.witness import Witness, WitnessKey
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.committee_member import CommitteeMember
from secure_fl.transport.orders import ASK, FINISHED, PUBLIC_KEY, Order
from secure_fl.transport.roster import Roster
from secure_fl.transport.server_halves import identity_keys, key_of, key_statement

Half = Callable[[Cohort[Any], object], Party]
"""From a cohort, and what the order calls the key that the sum is under, to the holder's half."""


class HolderParty:
    """Does the orders of one key holder. It opens one sum of an attempt, and attempts in rising order only."""

    def __init__(self, roster: Roster, name: str, own_key: bytes, turns: Turns) -> None:
        self._agreed = Agreement(roster.settings)
        self._name = name
        answers, directory = OneAnswer(turns), identity_keys(roster)
        self._signed_key = b""
        self._member: CommitteeMember | None = None
        self._half: Half
        plan = self._agreed.plan
        if isinstance(plan, ThresholdPlan):
            self._member = CommitteeMember(roster, plan, name, SigningKey(own_key), answers, directory)
            self._half = self._member.half
        elif isinstance(plan, HePlan) and name == KEY_AUTHORITY:
            self._half = self._authority(roster, plan, SigningKey(own_key), answers)
        elif isinstance(plan, HePlan):
            witness = WitnessKey(name, SigningKey(own_key), answers)
            self._half = lambda cohort, key: Witness(cohort, witness, directory)
        else:
            holder = ShareHolderKey(name, AgreementKey(own_key), answers)
            self._half = lambda cohort, key: ShareHolder(cohort, holder, directory)

    def __repr__(self) -> str:
        return f"HolderParty({self._name!r})"

    def _authority(self, roster: Roster, plan: HePlan, signing: SigningKey, answers: OneAnswer) -> Half:
        """Makes the key pair, of which the public key is signed."""
        secret = new_secret_key(plan.parameters_of_context)
        public = secret.public_key()
        self._signed_key = signing.sign(key_statement(roster, public)) + public
        witnesses = {name: bytes.fromhex(roster.named(name).public) for name in witnesses_of(plan.witnesses)}

        def half(cohort: Cohort[HePlan], key: object) -> Party:
            if key != key_of(self._signed_key):
                raise ProtocolError(f"{self._name} was started anew, and has another key; make a new attempt")
            if witnesses:
                return WitnessedDecryptor(cohort, secret, answers, witnesses)
            return HeDecryptor(cohort, secret, answers)

        return half

    def __call__(self, order: Order) -> bytes:
        """Raises `ProtocolError` for an order that it must not do."""
        if order.kind == PUBLIC_KEY and self._signed_key:
            return self._signed_key
        if self._member is not None and self._member.knows(order):
            return self._member(order)
        if order.kind == ASK:
            return self._half(self._agreed.cohort_of(order.about), order.facts.get("key")).respond(order.body)
        if order.kind == FINISHED:
            return b""
        raise MessageError(f"{self._name} knows no order {order.kind[:20]!r}; look whether both have one version")
