"""Standard output and standard error while a command runs: whoever reads them may stop reading.

A reader who closes a pipe (`secure-fl plan | head -1`) has seen enough: the rest is shown to nobody, and the work goes
on to its end, since a run is worth more than what it says of itself. Any other failure, a full disk for instance, is an
error of the command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class UntilClosed:
    """A text stream that swallows everything after its reader went away, and fails for ever after it failed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failure: OSError | None = None

    def write(self, text: str) -> int:
        with self._heeded():
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._heeded():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _heeded(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure  # also where somebody, trying what the stream can do, did not heed it
        try:
            yield
        except BrokenPipeError:
            self._abandon()
        except OSError as error:
            self._failure = error
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Let what is buffered, and what follows, go nowhere: the interpreter flushes it once more when it ends."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def until_closed() -> Iterator[None]:
    """Both standard streams as `UntilClosed`, where there are any; what is left is flushed. Raises OSError."""
    before = sys.stdout, sys.stderr
    streams = [None if stream is None else UntilClosed(stream) for stream in before]
    sys.stdout, sys.stderr = cast("list[TextIO]", streams)
    try:
        yield
        for stream in streams:
            if stream is not None:
                stream.flush()
    finally:
        sys.stdout, sys.stderr = before
