"""A server half replayed alone does the same work."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from secure_fl.bench.schemes.cases import Case
from secure_fl.bench.schemes.replay import ROUND, peak_server_memory, record, replay
from secure_fl.bench.schemes.subject import SchemeSubject
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.protocol import SecureSum, ServerHalf, Stage


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_replayed_sum_is_the_mean_of_the_updates(scheme: str) -> None:
    subject = SchemeSubject(Case(scheme, False, 4, 60, 8))
    answers: defaultdict[str, list[bytes]] = defaultdict(list)
    record(subject, lambda name, answer: answers[name].append(answer))
    again = replay(subject.deployed.server(subject.cohort(ROUND)), answers)
    assert len(again.contributors) == 4
    mean = subject.codec.decode(again.total, 4).update
    assert np.abs(mean - np.mean(subject.updates, axis=0)).max() < 1e-3


def test_the_memory_of_a_process_with_only_the_server_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secure_fl.bench.schemes.replay.peak_rss_bytes", lambda: 1)  # in this process
    assert 10_000_000 < peak_server_memory(Case("masked", False, 3, 60, 8), tmp_path) < 500_000_000


def test_a_server_half_is_given_each_partys_answers_in_their_order() -> None:
    heard: list[list[tuple[str, bytes]]] = []

    def server() -> ServerHalf:
        for name in ("first", "second"):
            heard.append(sorted((yield Stage(name, {"a": b"", "b": b""}))))
        return SecureSum(np.zeros(1), frozenset())

    replay(server(), {"a": [b"a1", b"a2"], "b": [b"b1", b"b2"]})
    assert heard == [[("a", b"a1"), ("b", b"b1")], [("a", b"a2"), ("b", b"b2")]]
