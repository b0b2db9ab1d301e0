"""secure_fl: run, measure and teach secure aggregation for federated fraud detection.

from secure_fl import Experiment, run_federation
result = run_federation(Experiment(dataset="simulated", scheme="ckks", banks=3, rounds=5))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secure_fl.experiment import Experiment
    from secure_fl.federation import run_federation
    from secure_fl.results import Result

__version__ = "0.1.0"
__all__ = ["Experiment", "Result", "__version__", "run_federation"]

_HOMES = {
    "Experiment": "secure_fl.experiment",
    "Result": "secure_fl.results",
    "run_federation": "secure_fl.federation",
}


def __getattr__(name: str) -> Any:
    """Import on first use: torch and TenSEAL take over a second, which `secure-fl --help` should not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
