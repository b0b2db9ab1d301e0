"""Learn by breaking: deliberately weak protocols, and a check of what a student recovers from them.

The weak code lies in `examples/labs` and is no part of this package; `labs.lab` says what such a file holds, `grading`
runs an answer against fresh random instances, `showing` cuts what is seen to a size that one can read.
"""

from secure_fl.labs.grading import Grade, check
from secure_fl.labs.lab import Lab, all_labs, find_lab
from secure_fl.labs.showing import seen_text

__all__ = ["Grade", "Lab", "all_labs", "check", "find_lab", "seen_text"]
