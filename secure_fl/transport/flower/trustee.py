"""A key holder's node: the key authority of a homomorphic scheme, or a share-holder. It trains nothing.

It opens one sum of an attempt, and attempts in rising order only. Its keys lie where the node's state does.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.additive.holder import ShareHolder, ShareHolderKey
from secure_fl.secagg.budget import HePlan, KeyParameters
from secure_fl.secagg.hazmat.agreement import AgreementKey, SigningKey
from secure_fl.secagg.he.authority import HeDecryptor
from secure_fl.secagg.he.secret_keys import SecretKey, new_secret_key, secret_key_again
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Party
from secure_fl.secagg.turns import OneAnswer
from secure_fl.transport.flower.keys import directory, fingerprint
from secure_fl.transport.flower.node import Node
from secure_fl.transport.flower.terms import Terms
from secure_fl.transport.orders import Order
from secure_fl.transport.server_halves import key_statement

_SECRET = "secret of "  # noqa: S105 - the name under which it is kept


class FlowerTrustee:
    """Does the orders of one key holder."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._own = AgreementKey(node.own_key)

    @property
    def public(self) -> bytes:
        """A share-holder's, to which banks seal seeds."""
        return self._own.public

    def public_key(self, order: Order) -> bytes:
        """The key authority's, which it makes where it has none for these parameters."""
        plan = Terms.of(order.facts).cohort_of(order.about).plan
        if self._node.name != KEY_AUTHORITY or not isinstance(plan, HePlan):
            raise MessageError(f"{self._node.name} has no public key to encrypt with; ask the key authority")
        return self._signed(self._secret(plan.parameters_of_context))

    def ask(self, order: Order, keys: bytes) -> bytes:
        """Open a sum, or the holder's share of one."""
        cohort = Terms.of(order.facts).cohort_of(order.about)
        if self._node.name not in cohort.trustees:
            raise MessageError(f"{self._node.name} holds no key in this scheme; make a new attempt")
        return self._half(cohort, order, keys).respond(order.body)

    def _half(self, cohort: Cohort[Any], order: Order, keys: bytes) -> Party:
        answers = OneAnswer(self._node.turns)
        if not isinstance(cohort.plan, HePlan):
            holder = ShareHolderKey(self._node.name, self._own, answers)
            return ShareHolder(cohort, holder, directory(self._node.roster, keys))
        secret = self._secret(cohort.plan.parameters_of_context)
        if order.facts.get("key") != fingerprint(self._node.roster, self._signed(secret)):
            raise ProtocolError(f"{self._node.name} was started anew, and has another key; make a new attempt")
        return HeDecryptor(cohort, secret, answers)

    def _secret(self, parameters: KeyParameters) -> SecretKey:
        memory, name = self._node.memory, _SECRET + hashlib.sha256(repr(parameters).encode()).hexdigest()
        if memory[name]:
            return secret_key_again(parameters, memory[name])
        secret = new_secret_key(parameters)
        memory[name] = secret.keep()
        return secret

    def _signed(self, secret: SecretKey) -> bytes:
        key, roster = secret.public_key(), self._node.roster
        return key if roster is None else SigningKey(self._node.own_key).sign(key_statement(roster, key)) + key


def answer_of_hello(name: str, public: bytes) -> bytes:
    """Who a node is, and its key where others need one."""
    return json.dumps({"name": name, "key": public.hex()}).encode()
