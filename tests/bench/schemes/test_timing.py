"""What each figure of the benchmark contains: slow parties, a slow codec, and a clock of the tests' own.

Everything that takes time says who takes it. A figure is right if it is what those took who belong in it: nothing
more, such as the clients' time in the server's, and nothing less, such as quantization or opening the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from secure_fl.bench.measured import Measured, Stopwatch, median_round
from secure_fl.bench.schemes import dropouts, measuring
from secure_fl.bench.schemes.cases import Case
from secure_fl.bench.schemes.dropouts import sweep
from secure_fl.bench.schemes.links import round_seconds_at
from secure_fl.bench.schemes.measuring import measure_rounds
from secure_fl.bench.schemes.rows import measured_row
from secure_fl.bench.schemes.subject import SchemeSubject
from secure_fl.codec.quantization import Codec, Contribution, MeanUpdate
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.budget import MIN_BANKS
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.transcript import Delivery, Transcript

if TYPE_CHECKING:
    from tests.conftest import FakeClock

ANSWER = {"bank-1": 1, "bank-2": 20, "bank-3": 900}
"""Seconds that a bank takes for each answer: median and mean lie far apart."""
ENCODE, PREPARE, TRUSTEE, SERVE, DECODE, HASH = 3_000, 5_000, 70_000, 600_000, 8_000_000, 90_000_000


class SlowParty:
    def __init__(self, party: Party, spend: Callable[[], None]) -> None:
        self._party, self._spend = party, spend

    def respond(self, request: bytes) -> bytes:
        self._spend()
        return self._party.respond(request)


class SlowCodec:
    """Encodes on a bank's time and decodes on its own."""

    def __init__(self, codec: Codec, clock: FakeClock) -> None:
        self._codec, self._clock = codec, clock

    @property
    def length(self) -> int:
        return self._codec.length

    def encode(self, contribution: Contribution, rng: np.random.Generator) -> Any:
        self._clock.spend("every bank", ENCODE)
        return self._codec.encode(contribution, rng)

    def decode(self, total: Any, contributors: int) -> MeanUpdate:
        self._clock.spend("decode", DECODE)
        return self._codec.decode(total, contributors)


class SlowDeployment:
    """A scheme whose parties take their time."""

    def __init__(self, deployed: Any, clock: FakeClock) -> None:
        self._deployed, self._clock = deployed, clock

    def setup(self, cohort: Any, transcript: Transcript) -> None:
        raise AssertionError("setting up belongs to no round")

    def client(self, cohort: Any, bank: str, values: Values) -> Party:
        self._clock.spend("every bank", PREPARE)
        return SlowParty(
            self._deployed.client(cohort, bank, values), lambda: self._clock.spend(bank, ANSWER.get(bank, 1))
        )

    def trustees(self, cohort: Any) -> Mapping[str, Party]:
        def spend() -> None:
            self._clock.spend("trustees", TRUSTEE)

        return {name: SlowParty(party, spend) for name, party in self._deployed.trustees(cohort).items()}

    def server(self, cohort: Any) -> ServerHalf:
        stages = self._deployed.server(cohort)
        try:
            stage = next(stages)
            while True:
                self._clock.spend("server", SERVE)
                stage = stages.send((yield stage))
        except StopIteration as finished:
            self._clock.spend("server", SERVE)
            return finished.value  # type: ignore[no-any-return]


def slow_subject(case: Case, clock: FakeClock) -> SchemeSubject:
    subject = SchemeSubject(case, clock=clock)
    subject.deployed, subject.codec = SlowDeployment(subject.deployed, clock), SlowCodec(subject.codec, clock)
    return subject


