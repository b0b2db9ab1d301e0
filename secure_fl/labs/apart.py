"""Runs a function in a process of its own, and comes back when that process has ended."""

from __future__ import annotations

import json
import multiprocessing
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

_FORKS = multiprocessing.get_context("fork")  # closures cannot be sent to another kind of process


class EndedEarly(Exception):  # noqa: N818  says what happened
    """The process came to no result."""


def apart(work: Callable[[], Any]) -> Any:
    """What `work` returns, by way of JSON; nothing else of it stays. Raises `EndedEarly`."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = _FORKS.Process(target=_send, args=(work, theirs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: numpy's, which expect forks
        process.start()
    theirs.close()
    try:
        return json.loads(ours.recv_bytes())
    except EOFError:
        raise EndedEarly from None
    finally:
        ours.close()
        process.join()


def _send(work: Callable[[], Any], to: Connection) -> None:
    to.send_bytes(json.dumps(work()).encode())
