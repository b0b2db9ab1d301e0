"""What a listed party can send to the gateway, at a real server: nothing of it stops the others or counts twice."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from secure_fl.transport import serving
from secure_fl.transport.orders import ASK, HELLO, Order
from secure_fl.transport.requests import AT_ONCE
from secure_fl.transport.service import ROOM, SMALL
from tests.transport.sandbox import LARGEST, Door, certificates, door


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("requests") / "c", scheme="plaintext")


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[Door]:
    with door(folder) as opened:
        yield opened


def post(gateway: Door, who: str, number: int, content: bytes | Iterator[bytes], epoch: str = "") -> httpx2.Response:
    with gateway.client(gateway.context(who)) as client:
        said = {"epoch": epoch or gateway.post.epoch}
        return client.post(f"/answers/{number}", params=said, content=content)


def answers(gateway: Door, who: str, number: int) -> list[bytes]:
    return [data for _, data in gateway.post.collect({who: number}, 0)]


def test_an_answer_that_comes_again_is_heard_and_counts_once(gateway: Door) -> None:
    number = gateway.post.send("bank-1", HELLO)
    assert post(gateway, "bank-1", number, b"one").status_code == 204
    assert post(gateway, "bank-1", number, b"one").status_code == 204
    assert post(gateway, "bank-1", number, b"two").status_code == 409
    assert answers(gateway, "bank-1", number) == [b"one"]
    assert post(gateway, "bank-1", number, b"one").status_code == 204
    assert answers(gateway, "bank-1", number) == []


def test_answers_to_old_and_to_coming_orders_and_of_another_epoch_do_not_count(gateway: Door) -> None:
    old, number = gateway.post.send("bank-1", HELLO), gateway.post.send("bank-1", ASK)
    assert post(gateway, "bank-1", old, b"late").status_code == 409
    assert post(gateway, "bank-1", number + 1, b"early").status_code == 409
    assert post(gateway, "bank-1", number, b"stale", epoch="0" * 16).status_code == 409
    assert answers(gateway, "bank-1", number) == []


def test_an_answer_after_the_stage_is_not_waited_for(gateway: Door) -> None:
    number = gateway.post.send("bank-1", ASK)
    assert answers(gateway, "bank-1", number) == []
    assert post(gateway, "bank-1", number, b"late").status_code == 409


@pytest.mark.parametrize("told", [True, False], ids=["length is said", "in chunks"])
def test_a_body_that_is_too_large_is_refused_and_the_next_one_is_heard(gateway: Door, told: bool) -> None:
    number = gateway.post.send("bank-1", ASK)
    content = bytes(LARGEST + 1)
    try:
        said = post(gateway, "bank-1", number, content if told else iter([content])).status_code
    except httpx2.TransportError:  # it was hung up on
        said = 413
    assert said == 413
    assert post(gateway, "bank-1", number, bytes(LARGEST)).status_code == 204
    assert answers(gateway, "bank-1", number) == [bytes(LARGEST)]


@pytest.mark.slow
def test_a_body_that_comes_too_slowly_is_refused(gateway: Door) -> None:
    number = gateway.post.send("bank-1", ASK)

    def drops() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x"
            time.sleep(0.1)

    try:
        said = post(gateway, "bank-1", number, drops()).status_code
    except httpx2.TransportError:
        said = 408
    assert said == 408
    assert answers(gateway, "bank-1", number) == []


def test_a_body_that_is_cut_off_does_not_count(gateway: Door) -> None:
    number = gateway.post.send("bank-1", ASK)
    target = f"/answers/{number}?epoch={gateway.post.epoch}"
    with gateway.socket("bank-1") as wire:
        wire.sendall(f"POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf".encode())
    deadline = time.monotonic() + 10
    while 'reason="cut off"' not in metrics(gateway) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert 'reason="cut off"' in metrics(gateway)
    assert answers(gateway, "bank-1", number) == []


def metrics(gateway: Door) -> str:
    with gateway.client(gateway.context("bank-3")) as client:
        return client.get("/metrics").text


def begin_large(gateway: Door, who: str, number: int) -> ssl.SSLSocket:
    """A large answer that does not come."""
    wire = gateway.socket(who)
    target = f"/answers/{number}?epoch={gateway.post.epoch}"
    wire.sendall(f"POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {SMALL + 1}\r\n\r\n".encode())
    return wire


def test_one_slow_sender_does_not_take_the_room_from_the_others(gateway: Door) -> None:
    first, second = gateway.post.send("bank-1", ASK), gateway.post.send("bank-2", ASK)
    slow = [begin_large(gateway, "bank-1", first) for _ in range(2)]
    time.sleep(0.2)
    assert post(gateway, "bank-1", first, bytes(SMALL + 1)).status_code == 429
    started = time.monotonic()
    assert post(gateway, "bank-2", second, bytes(SMALL + 1)).status_code == 204
    assert time.monotonic() - started < 0.7  # of the second that bank-1 has
    assert answers(gateway, "bank-2", second) == [bytes(SMALL + 1)]
    for wire in slow:
        wire.close()


@pytest.mark.slow
def test_as_many_slow_senders_as_there_is_room_for_hold_others_up_until_their_time_is_over(tmp_path: Path) -> None:
    with door(certificates(tmp_path / "c", scheme="plaintext", banks=ROOM + 1)) as opened:
        slow = [begin_large(opened, f"bank-{n}", opened.post.send(f"bank-{n}", ASK)) for n in range(1, ROOM + 1)]
        last = f"bank-{ROOM + 1}"
        number, begun = opened.post.send(last, ASK), time.monotonic()
        time.sleep(0.3)  # until all of them have the room
        assert post(opened, last, number, bytes(SMALL + 1)).status_code == 204
        assert 0.7 < time.monotonic() - begun < 10
        assert answers(opened, last, number) == [bytes(SMALL + 1)]
        for wire in slow:
            wire.close()


@pytest.mark.slow
def test_of_large_answers_so_many_lie_at_the_gateway_and_the_others_wait_at_their_senders(tmp_path: Path) -> None:
    """So its memory does not grow with the banks, however slowly their answers are added up."""
    size, banks = SMALL + 1, [f"bank-{number}" for number in range(1, 4 * ROOM + 1)]
    with door(certificates(tmp_path / "c", scheme="plaintext", banks=len(banks))) as opened:
        numbers = {bank: opened.post.send(bank, ASK) for bank in banks}
        senders = [threading.Thread(target=post, args=(opened, bank, 1, bytes(size))) for bank in banks]
        for sender in senders:
            sender.start()
        collected, deadline = opened.post.collect(numbers, 60), time.monotonic() + 20
        while taken_in(opened) < ROOM and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.5)  # longer than a body may take
        for already in range(len(banks)):
            assert taken_in(opened) <= already + ROOM
            next(collected)
        assert list(collected) == []
        for sender in senders:
            sender.join(10)
        assert taken_in(opened) == len(banks)


def taken_in(gateway: Door) -> int:
    samples = [sample for metric in gateway.service.meter.answers.collect() for sample in metric.samples]
    return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))


def test_a_party_has_so_many_requests_at_once_and_no_more(gateway: Door) -> None:
    target = f"GET /orders?after=9999&epoch={gateway.post.epoch} HTTP/1.1\r\nhost: x\r\n\r\n"
    held = [gateway.socket("bank-1") for _ in range(AT_ONCE)]
    for wire in held:
        wire.sendall(target.encode())
    time.sleep(0.3)
    with gateway.client(gateway.context("bank-1")) as client:
        assert client.post("/alive").status_code == 429
    for wire in held:
        wire.close()
    time.sleep(0.3)
    with gateway.client(gateway.context("bank-1")) as client:
        assert client.post("/alive").status_code == 204


@pytest.mark.parametrize(
    "line",
    [b"\x00\xff\xfe garbage\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /answers/x HTTP/1.1\r\n\r\n"],
)
def test_a_line_that_is_no_request_is_refused_and_the_others_are_served(gateway: Door, line: bytes) -> None:
    with gateway.socket("bank-1") as wire:
        wire.sendall(line)
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 4")
    with gateway.client(gateway.context("bank-2")) as client:
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none"])
def test_a_page_in_a_browser_with_a_party_s_certificate_is_not_the_party(gateway: Door, site: str) -> None:
    """Four of its long polls would keep the bank itself out, and any site's page can begin them."""
    number = gateway.post.send("bank-2", HELLO)
    said = {"epoch": gateway.post.epoch}
    with gateway.client(gateway.context("bank-2"), headers={"sec-fetch-site": site}) as browser:
        for answer in (
            browser.get("/orders", params={"process": "x"}),
            browser.post("/alive"),
            browser.post(f"/answers/{number}", params=said, content=b"lie"),
        ):
            assert (answer.status_code, answer.text) == (403, "of a page\n")
        assert browser.get("/status").status_code == 200
    assert gateway.post.process("bank-2") != "x"
    assert answers(gateway, "bank-2", number) == []


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 11, "-1", "x", "1.0", "%d9%a1"], ids=lambda number: number[:6])
def test_a_number_that_no_order_has_is_refused_and_fails_nothing(gateway: Door, number: str) -> None:
    with gateway.client(gateway.context("bank-2")) as client:
        answer = client.post(f"/answers/{number}?epoch={gateway.post.epoch}", content=b"x")
    assert (answer.status_code, answer.text) == (400, "not a number\n")


