"""Work in a process of its own: it ends, whatever its parent holds and whatever happens to its parent."""

from __future__ import annotations

import gc
import signal
import time
from types import FrameType

import pytest
import tenseal as ts

from secure_fl.labs.apart import EndedEarly, apart


@pytest.mark.timeout(60)
def test_garbage_of_the_parent_that_owns_threads_does_not_stop_it() -> None:
    """Its destructor would wait for threads that no fork has."""

    gc.disable()  # so that it is still there in the fork
    try:
        ring: list[object] = [ts.context(ts.SCHEME_TYPE.CKKS, 4096, -1, [54, 52])]
        ring.append(ring)
        del ring
        assert apart(lambda: [gc.isenabled(), gc.collect() >= 0]) == [True, True]
    finally:
        gc.enable()
    assert gc.isenabled()


@pytest.mark.timeout(60)
def test_an_interrupted_parent_does_not_wait_for_it() -> None:
    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            apart(lambda: time.sleep(50))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 20


def test_a_fork_that_ends_early_is_told() -> None:
    with pytest.raises(EndedEarly):
        apart(lambda: 1 / 0)
