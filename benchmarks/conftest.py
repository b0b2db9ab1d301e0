"""What the benchmarks share: cases, and ratios measured in one process in turn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import pytest

from secure_fl.bench.measured import Measured, Subject
from secure_fl.bench.peers import PEERS
from secure_fl.bench.schemes.cases import Case
from secure_fl.bench.schemes.measuring import make_subject

Ratios = Callable[[Case, Case, int], dict[str, float]]


@pytest.fixture(scope="session")
def subject_of() -> Callable[[Case], Subject]:
    """The subject of a case, made once in a session; a peer that is not installed skips the test."""
    made: dict[Case, Subject] = {}

    def subject(case: Case) -> Subject:
        if case.peer and not PEERS[case.scheme].installed:
            pytest.skip(f"{PEERS[case.scheme].title} is not installed: pip install 'secure-fl[peers]'")
        if case not in made:
            made[case] = make_subject(case)
        return made[case]

    return subject


@pytest.fixture(scope="session")
def ratios(subject_of: Callable[[Case], Subject]) -> Ratios:
    """Theirs divided by ours, figure by figure: both in turn, so that a slow moment hits both; medians of ratios."""

    def measure(theirs: Case, ours: Case, rounds: int) -> dict[str, float]:
        with _without_tenseals_warnings():
            pairs = [
                (subject_of(theirs).measure_round(number), subject_of(ours).measure_round(number))
                for number in range(1, rounds + 2)
            ][1:]  # the first round warms up
        figures = ("client_seconds", "server_seconds", "upload_bytes")
        found = {name: median(_ratio(name, *pair) for pair in pairs) for name in figures}
        print(f"\n{theirs.scheme} / {ours.scheme}: " + ", ".join(f"{n} {v:.1f}" for n, v in found.items()))
        return found

    return measure


@contextmanager
def _without_tenseals_warnings() -> Iterator[None]:
    """TenSEAL prints for each long vector that it exceeds one ciphertext, from C++ straight to file descriptor 1."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _ratio(figure: str, theirs: Measured, ours: Measured) -> float:
    return float(getattr(theirs, figure) / getattr(ours, figure))
