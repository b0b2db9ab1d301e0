"""Who takes part in a federation: names, roles, certificates and public keys, signed by who runs it.

Banks know each other's identity keys, and those of key holders, by the roster alone. It is signed with the key of the
certificate authority, so that the gateway that passes messages on cannot put its own keys there. A party that is to be
left out, or whose key was lost, stays in the roster without a certificate (`Roster.without`); that is the revocation.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from secure_fl.errors import ConfigurationError, DataError
from secure_fl.settings import Experiment

Role = Literal["gateway", "bank", "holder", "scorer", "customer"]
"""A holder: a key authority, a witness, or a share-holder. A scorer serves scores to customers; these two take no part
in sums."""
REVOKED = "revoked "
"""Before a certificate's hash: nobody holds such a one."""


@dataclass(frozen=True)
class Member:
    """One party."""

    name: str
    role: Role
    certificate: str
    """SHA-256 of its certificate (DER), hexadecimal."""
    public: str = ""
    """Hexadecimal: a share-holder's X25519 key; an Ed25519 key, with which they sign, of other holders and banks."""

    @property
    def revoked(self) -> bool:
        return self.certificate.startswith(REVOKED)


@dataclass(frozen=True)
class Roster:
    """The members, and what they agreed to run."""

    federation: str
    """A name that no other federation has."""
    experiment: str
    """The settings, as JSON."""
    members: tuple[Member, ...]

    @property
    def settings(self) -> Experiment:
        return Experiment(**json.loads(self.experiment))

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.to_bytes()).digest()

    def of(self, role: Role) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.role == role)

    @property
    def in_sums(self) -> tuple[Member, ...]:
        """Banks and key holders, also those whose certificate was revoked."""
        return tuple(member for member in self.members if member.role in ("bank", "holder"))

    @property
    def parties(self) -> tuple[str, ...]:
        """Who can come to the gateway."""
        return tuple(member.name for member in self.in_sums if not member.revoked)

    def without(self, name: str) -> Roster:
        """The same, but that this member's certificate opens no door; sums go on as without a bank that is away.

        Raises `ConfigurationError` where it is not a member.
        """
        out = self.named(name)
        revoked = out if out.revoked else replace(out, certificate=REVOKED + out.certificate)
        return replace(self, members=tuple(revoked if member == out else member for member in self.members))

    def named(self, name: str) -> Member:
        """Raises `ConfigurationError` where it is not a member."""
        for member in self.members:
            if member.name == name:
                return member
        raise ConfigurationError(f"{name} is not in the roster; ask who runs the federation for another one")

    def holding(self, certificate: str) -> Member | None:
        """Whose certificate it is."""
        return next((member for member in self.members if member.certificate == certificate), None)

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    def signed(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        """As it is handed out."""
        signature = key.sign(self.to_bytes(), ec.ECDSA(SHA256()))
        return json.dumps({"roster": json.loads(self.to_bytes()), "signature": signature.hex()}, indent=1).encode()


def read_roster(path: Path, authority: x509.Certificate) -> Roster:
    """A roster that the authority signed. Raises `DataError`."""
    try:
        document = json.loads(path.read_bytes())
        roster = _roster(document["roster"])
        signature = bytes.fromhex(document["signature"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path} is no roster; ask who runs the federation for it") from None
    key = authority.public_key()
    try:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(signature, roster.to_bytes(), ec.ECDSA(SHA256()))
    except (InvalidSignature, AssertionError):
        raise DataError(f"{path} is not signed by the federation's authority; do not use it") from None
    return roster


def _roster(document: Any) -> Roster:
    members = tuple(Member(**member) for member in document["members"])
    names, certificates = {m.name for m in members}, {m.certificate for m in members}
    if len(names) < len(members) or len(certificates) < len(members):
        raise ValueError("two members with one name, or one certificate")
    if not all(member.role in get_args(Role) for member in members):
        raise ValueError("an unknown role")
    return Roster(str(document["federation"]), str(document["experiment"]), members)
