"""How a committee makes its key: no secret beyond a part ever exists in one place.

Each part is drawn by the first of its subset, its *drawer*, who seals it to the others of the subset.

1. Drawers commit to what they are going to publish, by a hash with a coin, their name, the part and the session.
2. When all commitments are there, drawers publish, with the sealed parts. Who published b_3 = b - b_1 - b_2 after it
   had seen the others could open the sum alone; it had to commit before.
3. Members check that what was published is what was committed to, and that the public half of each part that they have
   is that of the part. They say the fingerprint of all public halves to banks, by a way of their own. All of them must:
   of a part that no honest member looked at, nobody knows what was published. Later any quorum opens sums.

The common a is a hash of the session, so nobody chooses it. Messages are not signed and come by way of the aggregator,
so what does not fit together is a lie of whoever is named, or was altered on its way. Of n of n nobody but its drawer
has a part, and a false public half is not seen (`custody` says what it does).
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg.budget.committee import Committee
from secure_fl.secagg.budget.he import Run
from secure_fl.secagg.budget.threshold import KeyRing
from secure_fl.secagg.hazmat.agreement import PUBLIC_KEY_BYTES, TAG_BYTES, AgreementKey, seal_to, unseal
from secure_fl.secagg.hazmat.collective import JointKey
from secure_fl.secagg.hazmat.collective_secret import KeyPart
from secure_fl.secagg.packing import Words, pack_bits, unpack_bits
from secure_fl.secagg.threshold.member import MemberKey

HASH_BYTES = COIN_BYTES = 32
_OR_ALTERED = "or what it sent was altered on its way; make new keys"


@dataclass(frozen=True)
class Setting:
    """What all members agree on before they make keys."""

    ring: KeyRing
    committee: Committee
    names: tuple[str, ...]
    seed: bytes
    """Of this federation's key alone: the session, and which key of it this is."""
    directory: Mapping[str, bytes]
    """Members' X25519 keys, which they know by a way that the aggregator does not control."""

    @property
    def public(self) -> Run:
        """Words of the public half of a part, over data primes and special prime."""
        return Run((self.ring.primes + 1) * self.ring.degree, self.ring.word_bits)

    @property
    def sealed_bytes(self) -> int:
        """Of a part, for one who has it."""
        return PUBLIC_KEY_BYTES + self.ring.degree // 4 + TAG_BYTES

    def published_bytes(self, part: int) -> int:
        """Of all that its drawer publishes of a part."""
        return COIN_BYTES + self.public.nbytes + len(self.others(part)) * self.sealed_bytes

    def drawer(self, part: int) -> str:
        return self.names[self.committee.subsets[part][0]]

    def others(self, part: int) -> tuple[str, ...]:
        """Those who have the part, less the drawer."""
        return tuple(self.names[member] for member in self.committee.subsets[part][1:])

    def drawn_by(self, name: str) -> tuple[int, ...]:
        return tuple(part for part in range(len(self.committee.subsets)) if self.drawer(part) == name)

    def words_of(self, published: Published) -> Words:
        """The public half, [key primes, N]."""
        found = unpack_bits(published.public, self.public.bits, self.public.count).view(np.uint64)
        return found.reshape(self.ring.primes + 1, self.ring.degree)

    def purpose(self, part: int, member: str) -> bytes:
        return b"secure_fl key part" + self.seed + bytes([part]) + member.encode()


