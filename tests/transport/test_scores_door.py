"""Who gets in at a service of scores, and what a customer can send to it, at a real server with real certificates."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx2
import numpy as np
import pytest

from secure_fl.errors import ConfigurationError, MessageError, ProtocolError, ScoringError
from secure_fl.scoring import DataOwner, ModelOwner
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.secagg.hazmat.he_words import saved
from secure_fl.settings import Experiment
from secure_fl.transport.certificates import AUTHORITY, CERTIFICATE, KEY, SCORER, make_certificates
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.scores.customer import MOST_SESSIONS, Customer
from secure_fl.transport.scores.refusals import BUSY, FAILED, UNKNOWN, UNREADABLE
from secure_fl.transport.scores.service import largest_body
from secure_fl.transport.scores.wire import Patience, Wire
from secure_fl.transport.serving import Server
from tests.report.scored_run import ScoredRun
from tests.transport.sandbox import careless
from tests.transport.sandbox import door as gateway_door
from tests.transport.scoring_scene import HOSTS, Door, context, door, prepare

REFUSED = (httpx2.HTTPError, ssl.SSLError)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("door")


@pytest.fixture(scope="module")
def run(folder: Path) -> ScoredRun:
    return prepare(folder)


@pytest.fixture
def service(folder: Path, run: ScoredRun) -> Iterator[Door]:
    with door(folder, run, body_seconds=1.0) as opened:
        yield opened
        close_wires()


OPEN: list[Wire] = []


@pytest.fixture(autouse=True)
def _close_wires() -> Iterator[None]:
    yield
    close_wires()


def close_wires() -> None:
    while OPEN:
        OPEN.pop().close()


def wire(service: Door, seconds: float = 20.0, url: str = "", trust: ssl.SSLContext | None = None) -> Wire:
    patience = Patience(seconds, sleep=lambda pause: time.sleep(min(pause, 0.05)))
    OPEN.append(Wire(url or service.url, trust or context(service.folder), lambda said: None, patience))
    return OPEN[-1]


def rows_of(service: Door, count: int) -> np.ndarray:
    rng = np.random.default_rng(count)
    return np.clip(rng.normal(0, 1, (count, service.public.plan.features)), -4, 4)


def wanted(service: Door, rows: np.ndarray) -> np.ndarray:
    return service.model.planned.network.logits(rows[:, list(service.public.plan.positions)])


def refusals(service: Door, reason: str) -> float:
    return service.service.meter.registry.get_sample_value("secure_fl_refused_requests_total", {"reason": reason}) or 0


# who


@pytest.mark.parametrize(("who", "role"), [("bank-1", "bank"), ("key-authority", "holder")])
def test_a_party_of_the_federation_is_no_customer(service: Door, who: str, role: str) -> None:
    with service.client(who, role) as client:  # type: ignore[arg-type]
        for answer in (client.get("/plan"), client.get("/metrics"), client.post("/sessions", content=b"x")):
            assert (answer.status_code, answer.text.strip()) == (403, UNKNOWN)


def test_a_customer_gets_nothing_of_a_federation_s_gateway(folder: Path, run: ScoredRun) -> None:
    with gateway_door(folder / "c") as gateway, gateway.client(careless(context(folder))) as client:
        for answer in (client.get("/orders"), client.get("/metrics"), client.post("/answers/1", content=b"x")):
            assert answer.status_code == 403


def test_a_page_in_a_browser_with_a_customer_s_certificate_is_not_the_customer(service: Door) -> None:
    with service.client() as browser:
        for path in ("/sessions", "/scores"):
            answer = browser.post(path, content=b"x", headers={"sec-fetch-site": "cross-site"})
            assert (answer.status_code, answer.text) == (403, "of a page\n")


def test_without_a_certificate_nothing_is_served(service: Door) -> None:
    bare = ssl.create_default_context(cafile=service.folder / "c" / AUTHORITY)
    with pytest.raises(REFUSED), httpx2.Client(base_url=service.url, verify=bare, trust_env=False) as client:
        client.get("/plan")


def test_tls_1_2_is_not_spoken(service: Door) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(service.folder / "c" / AUTHORITY)
    old.load_cert_chain(service.folder / "c" / "corner" / CERTIFICATE, service.folder / "c" / "corner" / KEY)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("localhost", service.port)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")


def test_who_was_taken_out_of_the_roster_is_told_in_one_line(folder: Path, run: ScoredRun) -> None:
    roster = Credentials.read(folder / "c" / SCORER, "scorer").roster.without("corner")
    with door(folder, run, roster=roster) as opened:
        with pytest.raises(ConfigurationError, match="without this customer"):
            Customer(wire(opened))
        close_wires()


def test_a_gateway_that_poses_as_the_service_gets_nothing(service: Door) -> None:
    posing = Credentials.read(service.folder / "c" / "gateway", "gateway").server_context()
    with Server(service.service.app, posing, "127.0.0.1", 0) as server:
        with pytest.raises(ConfigurationError, match="not in its roster"):
            Customer(wire(service, url=f"https://localhost:{server.port}"))
        close_wires()


def test_a_service_with_a_stranger_s_certificate_gets_nothing(service: Door, tmp_path: Path) -> None:
    make_certificates(tmp_path / "c", Experiment(), HOSTS, customers=("corner",))
    posing = Credentials.read(tmp_path / "c" / SCORER, "scorer").server_context()
    with Server(service.service.app, posing, "127.0.0.1", 0) as server:
        url = f"https://localhost:{server.port}"
        with pytest.raises(ConfigurationError, match="not of the customer's authority"):
            Customer(wire(service, url=url))
    with pytest.raises(ConfigurationError, match="not of the customer's authority"):
        Customer(wire(service, trust=context(tmp_path)))


def test_a_certificate_that_the_service_does_not_take_is_said_in_one_line(service: Door, tmp_path: Path) -> None:
    """Of another authority, by a customer that trusts the service's."""
    make_certificates(tmp_path / "c", Experiment(), HOSTS, customers=("corner",))
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.load_verify_locations(service.folder / "c" / AUTHORITY)
    trust.load_cert_chain(tmp_path / "c" / "corner" / CERTIFICATE, tmp_path / "c" / "corner" / KEY)
    with pytest.raises(ConfigurationError, match="it does not take this certificate"):
        Customer(wire(service, trust=trust))