@pytest.mark.parametrize("query", ["after=x", "after=-5&epoch=%00", "after=" + "9" * 300])
def test_questions_that_make_no_sense_are_answered_all_the_same(gateway: Door, query: str) -> None:
    gateway.post.send("bank-2", HELLO)
    with gateway.client(gateway.context("bank-2")) as client:
        assert client.get(f"/orders?{query}").status_code in (200, 400)


def drip(wire: ssl.SSLSocket) -> None:
    """A head, a letter at a time, for five seconds."""
    wire.sendall(b"GET /health HTTP/1.1\r\nx-slow: ")
    for _ in range(50):
        wire.sendall(b"x")
        time.sleep(0.1)


@pytest.mark.slow
def test_a_head_that_never_ends_is_hung_up_on_also_in_a_second_request(
    gateway: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.5)
    for before in (b"", b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"):
        with gateway.socket("bank-1") as wire:
            wire.sendall(before)
            if before:
                assert b"200" in wire.recv(1 << 16)
            started = time.monotonic()
            with pytest.raises(OSError):  # noqa: PT011  of whatever kind
                drip(wire)
            assert time.monotonic() - started < 4


def test_who_hangs_up_while_waiting_is_not_taken_for_waiting(gateway: Door) -> None:
    wire = gateway.socket("bank-3")
    wire.sendall(f"GET /orders?after=9999&epoch={gateway.post.epoch} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    time.sleep(0.3)
    assert "bank-3" in gateway.post.present(-1)
    wire.close()
    time.sleep(0.3)
    assert "bank-3" not in gateway.post.present(-1)


def test_whoever_waits_for_an_order_is_told_when_the_gateway_ends(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else its request would be cancelled, and logged as a failure."""
    said: list[httpx2.Response] = []

    def wait(opened: Door) -> None:
        with opened.client(opened.context("bank-1")) as client:
            said.append(client.get("/orders"))

    with door(folder) as opened:
        waiting = threading.Thread(target=wait, args=(opened,))
        waiting.start()
        assert opened.post.wait_for(["bank-1"], 10)
        opened.post.end()
    waiting.join(10)
    assert [(answer.status_code, answer.text) for answer in said] == [(503, "the gateway ends\n")]
    assert "Exception in ASGI application" not in caplog.text


@pytest.mark.slow
def test_two_hundred_banks_wait_at_once_and_each_gets_its_own_order(tmp_path: Path) -> None:
    with door(certificates(tmp_path / "c", scheme="plaintext", banks=200)) as opened:
        names = [f"bank-{number}" for number in range(1, 201)]
        got: dict[str, bytes] = {}

        def wait(name: str) -> None:
            with opened.client(opened.context(name)) as client:
                got[name] = Order.from_bytes(client.get("/orders").content).body
                client.post(f"/answers/1?epoch={opened.post.epoch}", content=name.encode())

        threads = [threading.Thread(target=wait, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        assert opened.post.wait_for(names, 60)
        numbers = {name: opened.post.send(name, HELLO, body=name.encode()) for name in names}
        assert dict(opened.post.collect(numbers, 60)) == {name: name.encode() for name in names}
        for thread in threads:
            thread.join(10)
        assert got == {name: name.encode() for name in names}
