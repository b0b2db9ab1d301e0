"""Other libraries' ways to score encrypted rows, each run by its own code and compared with the plain network.

A module here is imported only to measure its peer. What a peer gets is the network that we compute on ciphertexts,
squares between layers, with the same weights: a peer that is wrong is wrong by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from secure_fl.bench.measured import Clock
from secure_fl.scoring.network import SquareNetwork

if TYPE_CHECKING:
    from secure_fl.bench.scoring.measured import Subject

INSTALL = "not installed: pip install 'secure-fl[peers-scoring]'"
BATCH_ROWS = 8192


@dataclass(frozen=True)
class ScoringPeer:
    """What is known of a peer before its library is imported."""

    title: str
    module: str
    maker: str
    """A function of the module: (network, clock) -> Subject."""
    libraries: tuple[str, ...]
    layout: str
    rows: int
    """Scored at most: slow peers get few."""
    note: str
    networks: bool = True
    """Whether it scores networks with squares."""
    linear: bool = True
    """Whether it scores linear models."""
    tutorial: bool = False
    """Whether it follows TenSEAL's tutorials, as they are or with parameters that serve."""

    @property
    def installed(self) -> bool:
        return all(find_spec(library) is not None for library in self.libraries)

    def takes(self, network: SquareNetwork) -> bool:
        return self.networks if network.depth else self.linear

    def subject(self, network: SquareNetwork, clock: Clock) -> Subject:
        """Ready to score. Raises `ImportError` where a library is missing, and whatever the library raises."""
        made: Subject = getattr(import_module(f"{__name__}.{self.module}"), self.maker)(network, clock)
        return made


SCORING_PEERS: Mapping[str, ScoringPeer] = {
    "tenseal-dot-tutorial": ScoringPeer(
        title="TenSEAL tutorial 1",
        module="tenseal_vectors",
        maker="tutorial_dot",
        libraries=("tenseal",),
        layout="single",
        rows=20,
        note="a vector a row, .dot and the bias; 4096, [40, 20, 40], scale 2^20",
        networks=False,
        tutorial=True,
    ),
    "tenseal-dot": ScoringPeer(
        title="TenSEAL dot, more bits",
        module="tenseal_vectors",
        maker="exact_dot",
        libraries=("tenseal",),
        layout="single",
        rows=20,
        note="the same at 8192, [60, 40, 40, 60], scale 2^40",
        networks=False,
        tutorial=True,
    ),
    "tenseal-mm-tutorial": ScoringPeer(
        title="TenSEAL tutorial 4",
        module="tenseal_vectors",
        maker="tutorial_mm",
        libraries=("tenseal",),
        layout="single",
        rows=5,
        note=".mm and the bias, a square, and so on; 8192, [31, 26 x 6, 31], scale 2^26",
        linear=False,
        tutorial=True,
    ),
    "tenseal-mm-more-bits": ScoringPeer(
        title="TenSEAL mm, more bits",
        module="tenseal_vectors",
        maker="biased_mm",
        libraries=("tenseal",),
        layout="single",
        rows=2,
        note="the tutorial's way at 16384, [60, 40 x 5, 60], scale 2^40: the bias fills only the first slots, and the "
        "next .mm takes all (TenSEAL issue 462)",
        linear=False,
        tutorial=True,
    ),
    "tenseal-mm": ScoringPeer(
        title="TenSEAL mm, bias as weight",
        module="tenseal_vectors",
        maker="augmented_mm",
        libraries=("tenseal",),
        layout="single",
        rows=2,
        note="the same parameters; a neuron that is always 1 carries the bias",
        linear=False,
        tutorial=True,
    ),
    "tenseal-tensor": ScoringPeer(
        title="TenSEAL tensor",
        module="tenseal_tensors",
        maker="make_subject",
        libraries=("tenseal",),
        layout="batched",
        rows=BATCH_ROWS,
        note="ckks_tensor(batch=True), .mm, bias and square; 8192, [60, 40, 60] without squares, else 16384, "
        "[60, 40 x 5, 60]",
    ),
    "helayers": ScoringPeer(
        title="HElayers",
        module="helayers",
        maker="make_single",
        libraries=("pyhelayers", "onnx"),
        layout="single",
        rows=5,
        note="NeuralNet from ONNX, compiled for one row; parameters are its own choice, over SEAL; weights are not "
        "encrypted",
    ),
    "helayers-batched": ScoringPeer(
        title="HElayers, batch",
        module="helayers",
        maker="make_batched",
        libraries=("pyhelayers", "onnx"),
        layout="batched",
        rows=BATCH_ROWS,
        note="the same, compiled for as many rows as fit a ciphertext: 4,096 without squares, else 8,192",
    ),
}
