"""Who gets through the gateway's door, at a real server: TLS 1.3, a certificate of the authority, and in the roster."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from starlette.types import Receive, Scope, Send

from secure_fl.errors import ConfigurationError, MessageError, ProtocolError
from secure_fl.settings import Experiment
from secure_fl.transport import serving
from secure_fl.transport.certificates import (
    AUTHORITY,
    AUTHORITY_KEY,
    CERTIFICATE,
    KEY,
    SCORER,
    make_certificates,
    revoke,
)
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.orders import FINISHED, HELLO, Order
from secure_fl.transport.party import Connection, take_part
from secure_fl.transport.roster import Roster
from secure_fl.transport.serving import Server
from tests.transport.sandbox import LARGEST, Door, bare_context, certificates, door

REFUSED = (httpx2.TransportError, OSError)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("tls") / "c", scheme="ckks")


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[Door]:
    with door(folder) as opened:
        yield opened


def s_client(gateway: Door, *options: str) -> subprocess.CompletedProcess[bytes]:
    """OpenSSL's own client, which says hello and then asks for /health."""
    command = [
        "openssl",
        "s_client",
        "-connect",
        f"localhost:{gateway.port}",
        "-CAfile",
        str(gateway.folder / AUTHORITY),
    ]
    command += ["-verify_return_error", "-ign_eof", *options]
    request = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    return subprocess.run(command, input=request, capture_output=True, timeout=30, check=False)


def shown(gateway: Door, who: str) -> list[str]:
    return ["-cert", str(gateway.folder / who / CERTIFICATE), "-key", str(gateway.folder / who / KEY)]


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl; apt install openssl")


@needs_openssl
def test_openssl_gets_through_with_tls_1_3_and_a_listed_certificate_alone(gateway: Door) -> None:
    old = s_client(gateway, "-tls1_2", *shown(gateway, "bank-1"))
    assert old.returncode != 0
    assert b"Cipher is (NONE)" in old.stdout
    bare = s_client(gateway, "-tls1_3")
    assert bare.returncode != 0
    assert b"200 OK" not in old.stdout + bare.stdout
    assert b"200 OK" in s_client(gateway, "-tls1_3", *shown(gateway, "bank-1")).stdout


def test_tls_1_2_is_refused(gateway: Door) -> None:
    context = gateway.context("bank-1")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    with pytest.raises(REFUSED), gateway.client(context) as client:
        client.get("/health")


def test_without_a_certificate_nothing_is_answered(gateway: Door) -> None:
    with pytest.raises(REFUSED), gateway.client(bare_context(gateway.folder / AUTHORITY)) as client:
        client.get("/health")


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a hello that stops"])
def test_a_handshake_that_does_not_get_on_is_hung_up_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(serving, "HANDSHAKE_SECONDS", 0.2)
    with door(folder) as opened, socket.create_connection(("localhost", opened.port), timeout=10) as silent:
        silent.sendall(begun)
        assert silent.recv(1) == b""
        with opened.client(opened.context("bank-1")) as client:
            assert client.get("/health").status_code == 200


def test_a_listed_certificate_is_let_in(gateway: Door) -> None:
    for who in ("bank-1", "key-authority"):
        with gateway.client(gateway.context(who)) as client:
            assert client.get("/health").text == "ok\n"
            assert "secure_fl_round" in client.get("/metrics").text


