"""Secure aggregation: the exact sum of many banks' integer vectors, without showing any single one.

Start with `simulation.simulate`, which runs one sum; then `protocol` (the roles), `budget` (the planner, which
decides whether a sum can be exact) and one module or folder for each scheme.
"""

from secure_fl.secagg.budget import Plan
from secure_fl.secagg.planning import plan
from secure_fl.secagg.protocol import SecureSum
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.secagg.simulation import Simulation, simulate

__all__ = ["SCHEMES", "Plan", "Scheme", "SecureSum", "Simulation", "plan", "simulate"]
