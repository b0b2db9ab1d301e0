"""Probability calibration: what share of rows with a score is fraud, learned from sums over the banks' test rows.

    halves        each bank's test rows in two: to learn from, and to measure on
    maps          from log-odds to a probability, fitted to public counts in narrow bins
    reliability   how far probabilities are from what was found, before and after
    calibrating   one calibration, its figures and its verdict
    stored        the file, and what `score` reads of it
    command, page, figures   the command and what it writes

A map belongs to one model, and to a share of fraud like that of the rows it was learned from.
"""

from secure_fl.audit.calibration.calibrating import Calibration, calibrate
from secure_fl.audit.calibration.maps import BetaMap

__all__ = ["BetaMap", "Calibration", "calibrate"]