@pytest.fixture(autouse=True)
def slow_transcript(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Transcript.record

    def slow_record(*arguments: Any) -> None:
        clock.spend("transcript", HASH)
        record(*arguments)

    monkeypatch.setattr(Transcript, "record", slow_record)


@pytest.fixture(params=SCHEMES)
def measured(request: pytest.FixtureRequest, clock: FakeClock) -> tuple[str, Measured]:
    """A round of each scheme: three slow banks."""
    subject = slow_subject(Case(request.param, False, 3, 60, 8), clock)
    clock.spent.clear()  # keys are made once
    return request.param, subject.measure_round(1)


def test_a_client_is_charged_quantization_preparation_and_every_stage(measured: tuple[str, Measured]) -> None:
    scheme, found = measured
    stages = len(SCHEMES[scheme].stages)
    assert found.client_seconds == ENCODE + PREPARE + stages * median(ANSWER.values())


def test_a_server_is_charged_its_own_work_alone(measured: tuple[str, Measured], clock: FakeClock) -> None:
    scheme, found = measured
    assert found.server_seconds == clock.spent["server"]
    assert clock.spent["server"] >= (1 + len(SCHEMES[scheme].stages)) * SERVE


def test_decoding_includes_whoever_opens_the_sum(measured: tuple[str, Measured], clock: FakeClock) -> None:
    scheme, found = measured
    assert found.decode_seconds == DECODE + len(SCHEMES[scheme].trustees) * TRUSTEE
    assert clock.spent["trustees"] == len(SCHEMES[scheme].trustees) * TRUSTEE


def test_hashing_for_the_transcript_is_charged_to_nobody(measured: tuple[str, Measured], clock: FakeClock) -> None:
    _, found = measured
    assert clock.spent["transcript"] > 0
    assert found.client_seconds + found.server_seconds + found.decode_seconds < HASH


@pytest.mark.parametrize("scheme", SCHEMES)
def test_bytes_are_what_a_bank_sends_and_what_it_receives(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Median over banks, each of whom sends a different number here."""
    sent, received = Counter[str](), Counter[str]()

    def record(self: Transcript, cohort: Any, stage: str, sender: str, recipient: str, data: bytes) -> None:
        numbers = {name: number for number, name in enumerate(cohort.parties)}
        counted = data + bytes(1_000 * numbers[sender] + 7 * numbers[recipient])
        sent[sender] += len(counted)
        received[recipient] += len(counted)
        self.deliveries.append(Delivery(cohort.round, cohort.attempt, stage, sender, recipient, len(counted), ""))

    subject = SchemeSubject(Case(scheme, False, 3, 60, 8))
    monkeypatch.setattr(Transcript, "record", record)
    found, banks = subject.measure_round(1), ("bank-1", "bank-2", "bank-3")
    assert found.upload_bytes == median(sent[bank] for bank in banks)
    assert found.download_bytes == median(received[bank] for bank in banks)
    assert len({*(sent[bank] for bank in banks), *(received[bank] for bank in banks)}) == 6


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_error_is_the_largest_deviation_and_set_up_is_what_a_bank_receives_once(
    scheme: str, clock: FakeClock
) -> None:
    subject = SchemeSubject(Case(scheme, False, 3, 60, 8))
    decode = subject.codec.decode

    class Wrong(SlowCodec):
        def decode(self, total: Any, contributors: int) -> MeanUpdate:
            mean = decode(total, contributors)
            wrong = np.mean(subject.updates, axis=0)
            wrong[[7, 8]] += (3.0, -5.0)
            return replace(mean, update=wrong)

    subject.codec = Wrong(subject.codec, clock)
    found = subject.measure_round(1)
    assert found.max_abs_error == pytest.approx(5)
    setup = Transcript()
    subject.deployed.setup(subject.cohort(0), setup)
    assert found.setup_bytes == setup.downloads(0)["bank-1"]
    assert (found.setup_bytes > 0) == ("key-authority" in SCHEMES[scheme].trustees)


def test_a_stopwatch_adds_up_what_runs_and_only_that(clock: FakeClock) -> None:
    def fail() -> None:
        with watch.running():
            clock.spend("second", 5)
            raise ValueError("broken")

    watch = Stopwatch(clock)
    with watch.running():
        clock.spend("first", 2)
    clock.spend("between", 100)
    with pytest.raises(ValueError, match="broken"):
        fail()
    assert watch.seconds == 7


def round_of(**figures: Any) -> Measured:
    plain: dict[str, Any] = {
        "client_seconds": 0.0,
        "server_seconds": 0.0,
        "decode_seconds": 0.0,
        "upload_bytes": 0,
        "download_bytes": 0,
        "stage_bytes": (7,),
        "max_abs_error": 0.0,
    }
    return Measured(**plain | figures)


@pytest.mark.parametrize(
    "figure", ["client_seconds", "server_seconds", "decode_seconds", "upload_bytes", "download_bytes"]
)
def test_the_median_round_has_the_median_of_each_figure(figure: str) -> None:
    found = median_round([round_of(**{figure: value}) for value in (30, 2, 1, 90, 4)])
    assert found == round_of(**{figure: 4})


def test_the_median_round_has_the_largest_error() -> None:
    found = median_round([round_of(max_abs_error=error) for error in (0.1, 0.9, 0.2)])
    assert found == round_of(max_abs_error=0.9)


def test_the_median_round_keeps_stages_and_setup() -> None:
    rounds = [round_of(stage_bytes=(5, 6), setup_bytes=8, client_seconds=n) for n in range(3)]
    assert median_round(rounds) == rounds[1]


class CountedSubject:
    """Knows its case, and takes as many seconds as its round's number, or very long in its first round ever."""

    def __init__(self, case: Case, log: list[tuple[Case, int]]) -> None:
        self._case, self._log = case, log

    def measure_round(self, number: int) -> Measured:
        cold = not self._log
        self._log.append((self._case, number))
        return round_of(client_seconds=1_000.0 if cold else float(number), max_abs_error=number / 10)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Case, int]]:
    """Which rounds were measured, of what."""
    rounds: list[tuple[Case, int]] = []
    monkeypatch.setattr(measuring, "make_subject", lambda case, *_: CountedSubject(case, rounds))
    return rounds


