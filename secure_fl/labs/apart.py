"""Runs a function in a process of its own, and comes back when that process has ended.

A fork has its parent's objects and none of its threads. Of one that owns threads, such as a TenSEAL context, the
destructor would wait for them for ever, so the fork never frees what came from its parent (`gc.freeze`).
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

_FORKS = multiprocessing.get_context("fork")  # closures cannot be sent to another kind of process


class EndedEarly(Exception):  # noqa: N818  says what happened
    """The process came to no result."""


def apart(work: Callable[[], Any]) -> Any:
    """What `work` returns, by way of JSON; nothing else of it stays. Raises `EndedEarly`."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = _FORKS.Process(target=_send, args=(work, theirs))
    with warnings.catch_warnings(), _nothing_collected():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: numpy's, which expect forks
        process.start()
    theirs.close()
    try:
        return json.loads(ours.recv_bytes())
    except EOFError:
        raise EndedEarly from None
    except BaseException:
        process.kill()
        raise
    finally:
        ours.close()
        process.join()


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """For the moments of a fork before it can say so itself."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _send(work: Callable[[], Any], to: Connection) -> None:
    gc.freeze()
    gc.enable()
    to.send_bytes(json.dumps(work()).encode())
