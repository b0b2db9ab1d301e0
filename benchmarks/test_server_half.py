"""The masked server half alone, replayed on recorded bytes: beside numpy's plain sum, and its memory.

.venv/bin/python -m pytest benchmarks/test_server_half.py -s
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from secure_fl.bench.schemes.cases import Case
from secure_fl.bench.schemes.measuring import make_subject
from secure_fl.bench.schemes.replay import ROUND, peak_server_memory, record, replay
from secure_fl.bench.schemes.subject import SchemeSubject

MILLION = 1_000_000
MASKED = Case("masked", False, 10, MILLION, 8)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_server_with_unmasking_is_within_six_times_a_plain_sum() -> None:
    """The plain sum: the same uploads as unsigned integers, added up by `np.sum`, which widens them."""
    subject = make_subject(MASKED)
    assert isinstance(subject, SchemeSubject)
    answers: defaultdict[str, list[bytes]] = defaultdict(list)
    record(subject, lambda name, answer: answers[name].append(answer))
    uploads = [max(answers[bank], key=len)[-2 * subject.plan.parameters :] for bank in subject.cohort(ROUND).banks]

    def server() -> object:
        return replay(subject.deployed.server(subject.cohort(ROUND)), answers)

    def plain_sum() -> object:
        return np.sum([np.frombuffer(upload, dtype="<u2") for upload in uploads], axis=0)

    def wrapping_sum() -> object:
        total = np.zeros(subject.plan.parameters, dtype="<u2")
        for upload in uploads:
            total += np.frombuffer(upload, dtype="<u2")
        return total

    turns = [(_seconds(server), _seconds(plain_sum), _seconds(wrapping_sum)) for _ in range(12)][2:]
    ratio = median(theirs / plain for theirs, plain, _ in turns)
    wrapping = median(theirs / wrapped for theirs, _, wrapped in turns)
    alone = median(ours for ours, _, _ in turns)
    print(f"\nmasked server {alone * 1e3:.1f} ms: {ratio:.1f} x np.sum, {wrapping:.1f} x a wrapping 16-bit sum")
    assert ratio <= 6


def test_memory_does_not_grow_with_the_banks(tmp_path: Path) -> None:
    peaks = {}
    for banks in (10, 100):
        folder = tmp_path / str(banks)
        folder.mkdir()
        peaks[banks] = peak_server_memory(Case("masked", False, banks, MILLION, 8), folder)
    print(f"\npeak memory of the server half: {peaks[10] / 1e6:.0f} MB for 10 banks, {peaks[100] / 1e6:.0f} MB for 100")
    assert peaks[100] <= 1.5 * peaks[10]


def test_a_thousand_banks_complete_within_two_minutes() -> None:
    started = time.perf_counter()
    measured = make_subject(Case("masked", False, 1_000, 10_369, 8)).measure_round(1)
    elapsed = time.perf_counter() - started
    print(f"\n1,000 banks: {elapsed:.0f} s in one process, server {measured.server_seconds:.2f} s")
    assert elapsed <= 120
