"""Drift in service: have the banks' transactions moved from OLD to NEW, so that the model should be trained again?

    holdings    OLD and NEW at each bank, as the model takes them
    bins        counts of rows in fixed public bins: all that leaves a bank, through a secure sum
    stability   population stability index, and what chance alone makes of it
    watching    one comparison, its verdict and its figures
    command, page   the command and what it writes

No label is read: fraud is known late. A change that leaves features and scores as they were goes unnoticed.
"""

from secure_fl.audit.drift.holdings import Holding, read_holdings
from secure_fl.audit.drift.stability import Shift, stability_index
from secure_fl.audit.drift.watching import Drift, find_drift

__all__ = ["Drift", "Holding", "Shift", "find_drift", "read_holdings", "stability_index"]
