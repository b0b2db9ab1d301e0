"""Ctrl-C and the wish to end (SIGTERM) as one exception, at a moment at which it can be raised.

An exception in the middle of an import may come through C++ code that ends the whole process for it; so an interrupt
waits until the import is done. And what is raised is a class of its own: where a KeyboardInterrupt itself ends code
that was given as text, as in many an import, `python -m` kills itself in the end, whatever exit status it was to have.
"""

from __future__ import annotations

import signal
from types import FrameType

from secure_fl.progress import Progress

_asked: list[int] = []
"""Signals that asked to stop."""
_WAIT_SECONDS = 0.05


class Interruption(KeyboardInterrupt):
    """Somebody asked to stop."""


def heed_signals() -> None:
    """From now on; SIGINT unless it is ignored, as a shell has it for what runs in the background."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def was_interrupted() -> bool:
    """Whether somebody asked to stop, also where the exception was lost."""
    return bool(_asked)


def end_if_interrupted() -> None:
    """For long work: Python drops what is raised in a finalizer or in a callback from C."""
    if _asked:
        _wait_no_more()
        raise Interruption


def forget_interrupts() -> None:
    """The work is over."""
    _wait_no_more()
    _asked.clear()


def ignore_signals() -> None:
    """The interpreter ends, and would do so with a traceback if it were disturbed."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    _asked.append(signum)
    if _imports(frame):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _WAIT_SECONDS)
    else:
        _wait_no_more()
        raise Interruption


def _wait_no_more() -> None:
    if signal.getsignal(signal.SIGALRM) is _interrupt:  # the timer is ours
        signal.setitimer(signal.ITIMER_REAL, 0)


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def heeding_interrupts(progress: Progress) -> Progress:
    """Progress that ends the work after a signal whose exception was lost."""

    def show(what: str, done: int, total: int) -> None:
        end_if_interrupted()
        progress(what, done, total)

    return show