# what


def test_a_table_is_scored_as_in_one_process(service: Door) -> None:
    rows = rows_of(service, 2100)
    scored = Customer(wire(service)).score(rows)
    assert len(scored.batches) == 2
    assert np.abs(scored.logits - wanted(service, rows)).max() <= service.public.plan.error_bound


def test_a_body_that_is_too_large_is_refused_and_another_then_taken(service: Door) -> None:
    with service.client() as client:
        assert client.post("/scores", content=b"x" * (largest_body(service.public.plan) + 1)).status_code == 413
        assert client.post("/scores", content=b"x").text.strip() == UNREADABLE


def test_a_slow_body_is_cut_off_and_stops_nobody(service: Door) -> None:
    def drops() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x"
            time.sleep(0.1)

    with service.client() as slow, service.client("other") as quick:
        said: list[int] = []
        sending = threading.Thread(target=lambda: said.append(slow.post("/scores", content=drops()).status_code))
        sending.start()
        assert quick.get("/health").status_code == 200
        assert quick.post("/scores", content=b"x").status_code == 400
        sending.join()
    assert said == [408]


def test_a_customer_sends_one_body_at_a_time(service: Door) -> None:
    begun = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"x"
        begun.set()
        time.sleep(0.6)

    with service.client() as one, service.client() as two:
        sending = threading.Thread(target=lambda: one.post("/scores", content=slowly()))
        sending.start()
        begun.wait()
        time.sleep(0.1)
        answer = two.post("/scores", content=b"x")
        sending.join()
    assert (answer.status_code, answer.text.strip()) == (429, BUSY)


def test_a_secret_key_is_refused_and_said_in_no_answer(service: Door) -> None:
    owner = DataOwner(service.public.plan)
    with service.client() as client:
        answer = client.post("/sessions", content=saved(owner._key._key))
    assert (answer.status_code, answer.text.strip()) == (400, UNREADABLE)
    assert len(service.sessions) == 0


