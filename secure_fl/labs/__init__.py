"""Learn by breaking: deliberately weak protocols, and a check of what a student recovers from them.

The weak code lies in `examples/labs` and is no part of this package; `labs.lab` says what such a file holds, `grading`
runs an answer against fresh random instances.
"""

from secure_fl.labs.grading import Grade, check
from secure_fl.labs.lab import Lab, all_labs, find_lab

__all__ = ["Grade", "Lab", "all_labs", "check", "find_lab"]
