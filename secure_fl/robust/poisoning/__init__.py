"""Banks that attack what is trained: by what they train on (`rows`), by what they send (`updates`), or both.

`attackers` are those of an experiment. They take part as everybody does, through the same client halves: what they
send is quantized, clipped and sealed like an honest update.
"""

from secure_fl.robust.poisoning.attackers import Attackers

__all__ = ["Attackers"]