def test_a_defect_in_the_computation_is_an_answer_and_not_the_end(
    service: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> bytes:
        raise RuntimeError("a row's number")

    with monkeypatch.context() as patch, service.client() as client:
        patch.setattr(service.sessions, "answer", broken)
        answer = client.post("/scores", content=b"x")
    assert (answer.status_code, answer.text.strip()) == (500, FAILED)
    rows = rows_of(service, 3)
    assert len(Customer(wire(service)).score(rows).logits) == 3


def test_metrics_count_and_name_nobody(service: Door) -> None:
    Customer(wire(service)).score(rows_of(service, 3))
    with service.client("other") as client:
        text = client.get("/metrics").text
    assert "secure_fl_scored_batches_total 1.0" in text
    assert "secure_fl_scoring_sessions 1.0" in text
    assert "corner" not in text


# what goes wrong on the way, and services that lie


class Cutting:
    """Passes bytes on, and once closes the connection in the place of so many bytes of an answer."""

    def __init__(self, port: int, after: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._to, self._left, self.cuts = port, after, 0
        self.url = f"https://localhost:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(here,)))
                self._threads[-1].start()

    def _serve(self, here: socket.socket) -> None:
        with here, socket.create_connection(("localhost", self._to)) as there:
            back = threading.Thread(target=self._pass, args=(there, here, True))
            back.start()
            self._pass(here, there, False)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if answers and not self.cuts:
                    self._left -= len(data)
                    if self._left < 0:
                        self.cuts += 1
                        break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()


def test_a_batch_whose_answer_was_lost_is_sent_again_and_counted_once(folder: Path, run: ScoredRun) -> None:
    with door(folder, run, "single", answers=6) as service:
        rows = rows_of(service, 6)
        with closing(Cutting(service.port, after=200_000)) as proxy:
            scored = Customer(wire(service, url=proxy.url)).score(rows)
            close_wires()
            assert proxy.cuts == 1
        assert np.abs(scored.logits - wanted(service, rows)).max() <= service.public.plan.error_bound
        with pytest.raises(ProtocolError, match="no more answers"):
            Customer(wire(service)).score(rows)
        close_wires()


def test_a_service_that_is_away_is_given_up_after_a_while(service: Door) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ProtocolError, match="look whether the service runs"):
        Customer(wire(service, 0.3, url=f"https://localhost:{port}"))


def test_a_service_that_forgets_every_session_is_given_up(service: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[bytes] = []
    monkeypatch.setattr(service.sessions, "open", lambda customer, keys: opened.append(keys))
    with pytest.raises(ProtocolError, match="forgets each session"):
        Customer(wire(service)).score(rows_of(service, 3))
    assert len(set(opened)) == MOST_SESSIONS, "each time under a new key"


def test_a_service_with_another_model_after_a_while_is_left(service: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = Customer(wire(service))
    monkeypatch.setattr(service.service, "_public", b"{}")
    monkeypatch.setattr(service.sessions, "open", lambda customer, keys: None)
    with pytest.raises(MessageError, match="another model than before"):
        customer.score(rows_of(service, 3))


def test_scores_beyond_the_plan_are_said_when_all_is_sent(service: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an answer holds, the service sees the same messages."""
    true, asked, plan = ModelOwner.score, [], service.public.plan

    def lying(scorer: ModelOwner, request: bytes) -> bytes:
        """An answer under another key."""
        asked.append(request)
        mine = open_message(plan, Kind.ROWS, request, session=None, parts=plan.ciphertexts)
        stranger = DataOwner(plan)
        theirs = ModelOwner(service.model.planned, stranger.keys())
        answer = true(theirs, next(stranger.encrypt(rows_of(service, mine.rows))))
        part = open_message(plan, Kind.SCORES, answer, session=None, parts=1).parts[0]
        return seal(plan, Kind.SCORES, mine.session, mine.batch, mine.rows, [bytes(part)])

    monkeypatch.setattr(ModelOwner, "score", lying)
    with pytest.raises(ScoringError, match="beyond what the service's plan allows"):
        Customer(wire(service)).score(rows_of(service, 2100))
    assert len(asked) == 2


def test_an_endless_answer_is_not_read_to_its_end(service: Door) -> None:
    customer = wire(service)
    with pytest.raises(ProtocolError, match="more than any answer has"):
        customer.plan(300)


def test_health_answers_while_a_batch_is_computed(service: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, done = threading.Event(), threading.Event()
    true = ModelOwner.score

    def slow(scorer: ModelOwner, request: bytes) -> bytes:
        at_work.set()
        done.wait(20)
        return true(scorer, request)

    monkeypatch.setattr(ModelOwner, "score", slow)
    scoring = threading.Thread(target=Customer(wire(service)).score, args=(rows_of(service, 3),))
    scoring.start()
    assert at_work.wait(20)
    with service.client("other") as client:
        assert client.get("/health").text == "ok\n"
    done.set()
    scoring.join()
