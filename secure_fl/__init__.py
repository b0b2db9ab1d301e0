"""secure_fl: run, measure and teach secure aggregation for federated fraud detection.

from secure_fl import Experiment, run_federation, secure_mean
mean = secure_mean([model_a.state_dict(), model_b.state_dict(), model_c.state_dict()], scheme="ckks")
result = run_federation(Experiment(dataset="simulated", scheme="ckks", banks=3, rounds=5))
result = run_federation(Experiment(), model=make_module, banks={"north": (X, y), ...}, test=(X, y))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secure_fl.averaging import SecureMean, SecureTotal, secure_mean, secure_sum
    from secure_fl.federation.estimator import FederatedFraudClassifier
    from secure_fl.federation.results import Result
    from secure_fl.federation.run import run_federation
    from secure_fl.settings import Experiment

__version__ = "0.1.0"
__all__ = [
    "Experiment",
    "FederatedFraudClassifier",
    "Result",
    "SecureMean",
    "SecureTotal",
    "__version__",
    "run_federation",
    "secure_mean",
    "secure_sum",
]

_HOMES = {
    "Experiment": "secure_fl.settings.experiment",
    "FederatedFraudClassifier": "secure_fl.federation.estimator",
    "Result": "secure_fl.federation.results",
    "SecureMean": "secure_fl.averaging",
    "SecureTotal": "secure_fl.averaging",
    "run_federation": "secure_fl.federation.run",
    "secure_mean": "secure_fl.averaging",
    "secure_sum": "secure_fl.averaging",
}


def __getattr__(name: str) -> Any:
    """Import on first use: torch and TenSEAL take over a second, which `secure-fl --help` should not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """What tab completion offers, whether it was imported already or not."""
    return sorted(__all__)
