"""Robust rules: what stands in for the mean where some banks may send anything.

    rules       every rule by name, with what it needs
    result      what a rule is given and answers; updates that are not finite are left out and named
    median, trimmed_mean, norm_clipping, krum, multi_krum, bulyan, geometric_median, centred_clipping,
    fltrust     one each
    poisoning/  banks that attack

How many banks each rule needs is in `settings.robust`, so that a run is refused before anything is spent.
"""

from secure_fl.robust.krum import Choice, krum_from_distances
from secure_fl.robust.result import Robust
from secure_fl.robust.rules import RULES, Rule

__all__ = ["RULES", "Choice", "Robust", "Rule", "krum_from_distances"]
