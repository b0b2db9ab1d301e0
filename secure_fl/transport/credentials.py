"""What one party has on disk: its certificate, its keys and the roster, as `certificates` wrote them."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from secure_fl.errors import ConfigurationError, DataError
from secure_fl.files import read_secret
from secure_fl.transport.certificates import AUTHORITY, CERTIFICATE, KEY, OWN_KEY, ROSTER
from secure_fl.transport.roster import Member, Role, Roster, read_roster

OwnKey = ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey


@dataclass(frozen=True)
class Credentials:
    """One party's."""

    folder: Path
    roster: Roster
    member: Member

    @classmethod
    def read(cls, folder: Path, role: Role) -> Credentials:
        """Raises `DataError` or `ConfigurationError` where they are missing, damaged, another role's or not listed."""
        roster = read_roster(folder / ROSTER, _certificate(folder / AUTHORITY))
        own = _certificate(folder / CERTIFICATE)
        member = roster.holding(own.fingerprint(SHA256()).hex())
        if member is None:
            raise ConfigurationError(f"the certificate in {folder} is not in the roster; ask for another one")
        if own.not_valid_after_utc < datetime.now(UTC):
            raise ConfigurationError(f"the certificate in {folder} has expired; ask for another one")
        if member.role != role:
            raise ConfigurationError(f"{folder} holds what {member.name} has, which is a {member.role} and no {role}")
        return cls(folder, roster, member)

    def own_key(self, passphrase: bytes | None = None) -> bytes:
        """The secret bytes that this party signs or unseals with."""
        path = self.folder / OWN_KEY
        try:
            key = load_pem_private_key(read_secret(path, "the key"), passphrase)
        except (ValueError, TypeError):
            problem = (
                "needs its passphrase, or another one" if passphrase is None else "does not open with the passphrase"
            )
            raise ConfigurationError(f"{path} {problem}; set SECURE_FL_PASSPHRASE") from None
        except OSError:
            raise DataError(f"{path} cannot be read; put it back from a copy, or ask for a new certificate") from None
        if not isinstance(key, OwnKey) or key.public_key().public_bytes_raw().hex() != self.member.public:
            raise DataError(f"{path} is not the key that the roster lists for {self.member.name}; put it back")
        return key.private_bytes_raw()

    def server_context(self) -> ssl.SSLContext:
        """TLS 1.3 alone, and nobody without a certificate of the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.num_tickets = 0  # each connection shows its certificate
        return self._loaded(context)

    def client_context(self) -> ssl.SSLContext:
        """TLS 1.3 alone; at the other end is who the roster lists as server, under the name that was asked for.

        The authority's word is not enough: it signs for the gateway and the scorer alike, and for those that were
        revoked since.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        server: Role = "scorer" if self.member.role == "customer" else "gateway"
        context.sslsocket_class = _socket_to(frozenset(member.certificate for member in self.roster.of(server)))
        return self._loaded(context)

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        read_secret(self.folder / KEY, "the key")  # refused where others may open it
        try:
            context.load_verify_locations(self.folder / AUTHORITY)
            context.load_cert_chain(self.folder / CERTIFICATE, self.folder / KEY)
        except (OSError, ssl.SSLError):
            raise DataError(
                f"the certificate in {self.folder} cannot be used; put it back, or ask for another"
            ) from None
        return context


def _socket_to(certificates: frozenset[str]) -> type[ssl.SSLSocket]:
    """Sockets that go no further than the handshake with who shows none of these (SHA-256, hexadecimal)."""

    class Listed(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            shown = self.getpeercert(True)
            if shown is None or hashlib.sha256(shown).hexdigest() not in certificates:
                raise ssl.SSLCertVerificationError("the certificate is not of the server in the roster")

    return Listed


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise DataError(f"{path} is no certificate; put it back, or ask who runs the federation for it") from None
