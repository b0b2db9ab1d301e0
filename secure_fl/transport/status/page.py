"""A `Status` as HTML: a whole page, which is right without scripts, and the part of it that changes.

The page loads nothing. Its policy (Content-Security-Policy) allows its own style and script by their hashes, and
connections to where it came from; whatever was named by people passes through jinja2's escaping.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Template
from markupsafe import Markup

from secure_fl.report import frame
from secure_fl.report.wording import dataset_text, names_text
from secure_fl.transport import orders
from secure_fl.transport.post import Asked
from secure_fl.transport.status.snapshot import Phase, Status

_PACKAGE = "secure_fl.transport.status"
_SCRIPT = files(_PACKAGE).joinpath("script.js").read_text(encoding="utf-8")
SHOWN_ROUNDS, SHOWN_TROUBLES = 50, 20
_AWAITED = {
    orders.HELLO: "word of its columns",
    orders.PUBLIC_KEY: "the public key",
    orders.KEY_JOIN: "a key to seal parts to",
    orders.KEY_COMMIT: "commitments to parts of the key",
    orders.KEY_PUBLISH: "public halves of parts of the key",
    orders.KEY_ACCEPT: "its signature of the joint key",
    orders.TAKE_KEY: "word that the public key arrived",
    orders.STATISTICS: "word that statistics are ready",
    orders.MODEL: "word that training is done",
    orders.SETTLE: "word that the outcome arrived",
    orders.FINISHED: "word that the last model arrived",
}


def render(status: Status, now: float) -> str:
    """The page. `now`: by the clock of the status's moments."""
    values = _values(status, now) | {"now": now, "at": clock_text(), "script": Markup(_SCRIPT)}  # noqa: S704  our own
    return frame.fill("status.html.j2", {}, values, package=_PACKAGE)


def render_live(status: Status, now: float) -> str:
    """What of the page changes."""
    return _live().render(_values(status, now))


def policy() -> str:
    """The page's Content-Security-Policy."""
    style, script = (_hash(f"\n{text}\n") for text in (frame.style_of(_PACKAGE), _SCRIPT))
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def clock_text() -> str:
    """Date and time in Greenwich."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())


def age_text(seconds: float) -> str:
    """Whole seconds, minutes or hours; `script.js` words them alike."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole // 60 % 60} min"


def headline(status: Status) -> str:
    """How it stands, in a line."""
    if status.phase is Phase.GIVEN_UP:
        return "The federation has given up"
    if status.phase is Phase.OVER:
        return "All rounds are finished"
    if status.ended:
        return "The gateway has ended"
    if status.phase is Phase.GATHERING:
        away = status.those("absent")
        return f"Waiting for {names_text(away)}" if away else "All parties are there"
    return f"Round {status.round} of {status.rounds}" if status.round else "Round 0: how features are scaled"


def sentence(status: Status) -> str:
    """What happens now, in words."""
    if status.phase is Phase.GIVEN_UP:
        return "What is finished is kept: whoever starts the gateway again goes on after the last finished round."
    if status.ended and status.phase is Phase.OVER:
        return f"The gateway has ended. {_knowing(status)}"
    if status.ended:
        return "Whoever starts it again goes on after the last finished round."
    if status.phase is Phase.OVER:
        return _knowing(status)
    if status.phase is Phase.GATHERING:
        return (
            "The federation begins as soon as all parties have come."
            if status.resumed is None
            else (
                f"The gateway was started again after round {status.resumed}, and gives its parties time to come back."
            )
        )
    failed = _failed(status)
    if failed:
        return f"It failed and is begun again: {failed}."
    return _waiting(status)


def waited_for(asked: Asked) -> str:
    """What a party is to answer, in words."""
    return f"the message of {asked.stage}" if asked.stage else _AWAITED.get(asked.kind, asked.kind)


def _waiting(status: Status) -> str:
    if status.stage is None or not status.due:
        return "The gateway computes."
    late = status.those("late", "absent")
    slow = tuple(name for name in status.due if name in late)
    said = f"The gateway waits for {names_text(slow or status.due)}: {waited_for(status.stage.asked)}."
    return (
        said
        if status.stage.parties == 1
        else (f"{said} {status.stage.answered} of {status.stage.parties} have answered.")
    )


def _failed(status: Status) -> str:
    """Why the round is to be begun again; empty once something was asked since."""
    asked = status.stage.asked.at if status.stage else 0.0
    whole = [each for each in status.troubles if not each.party and each.round == status.round and each.last > asked]
    return whole[-1].why.partition(";")[0] if whole and not status.due else ""


def _knowing(status: Status) -> str:
    parties = [each for each in status.parties if each.place != "revoked"]
    return f"Known to {len(status.those('done'))} of {len(parties)} parties."


def _values(status: Status, now: float) -> dict[str, object]:
    dataset = dataset_text(status.dataset)
    members = [each for each in status.parties if each.place != "revoked"]
    newest = sorted(status.finished, key=lambda each: -each.number)
    return {
        "status": status,
        "now": now,
        "headline": headline(status),
        "sentence": sentence(status),
        "dataset": dataset if dataset != status.dataset else "the banks' own transactions",
        "members": len(members),
        "here": len(status.those("there", "late", "done")),
        "finished": newest[:SHOWN_ROUNDS],
        "older": len(newest[SHOWN_ROUNDS:]),
        "troubles": _newest(status.troubles, SHOWN_TROUBLES),
        "older_troubles": max(0, len(status.troubles) - SHOWN_TROUBLES),
        "last_round": max((each.number for each in status.finished), default=0),
        "waited_for": waited_for,
        "age": lambda moment: age_text(now - moment),
    }


def _newest(troubles: Sequence[object], shown: int) -> list[object]:
    return list(reversed(troubles))[:shown]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _live() -> Template:
    """It is filled often."""
    return frame.template_of("live.html.j2", _PACKAGE)
