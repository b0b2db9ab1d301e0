"""A member of a committee on a network: it makes keys with the others when it is asked to, and opens sums with them.

Its parts lie in the memory of its process alone. Started anew it has none, says so, and is done without until all
members have made another key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.hazmat.agreement import AgreementKey, SigningKey
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.threshold.custody import members_of
from secure_fl.secagg.threshold.keys import KeyMaking, Setting
from secure_fl.secagg.threshold.member import Member, MemberKey
from secure_fl.secagg.turns import OneAnswer
from secure_fl.transport.joint_key import commitments_in, published_in, setting_of
from secure_fl.transport.key_words import (
    join_statement,
    joint_statement,
    key_name,
    read_joined,
    rows_of,
    seed_of,
)
from secure_fl.transport.orders import KEY_ACCEPT, KEY_COMMIT, KEY_JOIN, KEY_PUBLISH, Order
from secure_fl.transport.roster import Roster


class CommitteeMember:
    """One member's orders about keys, and its halves of sums."""

    def __init__(
        self,
        roster: Roster,
        plan: ThresholdPlan,
        name: str,
        signing: SigningKey,
        answers: OneAnswer,
        directory: Mapping[str, bytes],
    ) -> None:
        """`answers`: its memory, over all keys; `directory`: the banks' identity keys."""
        self._roster, self._plan, self._name, self._signing = roster, plan, name, signing
        self._answers, self._directory = answers, directory
        self._names = members_of(plan.committee)
        self._own: AgreementKey | None = None
        self._making: tuple[Setting, KeyMaking] | None = None
        self._keys: dict[str, MemberKey] = {}
        """The key that sums were opened with, and one that was made since: who makes keys may not get to the end."""
        self._todo: dict[str, Callable[[bytes], bytes]] = {
            KEY_JOIN: self._join,
            KEY_COMMIT: self._commit,
            KEY_PUBLISH: self._publish,
            KEY_ACCEPT: self._accept,
        }

    def __repr__(self) -> str:
        return f"CommitteeMember({self._name!r})"

    def knows(self, order: Order) -> bool:
        return order.kind in self._todo

    def __call__(self, order: Order) -> bytes:
        """Raises `MessageError` for what does not fit, and names whose it is."""
        return self._todo[order.kind](order.body)

    def half(self, cohort: Cohort[ThresholdPlan], key: object) -> Member:
        """With its parts of the key that orders call so. Raises `ProtocolError` where it has none."""
        found = self._keys.get(key) if isinstance(key, str) else None
        if found is None:
            raise ProtocolError(f"{self._name} was started anew, and has no part of this key; make new keys")
        self._keys = {str(key): found}
        return Member(cohort, found, self._directory)

    def _join(self, _: bytes) -> bytes:
        """A key making begins, and one that has not ended is over."""
        self._own, self._making = AgreementKey(), None
        public = self._own.public
        return self._signing.sign(join_statement(self._roster, self._name, public)) + public

    def _commit(self, body: bytes) -> bytes:
        own, self._own = self._own, None  # it is for one key
        joined = read_joined(self._roster, rows_of(self._names, body))
        if own is None or joined[self._name] != own.public:
            raise MessageError(f"{self._name} has joined another key making, or none; make new keys")
        setting = setting_of(self._plan, seed_of(self._roster, joined), joined)
        making = KeyMaking(setting, self._name, own)
        self._making = setting, making
        return b"".join(making.commit().values())

    def _publish(self, body: bytes) -> bytes:
        setting, making = self._begun()
        published = making.publish(commitments_in(setting, rows_of(self._names, body)))
        return b"".join(published.values())

    def _accept(self, body: bytes) -> bytes:
        setting, making = self._begun()
        self._making = None
        key, fingerprint = making.accept(published_in(setting, rows_of(self._names, body)))
        in_use = dict(list(self._keys.items())[:1])
        self._keys = in_use | {
            key_name(setting.seed, fingerprint): MemberKey(self._name, key.parts, self._answers, key.keep_noise())
        }
        return fingerprint + self._signing.sign(joint_statement(self._roster, setting.seed, fingerprint))

    def _begun(self) -> tuple[Setting, KeyMaking]:
        if self._making is None:
            raise MessageError(f"{self._name} is in no key making that got so far; make new keys")
        return self._making
