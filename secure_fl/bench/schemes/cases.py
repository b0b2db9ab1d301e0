"""What is measured: one scheme or peer, at one number of banks and parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from secure_fl.bench.peers import PEERS
from secure_fl.errors import ConfigurationError
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.budget import FLOAT32

Updates: TypeAlias = Sequence[NDArray[np.float64]]

CLIP = 0.06
"""Updates lie in [-CLIP, CLIP]: six standard deviations, so that clipping hardly plays a part."""
MAX_REPEAT = 100
MAX_VALUES = 500_000_000
"""Banks x parameters: more float64 values than these would not fit the memory of an ordinary machine."""


@dataclass(frozen=True)
class Case:
    """One row to measure."""

    scheme: str
    """A name of `SCHEMES`, or of `PEERS` where `peer` is set."""
    peer: bool
    banks: int
    parameters: int
    bits: int | str
    """Bits of a quantized value, or "float32"; for a peer, the bits of its own fixed-point representation."""
    repeat: int = 5
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def make_updates(case: Case) -> Updates:
    """The float64 updates of all banks, the same for every scheme and peer with this seed and size."""
    rng = np.random.default_rng((case.seed, case.banks, case.parameters))
    draws = (rng.normal(scale=CLIP / 6, size=case.parameters) for _ in range(case.banks))
    return [draw.clip(-CLIP, CLIP, out=draw) for draw in draws]


def list_cases(
    schemes: Sequence[str], sizes: Iterable[tuple[int, int]], bits: int | str, repeat: int, peers: bool
) -> list[Case]:
    """Every scheme, plaintext as float32 too, and the peers, for each (banks, parameters)."""
    cases = []
    for banks, parameters in sizes:
        for scheme in schemes:
            cases.append(Case(scheme, False, banks, parameters, bits, repeat))
            if scheme == "plaintext" and bits != FLOAT32:
                cases.append(Case(scheme, False, banks, parameters, FLOAT32, repeat))
        if peers:
            cases += [Case(name, True, banks, parameters, peer.bits, repeat) for name, peer in PEERS.items()]
    return cases


def parse_schemes(text: str | None) -> list[str]:
    """Names of schemes, separated by commas; all of them by default. Raises `ConfigurationError`."""
    if text is None:
        return list(SCHEMES)
    names = _parts(text, "--schemes", str)
    unknown = [name for name in names if name not in SCHEMES]
    if unknown:
        raise ConfigurationError(f"there is no scheme {unknown[0]!r}; choose from {', '.join(SCHEMES)}")
    return names


def parse_numbers(text: str, option: str) -> list[int]:
    """Whole numbers from 1, separated by commas. Raises `ConfigurationError`."""
    numbers = _parts(text, option, int)
    if min(numbers) < 1:
        raise ConfigurationError(f"{option} {text!r} holds a number below 1; use whole numbers from 1")
    return numbers


def parse_bits(text: str) -> int | str:
    """A whole number or "float32"; the planner decides whether it will do."""
    return FLOAT32 if text == FLOAT32 else parse_numbers(text, "--bits")[0]


def require_measurable(sizes: Iterable[tuple[int, int]], repeat: int) -> None:
    """Raises `ConfigurationError` where a size or a number of repetitions would not end."""
    if not 1 <= repeat <= MAX_REPEAT:
        raise ConfigurationError(f"--repeat {repeat} is refused; use 1 to {MAX_REPEAT}")
    for banks, parameters in sizes:
        if banks * parameters > MAX_VALUES:
            raise ConfigurationError(
                f"{banks} banks x {parameters} parameters do not fit in memory here; use at most {MAX_VALUES:,} in all"
            )


def _parts(text: str, option: str, kind: Callable[[str], Any]) -> list[Any]:
    try:
        parts = [kind(part.strip()) for part in text.split(",")]
    except ValueError:
        raise ConfigurationError(f"{option} {text!r} is not a list of whole numbers; write for instance 3,10") from None
    return list(dict.fromkeys(parts))
