"""A sandbox's certificate authority: a short-lived certificate and a key for each party, in a folder of its own.

ECDSA on P-256 (FIPS 186-5), X.509 (RFC 5280). Who has an authority of their own makes certificates there, and signs a
`Roster` of them.
"""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from secure_fl.errors import ConfigurationError, DataError
from secure_fl.files import create_secret, make_folder, read_secret, unwritten, write_durably
from secure_fl.settings import Experiment
from secure_fl.transport.roster import Member, Role, Roster, read_roster

AUTHORITY, CERTIFICATE, KEY, OWN_KEY, ROSTER = "ca.pem", "certificate.pem", "key.pem", "identity.pem", "roster.json"
"""Files of a party: whom it trusts, its certificate and its key, what it signs with, who takes part."""
AUTHORITY_KEY = "ca-key.pem"
GATEWAY, SCORER = "gateway", "scorer"
DAYS = 30
LONGEST_PASSPHRASE = 1023
"""Bytes that OpenSSL takes."""
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?!.{{254}}){_LABEL}(\.{_LABEL})*")
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey


@dataclass(frozen=True)
class Issued:
    """One party's certificate and keys."""

    name: str
    role: Role
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    own: ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey | None

    @property
    def member(self) -> Member:
        public = "" if self.own is None else self.own.public_key().public_bytes_raw().hex()
        return Member(self.name, self.role, self.certificate.fingerprint(SHA256()).hex(), public)


def make_certificates(
    folder: Path,
    experiment: Experiment,
    hosts: Sequence[str],
    days: int = DAYS,
    passphrase: bytes | None = None,
    customers: Sequence[str] = (),
) -> Roster:
    """An authority, and for each party of the experiment a folder with all that it needs; the roster of them.

    `hosts`: names and addresses of the gateway, and of the scorer. `passphrase`: encrypts what parties sign and unseal
    with. `customers`: who may ask a service for scores; where there are some, it gets a certificate too. Raises
    `ConfigurationError` where the folder is not empty or cannot be written, a host or a passphrase cannot be, or two
    parties have one name.
    """
    if passphrase is not None and not 0 < len(passphrase) <= LONGEST_PASSPHRASE:
        raise ConfigurationError(f"a passphrase has 1 to {LONGEST_PASSPHRASE} bytes; choose another")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty; name another folder for the certificates")
    _require_names(customers, (GATEWAY, SCORER, *experiment.bank_names, *experiment.kind.trustees))
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("secure_fl sandbox authority", authority_key, None, authority_key, days, ())
    issued = [_issue(GATEWAY, "gateway", authority, authority_key, days, hosts)]
    issued += [_issue(name, "bank", authority, authority_key, days, ()) for name in experiment.bank_names]
    issued += [_issue(name, "holder", authority, authority_key, days, ()) for name in experiment.kind.trustees]
    issued += [_issue(SCORER, "scorer", authority, authority_key, days, hosts)] if customers else []
    issued += [_issue(name, "customer", authority, authority_key, days, ()) for name in customers]
    settings = json.dumps(experiment.model_dump(mode="json", exclude_none=True), sort_keys=True)
    roster = Roster(secrets.token_hex(16), settings, tuple(each.member for each in issued))
    signed = roster.signed(authority_key)
    try:
        make_folder(folder, 0o700)
        create_secret(folder / AUTHORITY_KEY, _pem(authority_key, None))
        create_secret(folder / AUTHORITY, authority.public_bytes(Encoding.PEM))
        create_secret(folder / ROSTER, signed)
        for each in issued:
            _write(folder / each.name, each, authority, signed, passphrase)
    except OSError as error:
        raise unwritten(folder, error, "name another folder for the certificates") from None
    return roster


def _require_names(customers: Sequence[str], taken: Sequence[str]) -> None:
    """Raises `ConfigurationError` where a customer's name is no name of a folder, or another party's."""
    for place, name in enumerate(customers):
        if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name) is None:
            raise ConfigurationError(f"{name!r} is no name of a customer; use small letters, digits and -")
        if name in (*taken, *customers[:place]):
            raise ConfigurationError(f"{name} is another party's name; name the customer otherwise")


def revoke(folder: Path, name: str) -> Roster:
    """Take a member's certificate out of all rosters in `folder`, which `make_certificates` wrote, and sign them anew.

    It is out once gateway and parties were started with the new roster. Raises `ConfigurationError` or `DataError`.
    """
    try:
        authority = x509.load_pem_x509_certificate((folder / AUTHORITY).read_bytes())
        key = load_pem_private_key(read_secret(folder / AUTHORITY_KEY, "the key"), None)
    except (OSError, ValueError, TypeError):
        raise DataError(f"{folder} does not hold an authority and its key; name the folder of all parties") from None
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    roster = read_roster(folder / ROSTER, authority).without(name)
    for path in (folder / ROSTER, *folder.glob(f"*/{ROSTER}")):
        try:
            write_durably(path, roster.signed(key))
        except OSError as error:
            raise unwritten(path, error, "name the folder of all parties") from None
    return roster


def _issue(
    name: str,
    role: Role,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    days: int,
    hosts: Sequence[str],
) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(name, key, authority, authority_key, days, hosts)
    own: ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey | None = None
    if role in ("bank", "holder"):
        unseals = name.startswith("share-holder")
        own = x25519.X25519PrivateKey.generate() if unseals else ed25519.Ed25519PrivateKey.generate()
    return Issued(name, role, certificate, key, own)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate | None,
    authority_key: ec.EllipticCurvePrivateKey,
    days: int,
    hosts: Sequence[str],
) -> x509.Certificate:
    """`authority`: None for its own certificate; `hosts`: of a server."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if authority is None else authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks differ
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=0 if authority is None else None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False)
        .add_extension(_usage(signs_certificates=authority is None), True)
    )
    if authority is not None:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), False)
    return builder.sign(authority_key, SHA256())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if _HOST.fullmatch(host) is None:
        raise ConfigurationError(f"{host!r} is no host's name or address; write names of other alphabets as xn--...")
    return x509.DNSName(host)


def _write(folder: Path, issued: Issued, authority: x509.Certificate, roster: bytes, passphrase: bytes | None) -> None:
    make_folder(folder, 0o700)
    create_secret(folder / AUTHORITY, authority.public_bytes(Encoding.PEM))
    create_secret(folder / CERTIFICATE, issued.certificate.public_bytes(Encoding.PEM))
    create_secret(folder / KEY, _pem(issued.key, None))
    create_secret(folder / ROSTER, roster)
    if issued.own is not None:
        create_secret(folder / OWN_KEY, _pem(issued.own, passphrase))


def _pem(key: PrivateKey, passphrase: bytes | None) -> bytes:
    encryption: KeySerializationEncryption = (
        NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