def certified(
    folder: Path, name: str, authority: Path, valid: tuple[int, int] = (-1, 30), *, own_authority: bool = False
) -> ssl.SSLContext:
    """A client with a certificate for `name` that the test made; days of validity from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    if own_authority:
        issuer, signer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secure_fl sandbox authority")]), key
    else:
        issuer = x509.load_pem_x509_certificate((authority / AUTHORITY).read_bytes()).subject
        signer = load_pem_private_key((authority / AUTHORITY_KEY).read_bytes(), None)  # type: ignore[assignment]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=valid[0]))
        .not_valid_after(now + timedelta(days=valid[1]))
        .sign(signer, SHA256())
    )
    (folder / "made.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "made.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = bare_context(authority / AUTHORITY)
    context.load_cert_chain(folder / "made.pem", folder / "made.key")
    return context


def test_another_authority_s_certificate_for_the_same_name_is_refused(gateway: Door, tmp_path: Path) -> None:
    foreign = certified(tmp_path, "bank-1", gateway.folder, own_authority=True)
    with pytest.raises(REFUSED), gateway.client(foreign) as client:
        client.get("/health")


@pytest.mark.parametrize("valid", [(-30, -1), (1, 30)], ids=["expired", "not yet valid"])
def test_a_certificate_out_of_its_time_is_refused(gateway: Door, tmp_path: Path, valid: tuple[int, int]) -> None:
    with pytest.raises(REFUSED), gateway.client(certified(tmp_path, "bank-1", gateway.folder, valid)) as client:
        client.get("/health")


def test_the_authority_s_certificate_for_a_listed_name_is_not_the_listed_one(gateway: Door, tmp_path: Path) -> None:
    with gateway.client(certified(tmp_path, "bank-1", gateway.folder)) as client:
        for ask in ("/health", "/metrics", "/orders"):
            assert client.get(ask).status_code == 403
        assert client.post("/answers/1", content=b"x").status_code == 403


def test_who_was_taken_out_of_the_roster_is_out_and_its_client_says_so(folder: Path) -> None:
    roster = Credentials.read(folder / "gateway", "gateway").roster
    gone = dataclasses.replace(roster, members=tuple(m for m in roster.members if m.name != "bank-2"))
    for without in (gone, roster.without("bank-2")):
        refuse_bank_2(folder, without)


def refuse_bank_2(folder: Path, without: Roster) -> None:
    with door(folder, without) as opened:
        connection = Connection(f"https://localhost:{opened.port}", opened.context("bank-2"), LARGEST)
        with pytest.raises(ConfigurationError, match="without this party"):
            take_part(connection, lambda order: b"")
        connection.close()


def test_the_gateway_s_own_certificate_gets_no_orders(gateway: Door) -> None:
    context = bare_context(gateway.folder / AUTHORITY)
    context.load_cert_chain(gateway.folder / "gateway" / CERTIFICATE, gateway.folder / "gateway" / KEY)
    with pytest.raises(REFUSED), gateway.client(context) as client:  # it is for servers alone
        client.get("/orders")


def test_a_bank_that_poses_as_the_gateway_is_refused_by_the_others(gateway: Door) -> None:
    posing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    posing.load_cert_chain(gateway.folder / "bank-2" / CERTIFICATE, gateway.folder / "bank-2" / KEY)
    with Server(gateway.service.app, posing, "127.0.0.1", 0) as server:
        connection = Connection(f"https://localhost:{server.port}", gateway.context("bank-1"), LARGEST)
        with pytest.raises(ConfigurationError, match="not of the federation's authority"):
            take_part(connection, lambda order: b"")
        connection.close()


def test_a_scorer_that_poses_as_the_gateway_gets_no_party(tmp_path: Path) -> None:
    """Its certificate is the authority's, for a server, and for the same names."""
    folder = tmp_path / "c"
    make_certificates(folder, Experiment(scheme="plaintext"), ["localhost"], customers=("corner",))
    posing = Credentials.read(folder / SCORER, "scorer").server_context()
    with door(folder) as opened, Server(opened.service.app, posing, "127.0.0.1", 0) as server:
        opened.post.send("bank-1", FINISHED)
        connection = Connection(f"https://localhost:{server.port}", opened.context("bank-1"), LARGEST)
        with pytest.raises(ConfigurationError, match="not in the roster"):
            take_part(connection, lambda order: b"")
        connection.close()


def test_a_gateway_whose_certificate_was_revoked_gets_no_party(tmp_path: Path) -> None:
    folder = certificates(tmp_path / "c", scheme="plaintext")
    with door(folder) as opened:
        opened.post.send("bank-1", FINISHED)
        revoke(folder, "gateway")
        connection = Connection(f"https://localhost:{opened.port}", opened.context("bank-1"), LARGEST)
        with pytest.raises(ConfigurationError, match="not in the roster"):
            take_part(connection, lambda order: b"")
        connection.close()


def test_a_bank_answers_its_own_orders_alone_whatever_it_says_its_name_is(gateway: Door) -> None:
    number = gateway.post.send("bank-2", HELLO)
    with gateway.client(gateway.context("bank-1")) as liar:
        said = liar.post(
            f"/answers/{number}", params={"epoch": gateway.post.epoch, "name": "bank-2"}, content=b"lie",
            headers={"x-party": "bank-2"},
        )  # fmt: skip
    assert said.status_code == 409
    with gateway.client(gateway.context("bank-2")) as client:
        order = Order.from_bytes(client.get("/orders", params={"after": 0}).content)
        assert (order.number, order.kind) == (number, HELLO)
    assert dict(gateway.post.collect({"bank-2": number}, 0)) == {}


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"])
def test_a_proxy_of_the_environment_is_not_used(gateway: Door, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")  # where nobody listens
    gateway.post.send("bank-3", HELLO)
    connection = Connection(f"https://localhost:{gateway.port}", gateway.context("bank-3"), LARGEST)
    order = connection.next()
    connection.close()
    assert order is not None
    assert order.kind == HELLO


def test_an_expired_certificate_is_said_at_the_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=365)

    monkeypatch.setattr("secure_fl.transport.credentials.datetime", Later)
    with pytest.raises(ConfigurationError, match="has expired"):
        Credentials.read(folder / "bank-1", "bank")


def test_a_last_model_that_is_refused_is_no_end_that_is_well(gateway: Door) -> None:
    gateway.post.send("bank-3", FINISHED, body=b"no model")
    connection = Connection(f"https://localhost:{gateway.port}", gateway.context("bank-3"), LARGEST)

    def refuse(order: Order) -> bytes:
        raise MessageError("it cannot be read; ask for it again")

    with pytest.raises(ProtocolError, match=r"ends the federation with no model \(it cannot be read\)"):
        take_part(connection, refuse)
    connection.close()


@pytest.mark.parametrize("packed", [False, True], ids=["as it is", "packed"])
def test_a_gateway_that_sends_without_end_takes_no_more_memory_than_an_order(folder: Path, *, packed: bool) -> None:
    sent = 0

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        headers = [(b"content-encoding", b"gzip")] if packed else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        piece = gzip.compress(bytes(1 << 22)) if packed else bytes(1 << 16)
        while sent < 64 * LARGEST:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += len(piece)

    context = Credentials.read(folder / "gateway", "gateway").server_context()
    with Server(endless, context, "127.0.0.1", 0) as server:
        asked = Credentials.read(folder / "bank-1", "bank").client_context()
        connection = Connection(f"https://localhost:{server.port}", asked, LARGEST)
        with pytest.raises(MessageError, match="more than any order has"):
            connection.next()
        connection.close()
