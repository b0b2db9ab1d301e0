"""Other libraries' secure sums, each run by its own code and checked against the float64 mean.

This package is the only importer of nvflare and flwr, and each module is imported only to measure its peer, so that
the rest works without them. A module has `make_subject(updates, clock) -> Subject`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

INSTALL = "not installed: pip install 'secure-fl[peers]'"


@dataclass(frozen=True)
class Peer:
    """What is known of a peer before its library is imported."""

    title: str
    module: str
    library: str
    bits: int
    """Bits of its fixed-point values: CKKS's scale, or its quantization range."""
    note: str

    @property
    def installed(self) -> bool:
        try:
            return find_spec(self.library) is not None
        except (ImportError, ValueError):
            return False

    def subject(self, updates: Any, clock: Any) -> Any:
        """A `Subject` over these updates. Raises `ImportError` where the library is missing or another release."""
        return import_module(f"{__name__}.{self.module}").make_subject(updates, clock)


PEERS: Mapping[str, Peer] = {
    "tenseal-tutorial": Peer(
        title="TenSEAL tutorial",
        module="tenseal_tutorial",
        library="tenseal",
        bits=40,
        note="CKKS 8192, [60, 40, 40, 60], scale 2^40, vectors of 4,096 values, as in TenSEAL's tutorials",
    ),
    "nvflare-he": Peer(
        title="NVFlare HE",
        module="nvflare_he",
        library="nvflare",
        bits=40,
        note="CKKS 8192, [60, 40, 40], scale 2^40, its encryptor, FOBS serializer and aggregator; tensor by tensor "
        "for the fraud model's 10,369 parameters, one flat tensor otherwise",
    ),
    "flower-secaggplus": Peer(
        title="Flower SecAgg+",
        module="flower_secagg",
        library="flwr",
        bits=22,
        note="its mod and workflow with default quantization, protobuf messages in memory, all four stages, the same "
        "threshold as ours; the model's own broadcast is not counted",
    ),
}
