"""A party's end of the wire: it asks the gateway for orders, does them, and answers. It opens no port.

Whatever goes wrong on the way is tried again, after a while that grows up to `LONGEST_PAUSE`; only a gateway that does
not know the party, or one that is not the federation's, ends it. Proxies of the environment are not used.
"""

from __future__ import annotations

import logging
import random
import secrets
import ssl
import time
from collections.abc import Callable

import httpx2

from secure_fl.errors import ConfigurationError, MessageError, ProtocolError, TrainingError
from secure_fl.secagg.protocol import Answer
from secure_fl.transport.orders import FINISHED, Order, pack_answer
from secure_fl.transport.service import POLL_SECONDS

LOG = logging.getLogger("secure_fl.party")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
Do = Callable[[Order], bytes]
"""Does an order; what the party answers. Raises `ProtocolError` or `TrainingError` where it must not, or cannot."""


class Connection:
    """To one gateway."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        timeout = httpx2.Timeout(30.0, read=POLL_SECONDS + 15.0, write=120.0)
        self._client = httpx2.Client(base_url=url, verify=context, trust_env=False, timeout=timeout)
        self._process = secrets.token_hex(8)
        self._epoch = ""
        self._after = 0

    def next(self) -> Order | None:
        """The next order; None where there is none yet. Raises httpx2's errors, or `ConfigurationError`."""
        answer = self._client.get(
            "/orders", params={"after": self._after, "epoch": self._epoch, "process": self._process}
        )
        self._require_known(answer)
        answer.raise_for_status()
        self._epoch = answer.headers.get("x-epoch", "")
        return Order.from_bytes(answer.content) if answer.status_code == 200 else None

    def answer(self, order: Order, data: bytes) -> None:
        """Nobody may wait for it any more; then it is of no use, and the next order comes."""
        answer = self._client.post(f"/answers/{order.number}", params={"epoch": self._epoch}, content=data)
        self._require_known(answer)
        if answer.status_code != 409:
            answer.raise_for_status()
        self._after = order.number

    def close(self) -> None:
        self._client.close()

    def _require_known(self, answer: httpx2.Response) -> None:
        if answer.status_code == 403:
            raise ConfigurationError("the gateway has another roster, without this party; ask for a new certificate")


def take_part(connection: Connection, do: Do, sleep: Callable[[float], None] = time.sleep) -> None:
    """Until the federation is over. Raises `ConfigurationError` where it cannot go on."""
    pause = FIRST_PAUSE
    while True:
        try:
            order = connection.next()
            if order is not None:
                connection.answer(order, pack_answer(_done(do, order)))
                if order.kind == FINISHED:
                    return
            pause = FIRST_PAUSE
        except (httpx2.HTTPError, MessageError) as error:
            if _is_stranger(error):
                raise ConfigurationError(
                    "the gateway's certificate is not of the federation's authority, or not for this address; look at "
                    "the address, or ask for a new certificate"
                ) from None
            LOG.warning("no answer from the gateway", extra={"reason": type(error).__name__, "pause": pause})
            sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311  so that not all come back at once
            pause = min(2 * pause, LONGEST_PAUSE)


def _done(do: Do, order: Order) -> Answer:
    try:
        return do(order)
    except ProtocolError as error:
        LOG.warning("refused", extra={"kind": order.kind, "reason": str(error)})
        return error
    except TrainingError as error:
        return ProtocolError(str(error))


def _is_stranger(error: Exception) -> bool:
    """Whether the gateway's certificate was refused."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
