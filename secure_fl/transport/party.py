"""A party's end of the wire: it asks the gateway for orders, does them, and answers. It opens no port.

Whatever goes wrong on the way is tried again, after a while that grows up to `LONGEST_PAUSE`, or that the gateway says
(429, Retry-After); only a gateway that does
not know the party, or one that is not the federation's, ends it. Proxies of the environment are not used.
"""

from __future__ import annotations

import logging
import random
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2

from secure_fl.errors import ConfigurationError, MessageError, ProtocolError, SecureFLError
from secure_fl.secagg.protocol import Answer, reason
from secure_fl.transport.orders import FINISHED, Order, pack_answer, unpack_answer
from secure_fl.transport.service import ALIVE_SECONDS, POLL_SECONDS

LOG = logging.getLogger("secure_fl.party")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
Do = Callable[[Order], bytes]
"""Does an order; what the party answers. Raises one of the package's errors where it must not, or cannot."""


class Connection:
    """To one gateway."""

    def __init__(self, url: str, context: ssl.SSLContext, largest: int) -> None:
        """`largest`: bytes of an order, at most."""
        timeout = httpx2.Timeout(30.0, read=POLL_SECONDS + 15.0, write=120.0)
        plain = {"accept-encoding": "identity"}
        self._client = httpx2.Client(base_url=url, verify=context, trust_env=False, timeout=timeout, headers=plain)
        self._largest = largest
        self._process = secrets.token_hex(8)
        self._epoch = ""
        self._after = 0
        self._said: tuple[str, int, bytes] = ("", 0, b"")

    def next(self) -> Order | None:
        """The next order; None where there is none yet. Raises httpx2's errors, or `ConfigurationError`."""
        asked = {"after": self._after, "epoch": self._epoch, "process": self._process}
        answer, content = self._asked("GET", "/orders", params=asked)
        self._require_known(answer)
        answer.raise_for_status()
        self._epoch = answer.headers.get("x-epoch", "")
        return Order.from_bytes(content) if answer.status_code == 200 else None

    def said(self, order: Order) -> bytes | None:
        """What was answered to this very order, and not heard: it is not done twice."""
        epoch, number, data = self._said
        return data if (epoch, number) == (self._epoch, order.number) else None

    def alive(self) -> None:
        self._asked("POST", "/alive")

    def answer(self, order: Order, data: bytes) -> None:
        """Nobody may wait for it any more; then it is of no use, and the next order comes."""
        self._said = self._epoch, order.number, data
        answer, _ = self._asked("POST", f"/answers/{order.number}", params={"epoch": self._epoch}, content=data)
        self._require_known(answer)
        if answer.status_code != 409:
            answer.raise_for_status()
        self._after = order.number

    def close(self) -> None:
        self._client.close()

    def _asked(self, method: str, path: str, **said: Any) -> tuple[httpx2.Response, bytes]:
        """An answer and its body, which is never unpacked. Raises `MessageError` where that is larger than an order."""
        with self._client.stream(method, path, **said) as answer:
            parts, size = [], 0
            for part in answer.iter_raw():
                size += len(part)
                if size > self._largest:
                    raise MessageError("the gateway sends more than any order has; look whether both have one version")
                parts.append(part)
        return answer, b"".join(parts)

    def _require_known(self, answer: httpx2.Response) -> None:
        if answer.status_code == 403:
            raise ConfigurationError("the gateway has another roster, without this party; ask for a new certificate")


def take_part(connection: Connection, do: Do, sleep: Callable[[float], None] = time.sleep) -> None:
    """Until the federation is over.

    Raises `ConfigurationError` where it cannot go on, `ProtocolError` where it is over with a model that was refused.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            order = connection.next()
            if order is not None:
                with _signs_of_life(connection):
                    said = connection.said(order) or pack_answer(_done(do, order))
                    connection.answer(order, said)
                if order.kind == FINISHED:
                    return _require_done(said)
            pause = FIRST_PAUSE
        except (httpx2.HTTPError, MessageError) as error:
            if is_stranger(error):
                raise ConfigurationError(
                    "the gateway's certificate is not of the federation's authority, not in the roster, or not for "
                    "this address; look at the address, or ask for a new certificate"
                ) from None
            LOG.warning("no answer from the gateway", extra={"reason": type(error).__name__, "pause": pause})
            late = pause * random.uniform(0.7, 1.3)  # noqa: S311  so that not all come back at once
            sleep(max(late, asked_to_wait(error.response) if isinstance(error, httpx2.HTTPStatusError) else 0.0))
            pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def _signs_of_life(connection: Connection) -> Iterator[None]:
    """The gateway is told that the party is still at work."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(ALIVE_SECONDS):
            with suppress(httpx2.HTTPError, MessageError, RuntimeError):  # it is down, or this connection is closed
                connection.alive()

    threading.Thread(target=tell, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _done(do: Do, order: Order) -> Answer:
    """Raises what keeps a party from writing its model down; everything before that is a refusal."""
    try:
        return do(order)
    except SecureFLError as error:
        LOG.warning("refused", extra={"kind": order.kind, "reason": str(error)})
        if order.kind == FINISHED and not isinstance(error, ProtocolError):
            raise
        return error if isinstance(error, ProtocolError) else ProtocolError(str(error))


def _require_done(said: bytes) -> None:
    """Of the last order, which ends a party in any case."""
    answer = unpack_answer(said)
    if not isinstance(answer, bytes):
        raise ProtocolError(f"the gateway ends the federation with no model ({reason(answer)}); ask who runs it")


def asked_to_wait(answer: httpx2.Response) -> float:
    """Seconds that a server wants its client to wait before it asks again (Retry-After), `LONGEST_PAUSE` at most."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), LONGEST_PAUSE) if said.isdecimal() and said.isascii() else 0.0


def is_stranger(error: Exception) -> bool:
    """Whether the server's certificate was refused."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
