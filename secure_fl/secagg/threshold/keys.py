"""How a committee makes its key: no secret beyond a part ever exists in one place.

Each part is drawn by the first of its subset, its *drawer*, who seals it to the others of the subset.

1. Drawers commit to the public halves that they are going to publish, by a hash with a coin.
2. When all commitments are there, drawers publish, with the sealed parts. Who published b_3 = b - b_1 - b_2 after it
   had seen the others could open the sum alone; it had to commit before.
3. Members check that what was published is what was committed to, and that the public half of each part that they have
   is that of the part. They say the fingerprint of all public halves to banks, by a way of their own.

The common a is a hash of the session, so nobody chooses it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

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

    coin: bytes
    public: bytes
    """Packed words of the public half."""
    sealed: tuple[bytes, ...]
    """The part, for each of the others who have it."""

    @property
    def commitment(self) -> bytes:
        return hashlib.sha256(b"secure_fl key commitment" + self.coin + self.public).digest()

    def to_bytes(self) -> bytes:
        return b"".join([self.coin, self.public, *self.sealed])

    @classmethod
    def read(cls, setting: Setting, part: int, data: bytes) -> Published:
        """Raises `MessageError`."""
        others, start, size = len(setting.others(part)), COIN_BYTES + setting.public.nbytes, setting.sealed_bytes
        if len(data) != start + others * size:
            raise MessageError(f"what {setting.drawer(part)} published of a part has the wrong length; make new keys")
        sealed = tuple(data[start + place * size :][:size] for place in range(others))
        return cls(data[:COIN_BYTES], data[COIN_BYTES:start], sealed)


class KeyMaking:
    """One member while keys are made."""

    def __init__(self, setting: Setting, name: str, own: AgreementKey) -> None:
        self._setting, self._name, self._own = setting, name, own
        self._parts: dict[int, KeyPart] = {}
        self._published: dict[int, Published] = {}
        self._commitments: Mapping[int, bytes] | None = None

    def __repr__(self) -> str:
        return f"KeyMaking({self._name!r})"

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
        return {part: published.commitment for part, published in self._published.items()}

    def publish(self, commitments: Mapping[int, bytes]) -> dict[int, bytes]:
        """When every part was committed to: what this member committed to itself. Raises `MessageError`."""
        parts = range(len(self._setting.committee.subsets))
        if self._commitments is not None and self._commitments != commitments:
            raise MessageError(f"{self._name} has published for other commitments; make new keys")
        if set(commitments) != set(parts):
            raise MessageError(f"{self._name} publishes nothing before all parts are committed to; wait for the others")
        if any(commitments[part] != own.commitment for part, own in self._published.items()):
            raise MessageError(f"what {self._name} committed to was altered; make new keys")
        self._commitments = dict(commitments)
        return {part: published.to_bytes() for part, published in self._published.items()}

    def accept(self, published: Mapping[int, bytes]) -> tuple[MemberKey, bytes]:
        """The member's key, and the fingerprint of the joint key. Raises `MessageError`, which names who lied."""
        found = read_published(self._setting, published)
        for part, each in found.items():
            if self._commitments is None or each.commitment != self._commitments[part]:
                raise MessageError(
                    f"{self._setting.drawer(part)} published what it had not committed to; make new keys"
                )
        for part in self._setting.committee.parts_of(self._setting.names.index(self._name)):
            own = self._parts.get(part) or self._opened(part, found[part])
            try:
                own.require_public(self._setting.seed, self._setting.words_of(found[part]))
            except MessageError as error:
                raise MessageError(f"{self._setting.drawer(part)} lied: {error}") from None
            self._parts[part] = own
        return MemberKey(self._name, self._parts), fingerprint(found)

    def _opened(self, part: int, published: Published) -> KeyPart:
        sealed = published.sealed[self._setting.others(part).index(self._name)]
        try:
            return KeyPart.again(self._setting.ring, unseal(self._own, sealed, self._setting.purpose(part, self._name)))
        except MessageError:
            raise MessageError(
                f"{self._setting.drawer(part)} sealed no part that {self._name} can open; make new keys"
            ) from None


def read_published(setting: Setting, published: Mapping[int, bytes]) -> dict[int, Published]:
    """By part, in order. Raises `MessageError`."""
    parts = range(len(setting.committee.subsets))
    if set(published) != set(parts):
        raise MessageError("some part of the key was not published; make new keys")
    return {part: Published.read(setting, part, published[part]) for part in parts}


def fingerprint(published: Mapping[int, Published]) -> bytes:
    """SHA-256 of all public halves: what members say to banks, and banks compare."""
    return hashlib.sha256(b"".join(published[part].public for part in sorted(published))).digest()


def accept_joint_key(setting: Setting, published: Mapping[int, bytes], fingerprints: Mapping[str, bytes]) -> JointKey:
    """The joint key as it came by way of the aggregator, which a quorum of members said is theirs.

    `fingerprints`: what members said, by name, on a way that the aggregator does not control. Raises `MessageError`.
    """
    found = read_published(setting, published)
    agreeing = [name for name in setting.names if fingerprints.get(name) == fingerprint(found)]
    if len(agreeing) < len(setting.names):
        others = ", ".join(name for name in setting.names if name not in agreeing)
        raise MessageError(f"the joint key is not that of {others}; do not use it")
    parts = np.stack([setting.words_of(found[part]) for part in sorted(found)])
    return JointKey(setting.ring, setting.seed, parts)
