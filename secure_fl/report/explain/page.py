"""The page: all steps stand in it, in order, and its script only shows one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files

from markupsafe import Markup

from secure_fl.report import frame
from secure_fl.report.explain.scene import KRUM, Request
from secure_fl.report.explain.stories import additive, homomorphic, masked, multi_krum, plaintext, scores
from secure_fl.report.explain.story import EAVESDROPPER, Play

_PLAYS: Mapping[str, Callable[[Request], Play]] = {
    "plaintext": plaintext.play,
    "additive": additive.play,
    "masked": masked.play,
    "ckks": homomorphic.play,
    "bfv": homomorphic.play,
    "rlwe": homomorphic.play,
}
_PACKAGE = "secure_fl.report.explain"
_SCRIPT = files(_PACKAGE).joinpath("script.js")


def explain(request: Request) -> tuple[Play, ...]:
    """Run what is asked for. Keys are new each time, so no two pages have the same bytes."""
    first = multi_krum.play(request) if request.robust == KRUM else _PLAYS[request.scheme](request)
    return (first, scores.play()) if request.score else (first,)


def render(plays: tuple[Play, ...]) -> str:
    """The whole page as text."""
    contents = dict[str, str]()
    for number, play in enumerate(plays):
        contents |= {f"watch-{number}": play.title, f"curious-{number}": "What curious parties find"}
        contents |= {f"custody-{number}": "Who can read what"}
    values = {
        "plays": plays,
        "eavesdropper": EAVESDROPPER,
        "script": Markup(_SCRIPT.read_text(encoding="utf-8")),  # noqa: S704  our own file
    }
    return frame.fill("explain.html.j2", contents, values, package=_PACKAGE)
