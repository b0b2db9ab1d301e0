"""secure_fl: run, measure and teach secure aggregation for federated fraud detection.

from secure_fl import Experiment, run_federation
result = run_federation(Experiment(dataset="simulated", scheme="ckks", banks=3, rounds=5))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secure_fl.federation.results import Result
    from secure_fl.federation.run import run_federation
    from secure_fl.settings.experiment import Experiment

__version__ = "0.1.0"
__all__ = ["Experiment", "Result", "__version__", "run_federation"]

_HOMES = {
    "Experiment": "secure_fl.settings.experiment",
    "Result": "secure_fl.federation.results",
    "run_federation": "secure_fl.federation.run",
}


def __getattr__(name: str) -> Any:
    """Import on first use: torch and TenSEAL take over a second, which `secure-fl --help` should not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
