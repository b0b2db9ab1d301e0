"""One row of the benchmark: measured, or why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl.bench.peers.scoring import SCORING_PEERS, ScoringPeer
from secure_fl.bench.scoring import benchmark
from secure_fl.bench.scoring.benchmark import Case, list_cases, measure_case
from secure_fl.bench.scoring.measured import MeasuredBatch, Steps
from secure_fl.bench.scoring.models import RANDOM, ScoredModel, random_model
from secure_fl.bench.scoring.ours import OurSubject
from secure_fl.scoring.network import SquareNetwork

if TYPE_CHECKING:
    from tests.conftest import FakeClock

LINEAR, SQUARE = random_model("linear", (6, 1), 30), random_model("square", (6, 3, 1), 30)


def ours(model: ScoredModel, layout: str, rows: int = 30) -> Case:
    return Case(model, layout, False, layout, rows)


@pytest.mark.parametrize(
    ("design", "layout", "most"), [("batched", "batched", 30), ("hidden", "batched", 30), ("single", "single", 2)]
)
def test_ours_are_measured_against_the_plain_network(design: str, layout: str, most: int) -> None:
    row = measure_case(Case(LINEAR, design, False, layout, most))
    assert (row.status, row.correct, row.rows, row.peer) == ("measured", True, most, False)
    assert 0 < row.max_abs_error < row.error_bound  # type: ignore[operator]
    assert row.key_bytes
    assert row.seconds_per_row
    assert row.setup_seconds >= row.plan_seconds > 0  # type: ignore[operator]


def test_each_step_of_ours_is_charged_where_it_is_taken(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = OurSubject("batched", LINEAR.compiled, clock)

    def takes(seconds: int, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def slow(given: Any) -> Any:
            clock.spend("ours", seconds)
            return work(given)

        return slow

    for party, name, seconds in (
        (subject._owner, "encrypt", 1),
        (subject._scorer, "score", 20),
        (subject._owner, "open", 300),
    ):
        monkeypatch.setattr(party, name, takes(seconds, getattr(party, name)))
    found = subject.score(LINEAR.rows)
    assert (found.encrypt_seconds, found.score_seconds, found.open_seconds) == (1, 20, 300)
    assert found.upload_bytes > found.download_bytes > 0
    assert np.allclose(found.logits, LINEAR.compiled.network.logits(LINEAR.rows), atol=1e-3)


def test_what_the_planner_refuses_is_a_row_with_the_reason() -> None:
    deep = random_model("deep", (4, 3, 3, 3, 3, 3, 3, 3, 1), 30)
    row = measure_case(ours(deep, "batched"))
    assert (row.status, row.correct, row.seconds_per_row) == ("refused", False, None)
    assert "squares 7 times" in (row.note or "")


@dataclass
class Made:
    """A peer in place of a library; `error` is added to every logit."""

    network: SquareNetwork
    error: float
    rows_per_batch: int = 7
    key_bytes: int = 1
    degree: int = 2
    coeff_mod_bit_sizes: tuple[int, ...] = ()

    def score(self, rows: NDArray[np.float64]) -> MeasuredBatch:
        assert len(rows) <= self.rows_per_batch
        steps = Steps()
        with steps("score"):
            logits = self.network.logits(rows) + self.error
        return steps.measured(logits, 70, 7)


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[SquareNetwork], Any]], Case]:
    """`peer(make)`: the case of a peer whose subject `make` makes."""

    def case(make: Callable[[SquareNetwork], Any]) -> Case:
        class Stub(ScoringPeer):
            def subject(self, network: SquareNetwork, clock: Any) -> Any:
                return make(network)

        known = SCORING_PEERS["tenseal-tensor"]
        stub = Stub(**{**vars(known), "libraries": ()})
        monkeypatch.setattr(benchmark, "SCORING_PEERS", {"stub": stub})
        return Case(LINEAR, "stub", True, "batched", 20)

    return case


Peer = Callable[[Callable[[SquareNetwork], Any]], Case]


@pytest.mark.parametrize(("error", "correct"), [(0.0, True), (0.5, False)])
def test_a_peer_gets_the_same_rows_and_a_wrong_one_is_called_wrong(peer: Peer, error: float, correct: bool) -> None:
    row = measure_case(peer(lambda network: Made(network, error)))
    assert (row.status, row.correct, row.rows) == ("measured", correct, 20)
    assert row.max_abs_error == pytest.approx(error)
    assert row.upload_bytes_per_row == 3 * 70 / 20
    assert row.note


def test_a_peer_that_fails_or_is_not_finite_says_so(peer: Peer) -> None:
    def fails(network: SquareNetwork) -> Any:
        raise ValueError("scale out of bounds")

    row = measure_case(peer(fails))
    assert (row.status, row.correct, row.note) == ("failed", False, "ValueError: scale out of bounds")
    for error in (np.inf, np.nan):
        row = measure_case(peer(partial(Made, error=error)))
        assert (row.status, row.max_abs_error) == ("failed", None)


def test_a_peer_without_its_library_is_named(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(network: SquareNetwork) -> Any:
        raise ImportError("no module named absent")

    row = measure_case(peer(missing))
    assert row.status == "not installed"
    assert "secure-fl[peers-scoring]" in (row.note or "")
    assert "no module named absent" in (row.note or "")
    known = SCORING_PEERS["helayers"]
    monkeypatch.setattr(benchmark, "SCORING_PEERS", {"helayers": replace(known, libraries=("json", "no_such_library"))})
    row = measure_case(Case(LINEAR, "helayers", True, "single", 1))
    assert (row.status, row.correct) == ("not installed", False)


def test_a_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OurSubject, "score", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure_case(ours(LINEAR, "batched"))


def designs(model: ScoredModel, peers: bool = True) -> list[str]:
    return [case.design for case in list_cases(model, peers)]


def test_every_peer_is_measured_on_what_it_can_score() -> None:
    assert designs(SQUARE, peers=False) == ["batched", "hidden", "single"]
    assert set(designs(LINEAR)) | set(designs(SQUARE)) == {"batched", "hidden", "single", *SCORING_PEERS}
    assert not any("mm" in design for design in designs(LINEAR))
    assert not any("dot" in design for design in designs(SQUARE))
    random = random_model(RANDOM, (4, 2, 1), 10)
    assert {case.layout for case in list_cases(random, peers=True)} == {"single"}
