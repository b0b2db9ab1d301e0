"""Multi-Krum by encrypted distances: the scheme in which the key authority chooses banks, and the rule it follows."""

from __future__ import annotations

from functools import partial

from secure_fl.robust.krum import krum_from_distances
from secure_fl.robust.result import FloatMatrix
from secure_fl.secagg.krum.deployment import krum_scheme
from secure_fl.secagg.krum.selection import Selection
from secure_fl.secagg.scheme import Scheme
from secure_fl.settings.robust import Robust


def scheme_of_updates(settings: Robust, scheme: str) -> Scheme | None:
    """The scheme of sums of updates; None where it is the same as that of all sums."""
    if settings.robust == "none" or settings.way(scheme) != "distances":
        return None
    return krum_scheme(partial(choose, byzantine=settings.byzantine))


def choose(squared: FloatMatrix, errors: FloatMatrix, refused: int, *, byzantine: int) -> Selection:
    """Multi-Krum's choice of n - f banks by their distances (see `robust.multi_krum`).

    Refused banks are some of the f byzantine ones, so fewer of these are left. Raises `ConfigurationError` where the
    rule promises nothing for so many.
    """
    left = max(0, byzantine - refused)
    choice = krum_from_distances(squared, left, len(squared) - left, errors)
    return Selection(choice.chosen, choice.tied)
