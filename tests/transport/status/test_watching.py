"""The status page by real requests: who gets it and who does not, how streams begin and end, and who reads slowly."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from secure_fl.transport.credentials import Credentials
from secure_fl.transport.orders import ASK, About
from secure_fl.transport.roster import Roster
from secure_fl.transport.status import watching
from secure_fl.transport.status.local import HOST
from secure_fl.transport.status.page import policy
from secure_fl.transport.status.watching import OF_ONE, STREAMS
from tests.transport.sandbox import Door, bare_context, certificates, door
from tests.transport.status import made_up
from tests.transport.status.served import Shown, client, events, local

CANARY = "canary-93ab"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("watching") / "c", scheme="plaintext")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "NEW_SECONDS", 0.02)


@pytest.fixture
def gateway(folder: Path) -> Iterator[Door]:
    with door(folder) as opened:
        yield opened


@pytest.fixture
def shown() -> Shown:
    return Shown(made_up.status(), made_up.NOW)


def test_any_certificate_of_the_roster_gets_the_page_and_its_events(gateway: Door) -> None:
    for who in ("bank-1", "bank-2"):
        with gateway.client(gateway.context(who)) as bank:
            page = bank.get("/status")
            assert (page.status_code, page.headers["content-security-policy"]) == (200, policy())
            assert "Waiting for" in page.text
            with bank.stream("GET", "/status/events") as stream:
                name, said = next(events(stream))
                assert (stream.headers["content-type"], name) == ("text/event-stream; charset=utf-8", "status")
                assert "Waiting for" in said["html"]


@pytest.mark.parametrize("path", ["/status", "/status/events"])
def test_whoever_is_not_in_the_roster_gets_neither(folder: Path, path: str) -> None:
    roster: Roster = Credentials.read(folder / "gateway", "gateway").roster
    with door(folder, roster.without("bank-2")) as opened:
        with opened.client(opened.context("bank-2")) as revoked:
            assert first_status(revoked, path) == 403
        with opened.client(bare_context(folder / "gateway" / "ca.pem")) as nobody, pytest.raises(httpx2.TransportError):
            first_status(nobody, path)
        with opened.client(opened.context("bank-1")) as bank:
            assert bank.get("/status").status_code == 200
            assert "not in the roster 1" in bank.get("/status").text


def test_what_the_service_counts_is_what_the_page_shows(gateway: Door) -> None:
    number = gateway.post.send("bank-1", ASK, None, {"stage": "upload"}, bytes(1_000))
    with gateway.client(gateway.context("bank-1")) as bank:
        order = bank.get("/orders").content
        bank.post(f"/answers/{number}?epoch={gateway.post.epoch}", content=bytes(123_456))
        metrics = bank.get("/metrics").text
        page = bank.get("/status").text
    assert f'secure_fl_sent_bytes_total{{party="bank-1"}} {float(len(order))}' in metrics
    assert gateway.chronicle.status().in_all.sent == len(order)
    assert gateway.chronicle.status().in_all.received == 123_456
    assert "123.5 kB" in page


def test_no_payload_is_in_the_page_or_in_its_events(gateway: Door) -> None:
    about = About(CANARY, 1, 1, 1, CANARY)
    gateway.chronicle.began(1)
    number = gateway.post.send("bank-1", ASK, about, {"stage": "upload", "mean": CANARY}, CANARY.encode())
    with gateway.client(gateway.context("bank-1")) as bank, bank.stream("GET", "/status/events") as stream:
        said = events(stream)
        assert "upload" in next(said)[1]["html"]
        with gateway.client(gateway.context("bank-1")) as other:
            assert CANARY.encode() in other.get("/orders").content
            other.post(f"/answers/{number}?epoch={gateway.post.epoch}", content=CANARY.encode())
            page = other.get("/status").text
        after = next(said)[1]["html"]
        assert "upload" in page
        assert CANARY not in page + after


def test_an_event_comes_when_something_is_new_and_not_before(shown: Shown) -> None:
    with local(shown) as port, client(port) as browser, browser.stream("GET", "/status/events") as stream:
        said = events(stream)
        assert "Round 7 of 12" in next(said)[1]["html"]
        shown.now += 100  # time alone is nothing new
        time.sleep(0.2)
        shown.told = replace(shown.told, round=8)
        assert "Round 8 of 12" in next(said)[1]["html"]


def test_a_stream_ends_with_the_gateway_and_says_how_it_ended(shown: Shown) -> None:
    with local(shown) as port, client(port) as browser, browser.stream("GET", "/status/events") as stream:
        said = events(stream)
        next(said)
        shown.told = made_up.given_up()
        assert [(name, "has given up" in event.get("html", "")) for name, event in said] == [
            ("status", True),
            ("end", False),
        ]


def test_a_server_that_stops_does_not_wait_for_whoever_watches(shown: Shown) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(local(shown))
        browser = stack.enter_context(client(port))
        stream = stack.enter_context(browser.stream("GET", "/status/events"))
        next(events(stream))
        shown.told = replace(shown.told, ended=True)
        started = time.monotonic()
        stack.pop_all().close()
        assert time.monotonic() - started < 5


def test_so_many_streams_and_no_more(shown: Shown) -> None:
    with local(shown) as port, client(port, limits=httpx2.Limits(max_connections=None)) as browser:
        with ExitStack() as stack:
            for _ in range(STREAMS):
                stream = stack.enter_context(browser.stream("GET", "/status/events"))
                assert stream.status_code == 200
            assert first_status(browser) == 503
            assert browser.get("/status").status_code == 200
        deadline = time.monotonic() + 10
        while (code := first_status(browser)) == 503 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert code == 200


def first_status(browser: httpx2.Client, path: str = "/status/events") -> int:
    """Of an answer that may have no end."""
    with browser.stream("GET", path) as stream:
        return stream.status_code


def test_one_party_cannot_take_all_streams(gateway: Door) -> None:
    with gateway.client(gateway.context("bank-1")) as bank, ExitStack() as stack:
        for _ in range(OF_ONE):
            stack.enter_context(bank.stream("GET", "/status/events"))
        assert first_status(bank) == 503
        with gateway.client(gateway.context("bank-2")) as other:
            assert first_status(other) == 200


@pytest.mark.slow
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_who_does_not_read_is_hung_up_on_and_holds_up_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch, secured: bool
) -> None:
    monkeypatch.setattr(watching, "SLOW_SECONDS", 0.5)
    shown = Shown(made_up.crowded(), made_up.NOW)
    changing = threading.Event()

    def change() -> None:
        while not changing.wait(0.02):
            shown.told = replace(shown.told, began=shown.told.began + 1)

    worker = threading.Thread(target=change, daemon=True)
    worker.start()
    with ExitStack() as stack:
        stack.callback(changing.set)
        if secured:
            opened = stack.enter_context(door(folder))
            monkeypatch.setattr(opened.service._watching, "_watched", shown)
            wire: socket.socket = stack.enter_context(opened.socket("bank-1"))
            browser = stack.enter_context(opened.client(opened.context("bank-2")))
        else:
            port = stack.enter_context(local(shown))
            wire = stack.enter_context(socket.create_connection((HOST, port), timeout=30))
            browser = stack.enter_context(client(port))
        wire.sendall(b"GET /status/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        with browser.stream("GET", "/status/events") as stream:
            said = events(stream)
            started = time.monotonic()
            while time.monotonic() - started < 3:
                assert next(said)[0] == "status"
        with pytest.raises(OSError):  # noqa: PT011  of whatever kind
            drain(wire)


def drain(wire: socket.socket) -> None:
    """Reads what is there, to the end if there is one, which is an error."""
    wire.settimeout(3)
    with suppress(TimeoutError):
        while wire.recv(1 << 20):
            pass
        raise ConnectionResetError("it was closed")


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1:{port}", 200),
        ("attacker.example", 403),
        ("attacker.example:{port}", 403),
        ("localhost.attacker.example:{port}", 403),
        ("127.0.0.1.attacker.example", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("path", ["/status", "/status/events"])
def test_a_name_that_was_made_to_point_here_gets_nothing(shown: Shown, path: str, host: str, code: int) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(local(shown))
        browser = stack.enter_context(client(port))
        answer = stack.enter_context(browser.stream("GET", path, headers={"host": host.format(port=port)}))
        assert answer.status_code == code
        assert code == 200 or answer.read() == b"not for this host\n"


def test_a_page_of_another_site_gets_no_stream(shown: Shown) -> None:
    with local(shown) as port, client(port) as browser:
        for site, code in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
            with browser.stream("GET", "/status/events", headers={"sec-fetch-site": site}) as answer:
                assert answer.status_code == code
                assert "access-control-allow-origin" not in answer.headers


def test_the_page_on_this_machine_is_all_that_is_there(shown: Shown) -> None:
    with local(shown) as port, client(port) as browser:
        for path in ("/", "/metrics", "/orders", "/answers/1", "/health", "/status/other"):
            assert browser.get(path).status_code == 404
        assert browser.post("/status").status_code == 405


def test_it_listens_on_this_machine_s_own_address_alone(shown: Shown) -> None:
    with local(shown) as port:
        for other in ("127.0.0.2", "::1"):
            family = socket.AF_INET6 if ":" in other else socket.AF_INET
            with socket.socket(family) as wire, pytest.raises(OSError):  # noqa: PT011
                wire.connect((other, port))
