"""What one party asks too often is refused, late, and to that party alone; its own client waits as it is told."""

from __future__ import annotations

import inspect
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from secure_fl.errors import ConfigurationError
from secure_fl.transport import rates
from secure_fl.transport.configuration import GatewayFile
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.orders import FINISHED, HELLO, Order
from secure_fl.transport.party import LONGEST_PAUSE, Connection, take_part
from secure_fl.transport.rates import SAVED, Buckets
from secure_fl.transport.scores.wire import Patience, Wire
from secure_fl.transport.serving import CONNECTIONS, Server
from tests.transport.sandbox import LARGEST, Door, certificates, door
from tests.transport.test_post import Clock

FULL = 40
"""Tokens of a party, at the least rate that a gateway's file may have: ten a second."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("rates") / "c", scheme="plaintext")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateway(folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """Whose tokens come back as the test says."""
    monkeypatch.setattr(rates, "HELD", 0.05)
    with door(folder, body_seconds=5, buckets=Buckets(FULL / SAVED, clock)) as opened:
        yield opened


def test_tokens_come_back_evenly_and_are_saved_up_for_a_while(clock: Clock) -> None:
    buckets = Buckets(10, clock)
    assert [buckets.take("one") for _ in range(FULL)] == [0] * FULL
    assert buckets.take("one") == pytest.approx(0.1)
    clock.now += 0.05
    assert buckets.take("one") == pytest.approx(0.05)  # one that was refused takes nothing
    clock.now += 0.05
    assert (buckets.take("one"), buckets.take("one") > 0) == (0, True)
    clock.now += 1e9
    assert [buckets.take("one") > 0 for _ in range(FULL + 1)] == [False] * FULL + [True]


def test_each_has_a_bucket_of_its_own_and_a_full_one_is_enough_for_anything(clock: Clock) -> None:
    buckets = Buckets(10, clock)
    assert buckets.take("one", 1e12) == 0
    assert buckets.take("one") > 0
    assert buckets.take("other", FULL) == 0
    assert buckets.take("other", 20) == pytest.approx(2)


def test_no_clock_that_somebody_sets_gives_tokens_or_takes_them() -> None:
    assert inspect.signature(Buckets).parameters["clock"].default is time.monotonic


def test_who_asks_too_often_is_refused_until_it_has_waited_and_the_others_are_served(
    gateway: Door, clock: Clock
) -> None:
    with gateway.client(gateway.context("bank-1")) as one, gateway.client(gateway.context("bank-2")) as other:
        assert {one.get("/health").status_code for _ in range(FULL)} == {200}
        begun = time.monotonic()
        refused = one.get("/health")
        assert time.monotonic() - begun >= rates.HELD
        assert (refused.status_code, refused.text, refused.headers["retry-after"]) == (429, "too many a second\n", "1")
        assert other.post("/alive").status_code == 204
        metrics = other.get("/metrics").text
        clock.now += 0.1
        assert (one.get("/health").status_code, one.get("/health").status_code) == (200, 429)
    assert 'secure_fl_throttled_requests_total{party="bank-1"} 1.0' in metrics
    assert 'secure_fl_refused_requests_total{reason="too many a second"} 1.0' in metrics
    assert 'throttled_requests_total{party="bank-2"}' not in metrics


def test_many_connections_of_one_party_have_one_bucket(gateway: Door) -> None:
    context = gateway.context("bank-1")
    said = []
    for _ in range(5):
        with gateway.client(context) as client:
            said += [client.get("/health").status_code for _ in range(10)]
    assert said == [200] * FULL + [429] * 10


def test_who_is_in_no_roster_takes_from_nobody_s_bucket(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "HELD", 0.05)
    listed = Credentials.read(folder / "gateway", "gateway").roster.without("bank-1").without("bank-3")
    with door(folder, listed, buckets=Buckets(10, clock)) as opened:
        for who, codes in (("bank-1", [403] * FULL + [429]), ("bank-3", [429]), ("bank-2", [200] * FULL)):
            with opened.client(opened.context(who)) as client:
                assert [client.get("/health").status_code for _ in codes] == codes


def test_so_many_connections_of_one_certificate_and_no_more(gateway: Door) -> None:
    held = [gateway.socket("bank-1") for _ in range(CONNECTIONS)]
    with pytest.raises((httpx2.TransportError, OSError)), gateway.client(gateway.context("bank-1")) as client:
        client.get("/health")
    with gateway.client(gateway.context("bank-2")) as client:
        assert client.get("/health").status_code == 200
    held.pop().close()
    time.sleep(0.1)
    with gateway.client(gateway.context("bank-1")) as client:
        assert client.get("/health").status_code == 200
    for wire in held:
        wire.close()


@pytest.mark.parametrize(
    "line",
    [
        "GET /health", "POST /alive", "GET /status/events", "GET /orders?after=9999", "POST /answers/77?epoch=EPOCH",
        "GET /nowhere", "POST /answers/x?epoch=EPOCH",
    ],
)  # fmt: skip
@pytest.mark.parametrize("length", ["content-length: 100000", "transfer-encoding: chunked"])
def test_a_body_that_nobody_wants_is_hung_up_on(gateway: Door, line: str, length: str, clock: Clock) -> None:
    """Buffers of the system take some of it; without an end it would keep the gateway reading."""
    head = f"{line.replace('EPOCH', gateway.post.epoch)} HTTP/1.1\r\nhost: x\r\n{length}0000000\r\n\r\n"
    piece = bytes(1 << 16)
    if "chunked" in length:
        head, piece = head.replace("chunked0000000", "chunked"), b"10000\r\n" + piece + b"\r\n"
    with gateway.socket("bank-1") as wire:
        wire.sendall(head.encode())
        with pytest.raises(OSError):  # noqa: PT011  of whatever kind
            send_on(wire, piece)


def send_on(wire: ssl.SSLSocket, piece: bytes) -> None:
    """32 MiB of it."""
    for _ in range(512):
        wire.sendall(piece)


def test_a_large_answer_takes_tokens_by_its_length(gateway: Door) -> None:
    number = gateway.post.send("bank-1", HELLO)
    with gateway.client(gateway.context("bank-1")) as client:
        said = [
            client.post(f"/answers/{number}?epoch={gateway.post.epoch}", content=bytes(3 << 16)).status_code
            for _ in range(11)
        ]
        assert said == [204] * 10 + [429]  # 4 of 40 each


def test_an_answer_that_nobody_waits_for_is_not_read(gateway: Door) -> None:
    head = f"POST /answers/77?epoch={gateway.post.epoch} HTTP/1.1\r\nhost: x\r\ncontent-length: {LARGEST}\r\n\r\n"
    with gateway.socket("bank-1") as wire:
        wire.sendall(head.encode())
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 409")
    assert "bank-1" in gateway.post.present(5)


class Refusing:
    """A gateway that has one order, and says 429 to what it is told to."""

    def __init__(self, refused: list[str], after: str) -> None:
        self.refused, self.after = refused, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in self.refused:
            self.refused.remove(path)
            answer = Response(status_code=429, headers={"retry-after": self.after})
        else:
            answer = Response(Order(1, FINISHED).to_bytes(), headers={"x-epoch": "e"})
        await answer(scope, receive, send)


@pytest.mark.parametrize(
    ("after", "least", "most"),
    [("7", 7, 7), ("0", 0.1, 0.3), ("soon", 0.1, 0.3), ("-5", 0.1, 0.3), ("9" * 400, LONGEST_PAUSE, LONGEST_PAUSE)],
    ids=lambda value: str(value)[:4],
)
def test_a_party_waits_as_it_is_told_and_does_no_order_twice(
    folder: Path, after: str, least: float, most: float
) -> None:
    slept, done = list[float](), list[Order]()

    def do(order: Order) -> bytes:
        done.append(order)
        return b"well"

    server_side = Credentials.read(folder / "gateway", "gateway").server_context()
    with Server(Refusing(["/orders", "/answers/1"], after), server_side, "127.0.0.1", 0) as server:
        asking = Credentials.read(folder / "bank-1", "bank").client_context()
        connection = Connection(f"https://localhost:{server.port}", asking, LARGEST)
        take_part(connection, do, slept.append)
        connection.close()
    assert len(done) == 1
    assert len(slept) == 2
    assert all(least <= seconds <= most + 0.3 for seconds in slept)


def test_a_customer_of_scores_waits_as_it_is_told() -> None:
    slept = list[float]()
    said = [httpx2.Response(429, headers={"retry-after": "4"}, content=iter([b"no"]))]
    said += [httpx2.Response(200, content=iter([b"plan"]))]
    wire = Wire("https://localhost:1", ssl.create_default_context(), lambda said: None, Patience(sleep=slept.append))
    wire.close()
    wire._client = httpx2.Client(base_url="https://localhost:1", transport=httpx2.MockTransport(lambda r: said.pop(0)))
    assert wire.plan(5_000) == b"plan"
    assert slept == [4.0]


@pytest.mark.parametrize("rate", ["0", "-1", "9.9", "nan", "inf", '"many"'])
def test_a_rate_that_cannot_be_is_refused_by_name(tmp_path: Path, rate: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'certificates = "c"\nstate = "s"\nrequests_per_second = {rate}\n')
    with pytest.raises(ConfigurationError, match="requests_per_second"):
        GatewayFile.read(file)
