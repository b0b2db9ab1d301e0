"""Certificates, keys and rosters: what is refused, and that secrets are for their owner's eyes."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from secure_fl.errors import ConfigurationError, DataError
from secure_fl.settings import Experiment
from secure_fl.transport.certificates import ROSTER, make_certificates, revoke
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.roster import Role, Roster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_certificates(tmp_path / "c", Experiment(scheme="ckks"), ["localhost"])
    return tmp_path / "c"


def test_every_party_has_a_folder_that_others_cannot_open(folder: Path) -> None:
    names = {path.name for path in folder.iterdir() if path.is_dir()}
    assert names == {"gateway", "bank-1", "bank-2", "bank-3", "key-authority"}
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert not (folder / "gateway" / "identity.pem").exists()


def test_customers_of_scores_get_folders_without_a_key_that_sums_need(tmp_path: Path) -> None:
    roster = make_certificates(tmp_path / "c", Experiment(scheme="ckks"), ["localhost"], customers=("corner", "shop-2"))
    assert [member.name for member in roster.of("customer")] == ["corner", "shop-2"]
    assert [member.name for member in roster.of("scorer")] == ["scorer"]
    assert roster.parties == ("bank-1", "bank-2", "bank-3", "key-authority"), "nobody waits for customers"
    for name in ("corner", "scorer"):
        assert not (tmp_path / "c" / name / "identity.pem").exists()
    assert Credentials.read(tmp_path / "c" / "corner", "customer").member.public == ""


@pytest.mark.parametrize("names", [("bank-1",), ("scorer",), ("gateway",), ("a", "a"), ("../a",), ("A",), ("",)])
def test_names_of_customers_that_cannot_be_are_refused_before_anything_is_made(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError, match="customer"):
        make_certificates(tmp_path / "c", Experiment(), ["localhost"], customers=names)
    assert not (tmp_path / "c").exists()


def test_credentials_are_read_back(folder: Path) -> None:
    bank = Credentials.read(folder / "bank-2", "bank")
    assert bank.member.name == "bank-2"
    assert len(bank.own_key()) == 32
    assert bank.roster.settings == Experiment(scheme="ckks")
    assert bank.server_context().minimum_version.name == bank.client_context().minimum_version.name == "TLSv1_3"


def test_a_folder_of_another_role_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="bank-1 has, which is a bank and no gateway"):
        Credentials.read(folder / "bank-1", "gateway")


def test_certificates_are_not_made_over_others(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="not empty"):
        make_certificates(folder, Experiment(), ["localhost"])


def test_a_roster_that_was_changed_is_refused(folder: Path) -> None:
    path = folder / "bank-1" / ROSTER
    document = json.loads(path.read_text())
    document["roster"]["members"][1]["public"] = document["roster"]["members"][2]["public"]
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="not signed"):
        Credentials.read(folder / "bank-1", "bank")


def test_a_roster_that_somebody_else_signed_is_refused(folder: Path) -> None:
    roster = Credentials.read(folder / "bank-1", "bank").roster
    (folder / "bank-1" / ROSTER).write_bytes(roster.signed(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(DataError, match="not signed"):
        Credentials.read(folder / "bank-1", "bank")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"roster": {}, "signature": "zz"}', b"\xff\xfe"])
def test_what_is_no_roster_is_refused(folder: Path, content: bytes) -> None:
    (folder / "bank-1" / ROSTER).write_bytes(content)
    with pytest.raises(DataError, match="no roster"):
        Credentials.read(folder / "bank-1", "bank")


def test_a_key_that_is_not_the_listed_one_or_open_to_others_is_refused(folder: Path) -> None:
    own = folder / "bank-1" / "identity.pem"
    (folder / "bank-1" / "identity.pem").write_bytes((folder / "bank-2" / "identity.pem").read_bytes())
    with pytest.raises(DataError, match="not the key that the roster lists for bank-1"):
        Credentials.read(folder / "bank-1", "bank").own_key()
    own.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Credentials.read(folder / "bank-1", "bank").own_key()
    (folder / "bank-2" / "key.pem").chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Credentials.read(folder / "bank-2", "bank").client_context()


def test_a_passphrase_encrypts_the_key_at_rest(tmp_path: Path) -> None:
    make_certificates(tmp_path / "c", Experiment(scheme="masked"), ["localhost"], passphrase=b"correct horse")
    bank = Credentials.read(tmp_path / "c" / "bank-1", "bank")
    assert b"ENCRYPTED" in (tmp_path / "c" / "bank-1" / "identity.pem").read_bytes()
    assert len(bank.own_key(b"correct horse")) == 32
    for wrong in (None, b"battery staple"):
        with pytest.raises(ConfigurationError, match="SECURE_FL_PASSPHRASE"):
            bank.own_key(wrong)


def test_two_members_of_one_name_are_no_roster(folder: Path) -> None:
    roster = Credentials.read(folder / "bank-1", "bank").roster
    twice = Roster(roster.federation, roster.experiment, (*roster.members, roster.members[0]))
    assert roster.digest != twice.digest
    (folder / "bank-1" / ROSTER).write_bytes(twice.signed(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(DataError, match="no roster"):
        Credentials.read(folder / "bank-1", "bank")


def test_a_revoked_party_stays_in_the_roster_and_its_certificate_opens_nothing(folder: Path) -> None:
    before = Credentials.read(folder / "gateway", "gateway").roster
    revoke(folder, "bank-2")
    revoke(folder, "bank-2")
    for party in ("gateway", "bank-1", "key-authority"):
        after = Credentials.read(folder / party, role_of(party)).roster
        assert after.parties == tuple(name for name in before.parties if name != "bank-2")
        assert after.named("bank-2").public == before.named("bank-2").public
        assert after.holding(before.named("bank-2").certificate) is None
        assert after.digest != before.digest
    with pytest.raises(ConfigurationError, match="not in the roster"):
        Credentials.read(folder / "bank-2", "bank")
    with pytest.raises(ConfigurationError, match="bank-9 is not in the roster"):
        revoke(folder, "bank-9")
    with pytest.raises(DataError, match="an authority and its key"):
        revoke(folder / "bank-1", "bank-3")


def role_of(party: str) -> Role:
    return "bank" if party == "bank-1" else "gateway" if party == "gateway" else "holder"


@pytest.mark.parametrize(
    "host", ["", "bad host", "http://a", "\N{LATIN SMALL LETTER A WITH DIAERESIS}.example", "a" * 64]
)
def test_a_host_that_cannot_be_is_refused_before_anything_is_made(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match="no host's name"):
        make_certificates(tmp_path / "c", Experiment(), ["localhost", host])
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "a.example", "bank_1", "xn--4ca.example"])
def test_names_and_addresses_of_hosts_are_taken(tmp_path: Path, host: str) -> None:
    make_certificates(tmp_path / "c", Experiment(scheme="plaintext"), [host])


def test_a_folder_or_a_passphrase_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "in"):
        with pytest.raises(ConfigurationError, match="cannot be written"):
            make_certificates(folder, Experiment(), ["localhost"])
    with pytest.raises(ConfigurationError, match="a passphrase has 1 to 1023 bytes"):
        make_certificates(tmp_path / "c", Experiment(), ["localhost"], passphrase=b"x" * 1024)


def test_a_roster_that_never_ends_is_no_roster(folder: Path) -> None:
    (folder / "bank-1" / ROSTER).write_text("[" * 100_000)
    with pytest.raises(DataError, match="is no roster"):
        Credentials.read(folder / "bank-1", "bank")