@dataclass(frozen=True)
class Published:
    """What a drawer publishes of one part."""

    coin: bytes = field(repr=False)
    """A secret until it is published."""
    public: bytes = field(repr=False)
    """Packed words of the public half."""
    sealed: tuple[bytes, ...] = field(repr=False)
    """The part, for each of the others who have it."""

    def commitment(self, setting: Setting, part: int) -> bytes:
        """Nobody else's, of no other part and in no other session does it count."""
        drawer = hashlib.sha256(setting.drawer(part).encode()).digest()
        about = hashlib.sha256(setting.seed).digest() + bytes([part]) + drawer
        return hashlib.sha256(b"secure_fl key commitment" + about + self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        return b"".join([self.coin, self.public, *self.sealed])

    @classmethod
    def read(cls, setting: Setting, part: int, data: bytes) -> Published:
        """Raises `MessageError`."""
        others, start, size = len(setting.others(part)), COIN_BYTES + setting.public.nbytes, setting.sealed_bytes
        if len(data) != setting.published_bytes(part):
            raise MessageError(f"what {setting.drawer(part)} published of a part has the wrong length, {_OR_ALTERED}")
        sealed = tuple(data[start + place * size :][:size] for place in range(others))
        return cls(data[:COIN_BYTES], data[COIN_BYTES:start], sealed)


class KeyMaking:
    """One member while keys are made."""

    def __init__(self, setting: Setting, name: str, own: AgreementKey) -> None:
        self._setting, self._name, self._own = setting, name, own
        self._parts: dict[int, KeyPart] = {}
        self._published: dict[int, Published] = {}
        self._commitments: Mapping[int, bytes] | None = None
        self._accepted = False

    def __repr__(self) -> str:
        return f"KeyMaking({self._name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a KeyMaking is never pickled; keys are made in one process")

    def commit(self) -> dict[int, bytes]:
        """Draw the parts that are this member's to draw; commitments to their public halves."""
        for part in self._setting.drawn_by(self._name):
            drawn, public = KeyPart.generate(self._setting.ring, self._setting.seed)
            self._parts[part] = drawn
            self._published[part] = Published(
                secrets.token_bytes(COIN_BYTES),
                pack_bits(public.reshape(-1), self._setting.public.bits),
                tuple(
                    seal_to(self._setting.directory[other], drawn.keep(), self._setting.purpose(part, other))
                    for other in self._setting.others(part)
                ),
            )
        return {part: published.commitment(self._setting, part) for part, published in self._published.items()}

    def publish(self, commitments: Mapping[int, bytes]) -> dict[int, bytes]:
        """When every part was committed to: what this member committed to itself. Raises `MessageError`."""
        parts = range(len(self._setting.committee.subsets))
        if self._commitments is not None and self._commitments != commitments:
            raise MessageError(f"{self._name} has published for other commitments; make new keys")
        if set(commitments) != set(parts):
            raise MessageError(f"{self._name} publishes nothing before all parts are committed to; wait for the others")
        if any(commitments[part] != own.commitment(self._setting, part) for part, own in self._published.items()):
            raise MessageError(f"what {self._name} committed to was altered; make new keys")
        self._commitments = dict(commitments)
        return {part: published.to_bytes() for part, published in self._published.items()}

    def accept(self, published: Mapping[int, bytes]) -> tuple[MemberKey, bytes]:
        """The member's key, and the fingerprint of the joint key: once, since there is one memory of answers to a key.

        Raises `MessageError`, which names whose message it is that does not fit.
        """
        if self._accepted:
            raise MessageError(f"{self._name} has accepted this key before; make new keys for another one")
        found = read_published(self._setting, published)
        for part, each in found.items():
            if self._commitments is None or each.commitment(self._setting, part) != self._commitments[part]:
                raise MessageError(
                    f"{self._setting.drawer(part)} published what it had not committed to, {_OR_ALTERED}"
                )
        own = self._setting.committee.parts_of(self._setting.names.index(self._name))
        key = MemberKey(self._name, {part: self._checked(part, found[part]) for part in own})
        self._accepted = True
        return key, fingerprint(found)

    def _checked(self, part: int, published: Published) -> KeyPart:
        """A part of this member's, once its public half is found to be what was published."""
        own = self._parts.get(part) or self._opened(part, published)
        try:
            own.require_public(self._setting.seed, self._setting.words_of(published))
        except MessageError as error:
            raise MessageError(f"{self._setting.drawer(part)} lied: {error}, {_OR_ALTERED}") from None
        return own

    def _opened(self, part: int, published: Published) -> KeyPart:
        sealed = published.sealed[self._setting.others(part).index(self._name)]
        try:
            return KeyPart.again(self._setting.ring, unseal(self._own, sealed, self._setting.purpose(part, self._name)))
        except MessageError as error:
            found = str(error).partition(";")[0]
            raise MessageError(
                f"{self._setting.drawer(part)} sealed no part that {self._name} can use ({found}), {_OR_ALTERED}"
            ) from None


def read_published(setting: Setting, published: Mapping[int, bytes]) -> dict[int, Published]:
    """By part, in order. Raises `MessageError`."""
    parts = range(len(setting.committee.subsets))
    if set(published) != set(parts):
        raise MessageError("some part of the key was not published; make new keys")
    found = {part: Published.read(setting, part, published[part]) for part in parts}
    for one, other in itertools.combinations(parts, 2):
        if found[one].public == found[other].public:
            raise MessageError(
                f"{setting.drawer(other)} published the same public half as {setting.drawer(one)}, {_OR_ALTERED}"
            )
    return found


def fingerprint(published: Mapping[int, Published]) -> bytes:
    """SHA-256 of all public halves: what members say to banks, and banks compare."""
    return hashlib.sha256(b"".join(published[part].public for part in sorted(published))).digest()


def accept_joint_key(setting: Setting, published: Mapping[int, bytes], fingerprints: Mapping[str, bytes]) -> JointKey:
    """The joint key as it came by way of the aggregator, which all members said is theirs.

    A quorum is not enough: the others would not have looked at parts that those who speak could lie about together.

    `fingerprints`: what members said, by name, on a way that the aggregator does not control. Raises `MessageError`.
    """
    found = read_published(setting, published)
    agreeing = [name for name in setting.names if fingerprints.get(name) == fingerprint(found)]
    if len(agreeing) < len(setting.names):
        others = ", ".join(name for name in setting.names if name not in agreeing)
        raise MessageError(f"the joint key is not that of {others}; do not use it")
    parts = np.stack([setting.words_of(found[part]) for part in sorted(found)])
    return JointKey(setting.ring, setting.seed, parts)
