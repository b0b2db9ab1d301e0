"""What banks encrypt under: from whoever makes it, by way of the gateway, to each process of a bank.

A key authority that was started anew has another key. A committee makes one when all its members are there and not each
of them has its parts of the one before; as long as a quorum has, sums go on under that one.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from secure_fl.errors import ProtocolError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.asking import ask_each
from secure_fl.transport.key_words import (
    HASH_BYTES,
    key_name,
    pack_rows,
    read_joined,
    require_signed,
    seed_of,
)
from secure_fl.transport.orders import (
    KEY_ACCEPT,
    KEY_COMMIT,
    KEY_JOIN,
    KEY_PUBLISH,
    PUBLIC_KEY,
    TAKE_KEY,
    unpack_answer,
)
from secure_fl.transport.patience import Patience
from secure_fl.transport.post import Post
from secure_fl.transport.roster import Roster
from secure_fl.transport.server_halves import accepted_key, key_of

LOG = logging.getLogger("secure_fl.gateway")


class PublicKeys:
    """The one that is in use, and who has it."""

    def __init__(self, roster: Roster, agreed: Agreement, post: Post, patience: Patience) -> None:
        self._roster, self._agreed, self._post, self._patience = roster, agreed, post, patience
        self._key, self._name = b"", ""
        self._makers: dict[str, str] = {}
        """Who made it -> the process of it that did."""
        self._given: dict[str, str] = {}
        """Bank -> the process of it that has the key."""

    @property
    def facts(self) -> dict[str, Any]:
        """For orders of a sum."""
        return {"key": self._name} if self._name else {}

    def give(self) -> None:
        """See to it that there is a key, and that each bank which is there has it. Raises `ProtocolError`."""
        plan = self._agreed.plan
        if isinstance(plan, HePlan):
            self._of_authority(plan)
        elif isinstance(plan, ThresholdPlan):
            self._of_committee()
        else:
            return
        self._hand_out()

    def _of_authority(self, plan: HePlan) -> None:
        makers = self._processes((KEY_AUTHORITY,))
        if makers != self._makers:
            signed = ask_each(self._post, self._patience, PUBLIC_KEY, (KEY_AUTHORITY,))[KEY_AUTHORITY]
            accepted_key(self._roster, plan, signed)  # refused here, and not at each bank
            self._use(signed, key_of(signed), makers)

    def _of_committee(self) -> None:
        names = self._agreed.scheme.trustees
        makers = self._processes(names)
        if makers == self._makers or (self._key and not self._post.present(self._patience.absent).issuperset(names)):
            return
        try:
            key, name = self._made(names)
        except ProtocolError as error:
            if not self._key:
                raise
            LOG.warning("no new key", extra={"reason": str(error)})
            return
        self._use(key, name, makers)
        LOG.info("key made", extra={"key": name})

    def _made(self, names: tuple[str, ...]) -> tuple[bytes, str]:
        """What a committee makes, as banks read it, and its name. Members check each other; here it is passed on."""
        ask = partial(ask_each, self._post, self._patience)
        joined = ask(KEY_JOIN, names)
        seed = seed_of(self._roster, read_joined(self._roster, joined))
        commitments = ask(KEY_COMMIT, names, pack_rows(joined.values()))
        published = ask(KEY_PUBLISH, names, pack_rows(commitments.values()))
        accepted = ask(KEY_ACCEPT, names, pack_rows(published.values()))
        signatures = {name: said[HASH_BYTES:] for name, said in accepted.items()}
        fingerprint = accepted[names[0]][:HASH_BYTES]
        require_signed(self._roster, seed, fingerprint, signatures)
        return pack_rows([seed, *signatures.values(), *published.values()]), key_name(seed, fingerprint)

    def _use(self, key: bytes, name: str, makers: dict[str, str]) -> None:
        self._key, self._name, self._makers = key, name, makers
        self._given.clear()

    def _processes(self, names: tuple[str, ...]) -> dict[str, str]:
        return {name: self._post.process(name) for name in names}

    def _hand_out(self) -> None:
        """To banks that do not have it."""
        there = self._post.present(self._patience.absent)
        processes = self._processes(tuple(bank for bank in self._agreed.banks if bank in there))
        without = {bank: process for bank, process in processes.items() if self._given.get(bank) != process}
        numbers = {bank: self._post.send(bank, TAKE_KEY, shared=self._key) for bank in without}
        for bank, data in self._post.collect(numbers, self._patience.stage, self._patience.absent):
            if isinstance(unpack_answer(data), bytes):
                self._given[bank] = without[bank]