def test_a_small_round_warms_up_and_does_not_count(log: list[tuple[Case, int]]) -> None:
    case = Case("masked", False, 10, 5_000, 8, repeat=1)
    assert measure_rounds(case).client_seconds == 1
    assert log == [(replace(case, banks=MIN_BANKS, parameters=measuring.WARM_UP), 1), (case, 1)]


def test_every_round_that_was_asked_for_counts_once(log: list[tuple[Case, int]]) -> None:
    case = Case("masked", False, 10, 5_000, 8, repeat=5)
    found = measure_rounds(case)
    assert (found.client_seconds, found.max_abs_error) == (3, 0.5)
    assert log[1:] == [(case, number) for number in range(1, 6)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_our_schemes_go_by_the_clock_that_they_are_given(scheme: str, clock: FakeClock) -> None:
    """It stands still but for the transcript's hashing, which is charged to nobody."""
    found = measuring.make_subject(Case(scheme, False, 3, 60, 8), clock).measure_round(1)
    assert (found.client_seconds, found.server_seconds, found.decode_seconds) == (0.0, 0.0, 0.0)


def test_a_row_shows_each_figure_in_its_place() -> None:
    found = Measured(0.1, 0.2, 0.3, 4_000, 500, (3_000, 1_500), max_abs_error=0.6, setup_bytes=70)
    row = measured_row(Case("masked", False, 3, 1_000, 8), found, peak_rss_bytes=8)
    figures = {
        "client_seconds": 0.1,
        "server_seconds": 0.2,
        "decode_seconds": 0.3,
        "upload_bytes": 4_000,
        "download_bytes": 500,
        "setup_bytes": 70,
        "stages": 2,
        "max_abs_error": 0.6,
        "peak_rss_bytes": 8,
    }
    assert {name: getattr(row, name) for name in figures} == figures
    assert row.bytes_per_parameter == 4
    assert row.round_seconds_at == round_seconds_at(found)


def test_a_sweep_over_vanished_banks_shows_the_servers_time(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Case, FakeClock]] = []

    def make(case: Case, clock: FakeClock) -> SchemeSubject:
        made.append((case, clock))
        return slow_subject(case, clock)

    monkeypatch.setattr(dropouts, "SchemeSubject", make)
    case = Case("masked", False, 5, 60, 8)
    found = sweep(case, clock)
    assert made == [(case, clock)]
    assert [drop.dropped for drop in found] == [0, 1, 2, 3]
    whole = (1 + len(SCHEMES["masked"].stages)) * SERVE
    assert [drop.server_seconds for drop in found] == [whole, whole, whole, None]


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], None]]:
    """Sets what /proc/self/status says, or that there is none."""

    def say(text: str | None) -> None:
        def read_text(*_: object, **__: object) -> str:
            if text is None:
                raise FileNotFoundError
            return text

        patch.setattr("pathlib.Path.read_text", read_text)

    with monkeypatch.context() as patch:
        yield say


def test_peak_memory_is_the_high_water_mark_in_bytes(proc: Callable[[str | None], None]) -> None:
    proc("VmPeak:\t  9 kB\nVmHWM:\t   123 kB\nVmRSS:\t  7 kB\n")
    assert measuring.peak_rss_bytes() == 123 * 1024  # Linux writes kB and means KiB


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_peak_memory_without_proc(
    proc: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch, platform: str, unit: int
) -> None:
    usage = type("Usage", (), {"ru_maxrss": 5_000})
    monkeypatch.setattr("resource.getrusage", lambda _: usage)
    monkeypatch.setattr("sys.platform", platform)
    proc(None)
    assert measuring.peak_rss_bytes() == 5_000 * unit
